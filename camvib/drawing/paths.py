"""Signals as SVG paths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from camvib.drawing.png import group_means
from camvib.drawing.ticks import Axis

_MAX_POINTS = 400
_PATH_SCALE = 1000


def envelope_path(low: NDArray[np.floating], high: NDArray[np.floating], axis: Axis) -> str:
    """Trace the band between smallest and largest samples as an SVG path in a 1000 × 1000 box."""
    finite = np.isfinite(low) & np.isfinite(high)
    if not finite.any():
        return ""
    starts = np.unique(np.linspace(0, len(low), min(len(low), _MAX_POINTS), endpoint=False).astype(int))
    floor = np.minimum.reduceat(np.where(finite, low, np.inf), starts)
    ceiling = np.maximum.reduceat(np.where(finite, high, -np.inf), starts)
    x = (np.arange(len(starts)) + 0.5) / len(starts)
    outline = np.concatenate([ceiling, floor[::-1]])
    kept = np.isfinite(outline)
    return _path(np.concatenate([x, x[::-1]])[kept], axis.position(outline[kept])) + "Z"


def line_path(x: NDArray[np.floating], y: NDArray[np.floating]) -> str:
    """Trace a line given by positions 0..1 as an SVG path in a 1000 × 1000 box, keeping its peaks."""
    column = np.minimum((x * _MAX_POINTS).astype(int), _MAX_POINTS - 1)
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    return _path(group_means(x, starts), np.maximum.reduceat(y, starts)) if len(starts) else ""


def _path(x: NDArray[np.floating], y: NDArray[np.floating]) -> str:
    points = np.rint(np.stack([x, 1 - y], 1) * _PATH_SCALE).astype(int)
    return "M" + "L".join(f"{a} {b}" for a, b in points)
