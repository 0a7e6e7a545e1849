"""Speed of the shaft that a set names: lines that go with it are brought to one place."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from camvib.evaluation.real_data import RealSet
from camvib.evaluation.real_splits import Plan

_RPM = re.compile(r"(^|_)rpm(_|$)", re.IGNORECASE)
_HZ = re.compile(r"^(shaft|rotation|rotational|rotor|running|motor)\w*_(hz|fr)$", re.IGNORECASE)


def shaft_speed_hz(real: RealSet, plan: Plan) -> float:
    """Mean shaft speed of the recordings used; 0 where the set names none."""
    speeds = _speeds_hz(real)
    return float(np.mean(speeds[plan.used])) if len(speeds) else 0.0


def relative_speeds(real: RealSet, mean_hz: float) -> NDArray[np.floating]:
    """Shaft speed of each row over the mean; 1 where the set names none."""
    speeds = _speeds_hz(real)
    if not len(speeds):
        return np.ones(len(real.rows))
    real.notes.append(
        f"frequency axis of the envelope at the mean shaft speed, {60 * mean_hz:.4g} rpm, by column {_column(real)}"
    )
    return speeds / mean_hz


def _speeds_hz(real: RealSet) -> NDArray[np.floating]:
    column = _column(real)
    per_hz = 1 if _HZ.match(column) and not _RPM.search(column) else 60
    return np.array([float(row[column]) / per_hz for row in real.rows]) if column else np.empty(0)


def _column(real: RealSet) -> str:
    """Column that the catalog names, or one in rpm or Hz by its name; positive numbers in all rows, or none."""
    bearing = real.known.bearing if real.known else None
    names = [bearing.shaft_hz_column] if bearing else [n for n in real.rows[0] if _RPM.search(n) or _HZ.match(n)]
    for name in names:
        try:
            if all(0 < float(row[name]) < np.inf for row in real.rows):
                return name
        except (KeyError, ValueError):
            continue
    return ""
