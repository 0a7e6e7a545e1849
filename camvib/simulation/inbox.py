"""An inbox as a plant has it: machines recorded healthy when they were new, recordings nobody labelled, and some that
are not fit to be judged.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from camvib.simulation.fleet import write_fleet
from camvib.simulation.sensors import Clipping, Dropout

HEALTHY_FIRST = 5  # recordings of a machine that are known to be healthy
LATER = 10  # recordings of a machine after these


def write_plant(out: Path, machines: int, seed: int, *, progress: bool = True) -> Path:
    """Simulate a plant's labelled past: each beam healthy `HEALTHY_FIRST` times, then in all conditions.

    Parameters
    ----------
    out : Path
        Labelled folder to write.
    machines, seed : int
    progress : bool
    """
    each = HEALTHY_FIRST + LATER
    return write_fleet(
        out,
        machines * each,
        seed,
        recordings_per_specimen=each,
        healthy_first=HEALTHY_FIRST,
        twins=False,
        progress=progress,
    )


def write_inbox(out: Path, machines: int, seed: int, *, progress: bool = True) -> Path:
    """Simulate new machines: ``healthy/`` to learn baselines from, ``inbox/`` to diagnose, with three spoiled copies.

    One copy is clipped, one has dropouts, one was cut short while it was being copied. They stand in labels.csv beside
    the sound ones, which keep their labels for whoever wants to check; ``masks/`` says where each fault truly shows.

    Parameters
    ----------
    out : Path
    machines : int
    seed : int
        Not that of a fleet trained on: specimens are drawn from it.
    progress : bool
    """
    each = HEALTHY_FIRST + LATER
    for folder, part in (("healthy", "first"), ("inbox", "later")):
        write_fleet(
            out / folder,
            machines * each,
            seed,
            recordings_per_specimen=each,
            healthy_first=HEALTHY_FIRST,
            part=part,  # type: ignore[arg-type]
            twins=part == "later",
            progress=progress,
        )
    # The truth lies with the masks: every other file of an inbox is a recording.
    (out / "inbox" / "truth.csv").replace(out / "inbox" / "masks" / "truth.csv")
    _spoil(out / "inbox", np.random.default_rng([seed, 77]))
    return out


def _spoil(inbox: Path, rng: np.random.Generator) -> None:
    table = pd.read_csv(inbox / "labels.csv")
    rows = []
    for row, fault in zip(table.to_dict("records"), (Clipping.draw(rng), Dropout.draw(rng), None), strict=False):
        source = inbox / row["file"]
        name = "cut_short" if fault is None else type(fault).__name__.lower()
        target = source.with_name(f"{source.stem}-{name}.npz")
        if fault is None:
            target.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
        else:
            with np.load(source, allow_pickle=False) as stored:
                arrays = dict(stored)
            spoilt = fault.apply(arrays["acceleration"], float(arrays["sampling_rate_hz"]), rng)
            np.savez(target, **{**arrays, "acceleration": spoilt.astype(np.float32)})
        rows.append({**row, "file": str(target.relative_to(inbox))})
    pd.concat([table, pd.DataFrame(rows)]).to_csv(inbox / "labels.csv", index=False)
