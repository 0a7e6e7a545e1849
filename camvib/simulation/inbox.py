"""An inbox as a plant has it: recordings nobody labelled, and some that are not fit to be judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from camvib.simulation.fleet import write_fleet
from camvib.simulation.sensors import Clipping, Dropout


def write_inbox(out: Path, recordings: int, seed: int, *, progress: bool = True) -> Path:
    """Simulate recordings of new specimens and spoil three copies of them.

    One is clipped, one has dropouts, one was cut short while it was being copied. They stand in
    labels.csv beside the sound ones, which keep their labels for whoever wants to check.

    Parameters
    ----------
    out : Path
    recordings : int
        Sound ones; at least 3.
    seed : int
        Not that of a fleet trained on: specimens are drawn from it.
    """
    write_fleet(out, recordings, seed, twins=False, progress=progress)
    table = pd.read_csv(out / "labels.csv")
    rng = np.random.default_rng([seed, 77])
    rows = []
    for row, fault in zip(table.to_dict("records"), (Clipping.draw(rng), Dropout.draw(rng), None), strict=False):
        source = out / row["file"]
        name = "cut_short" if fault is None else type(fault).__name__.lower()
        target = source.with_name(f"{source.stem}-{name}.npz")
        if fault is None:
            target.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
        else:
            with np.load(source, allow_pickle=False) as stored:
                arrays = dict(stored)
            spoilt = fault.apply(arrays["acceleration"], float(arrays["sampling_rate_hz"]), rng)
            np.savez(target, **{**arrays, "acceleration": spoilt.astype(np.float32)})
        rows.append({**row, "file": str(target.relative_to(out))})
    pd.concat([table, pd.DataFrame(rows)]).to_csv(out / "labels.csv", index=False)
    return out
