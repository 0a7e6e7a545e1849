"""Speed of the shaft that a table names: lines that go with it are brought to one place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_RPM = re.compile(r"(^|_)rpm(_|$)", re.IGNORECASE)
_HZ = re.compile(r"^(shaft|rotation|rotational|rotor|running|motor)\w*_(hz|fr)$", re.IGNORECASE)
Rows = Sequence[Mapping[str, str]]  # column → value of every entry


def shaft_speed_hz(rows: Rows, used: Sequence[int], declared: str = "") -> float:
    """Mean shaft speed of the rows used; 0 where the table names none.

    Parameters
    ----------
    rows : sequence of mappings
    used : sequence of int
        Rows that count.
    declared : str
        Column that holds the speed; without it, a column in rpm or Hz is looked for by its name.
    """
    speeds = _speeds_hz(rows, declared)
    return float(np.mean(speeds[used])) if len(speeds) else 0.0


def relative_speeds(rows: Rows, mean_hz: float, declared: str = "") -> tuple[NDArray[np.floating], str]:
    """Shaft speed of each row over the mean, and a note of what was taken; 1 and no note where the table names none."""
    speeds = _speeds_hz(rows, declared)
    if not len(speeds):
        return np.ones(len(rows)), ""
    column = _column(rows, declared)
    note = f"frequency axis of the envelope at the mean shaft speed, {60 * mean_hz:.4g} rpm, by column {column}"
    return speeds / mean_hz, note


def _speeds_hz(rows: Rows, declared: str) -> NDArray[np.floating]:
    column = _column(rows, declared)
    per_hz = 1 if _HZ.match(column) and not _RPM.search(column) else 60
    return np.array([float(row[column]) / per_hz for row in rows]) if column else np.empty(0)


def _column(rows: Rows, declared: str) -> str:
    """Column that is declared, or one in rpm or Hz by its name; positive numbers in all rows, or none."""
    names = [declared] if declared else [n for n in rows[0] if _RPM.search(n) or _HZ.match(n)]
    for name in names:
        try:
            if all(0 < float(row[name]) < np.inf for row in rows):
                return name
        except (KeyError, ValueError):
            continue
    return ""


def shaft_speeds_hz(rows: Rows, declared: str = "") -> NDArray[np.floating] | None:
    """Shaft speed of each row in Hz, shape (rows,); None where the table does not name it for all of them."""
    speeds = _speeds_hz(rows, declared) if rows else np.empty(0)
    return speeds if len(speeds) else None
