"""Recordings of a real set → the labelled folders that a user would have: one to train on, one to diagnose."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from camvib.evaluation.real.sets import Read, RealSet
from camvib.recordings.shaft_speed import shaft_speeds_hz
from camvib.records import Recording

_DIGITS = 9


def write_folder(
    folder: Path, real: RealSet, read: Read, rows: Sequence[int] | NDArray[np.integer], groups: Sequence[str]
) -> Path:
    """Write recordings as NPZ files with a labels.csv.

    Parameters
    ----------
    folder : Path
    real : RealSet
    read : Read
    rows : sequence of int
        Recordings of `read` to write.
    groups : sequence of str
        Group of every recording of `read`: what must not be split within this folder.

    Returns
    -------
    Path
        The folder.
    """
    folder.mkdir(parents=True)
    declared = real.known.bearing.shaft_hz_column if real.known and real.known.bearing else ""
    speeds = shaft_speeds_hz(real.rows, declared)
    table = []
    for i in rows:
        recording, entry = read.recordings[i], int(read.entry[i])
        name = file_name(i, recording)
        np.savez(
            folder / name,
            signal=np.asarray(recording.samples, np.float32),
            sampling_rate_hz=recording.sampling_rate_hz,
            unit=recording.unit,
        )
        row = {"file": name, "label": real.rows[entry]["label"], "group": groups[i], "asset": real.rows[entry]["asset"]}
        if speeds is not None:
            row["shaft_hz"] = f"{speeds[entry]:.{_DIGITS}g}"
        table.append(row)
    with (folder / "labels.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return folder


def file_name(number: int, recording: Recording) -> str:
    """Name of a recording's file: its number keeps the set's order."""
    stem = re.sub(r"[^\w.-]+", "_", Path(recording.source).stem)[:60]
    return f"{number:05d}_{stem}.npz"


def number_of(file: str) -> int:
    """Number of the recording in a file that `file_name` named."""
    return int(Path(file).name.split("_")[0])
