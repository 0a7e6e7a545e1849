"""The sampling rate that a time column tells, rounded, jittery or broken as it may be."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.readers._blocks import BLOCK, blocks
from camvib.readers._channel import AMBIGUOUS, Rate, rate_between
from camvib.readers._names import TIME_UNITS

_PLAUSIBLE_HZ = (10.0, 200e3)  # vibration measurement; used only to choose between s, ms and µs
_UNEVEN = 0.25


def read_clock(time: NDArray[Any], unit: str | None, name: str) -> tuple[Rate | None, str, tuple[str, ...]]:
    """Find the sampling rate of a time column.

    Returns
    -------
    rate : Rate or None
    problem : str
        Why there is none, or none to rely on.
    warnings : tuple of str
    """
    source = f"time column {name!r}"
    finite = np.flatnonzero(np.isfinite(time[:BLOCK])) if len(time) < BLOCK else np.arange(len(time))
    if len(finite) < 2:
        return None, f"{source} holds fewer than two times", ()
    first, last = finite[0], finite[-1]
    span, steps = float(time[last]) - float(time[first]), int(last - first)
    if not span > 0 or not np.isfinite(span):
        return None, f"{source} does not increase", ()
    scale, note, problem = _scale(time[finite[: 1 << 16]], span / steps, unit, source)
    if scale is None:
        return None, problem, ()
    resolution = (_resolution(time[finite[:50]]) + _resolution(time[finite[-50:]])) / 2
    shortest, longest, median, spread, back = _steps(time, finite)
    problem = _broken(shortest, longest, median, spread, resolution, span / steps, back, scale, source)
    steady = longest - shortest <= 1e-3 * resolution
    open_s = (resolution / 2 if steady else resolution) / 1.0
    if open_s >= span:
        return None, f"{source} is too coarse: its steps are {resolution * scale:.3g} s", ()
    jitter = spread if spread > 2 * resolution else 0.0
    mean_hz = steps / (span * scale)
    low, high = steps / ((span + open_s) * scale), steps / ((span - open_s) * scale)
    if not problem and (high - low) / (2 * mean_hz) > AMBIGUOUS:
        problem = (
            f"{source} is rounded to {resolution * scale:.3g} s, so the sampling rate may be anything from "
            f"{low:.6g} to {high:.6g} Hz"
        )
    rate = rate_between(mean_hz, low, high, source)
    notes = list(note)
    if jitter:
        share = jitter / (span / steps)
        rate = Rate(mean_hz, mean_hz * (1 - share), mean_hz * (1 + share), source)
        if share > 1e-3:
            notes.append(f"{source} jitters by {share:.2%} of a step; mean rate {mean_hz:.6g} Hz taken")
        if share > AMBIGUOUS:  # the mean is known better than a single step: only declarations see the jitter
            rate = Rate(mean_hz, mean_hz * (1 - AMBIGUOUS), mean_hz * (1 + AMBIGUOUS), source)
    median_hz = 1 / (median * scale) if median > 0 else np.inf
    if not jitter and abs(median_hz / mean_hz - 1) > 1e-3:
        notes.append(
            f"{source} is rounded: its median step gives {median_hz:.6g} Hz, its span {mean_hz:.6g} Hz; "
            f"{rate.hz:.6g} Hz taken"
        )
    return rate, problem, tuple(notes)


def looks_like_clock(values: NDArray[Any]) -> bool:
    """Tell whether a column without a name rises evenly, as no vibration does."""
    values = values[:BLOCK]
    if len(values) < 10 or not np.isfinite(values).all() or not values[-1] > values[0]:
        return False
    steps = np.diff(values)
    mean = steps.mean()
    return bool(steps.min() >= 0 and steps.std() <= 0.5 * mean + _resolution(values[-50:]))


def is_running_number(values: NDArray[Any]) -> bool:
    """Tell whether a column counts its own rows."""
    values = values[:BLOCK]
    return len(values) > 2 and bool((np.diff(values) == 1).all()) and float(values[0]) in (0.0, 1.0)


def _scale(time: NDArray[Any], step: float, unit: str | None, source: str) -> tuple[float | None, tuple[str, ...], str]:
    if unit in TIME_UNITS:
        return TIME_UNITS[unit], (), ""
    if not np.equal(np.mod(time, 1), 0).all() or step < 1:
        return 1.0, (f"{source} has no unit; read as seconds",), ""
    low, high = _PLAUSIBLE_HZ
    fits = [word for word in ("s", "ms", "us") if low <= 1 / (step * TIME_UNITS[word]) <= high]
    options = ", ".join(f"{1 / (step * TIME_UNITS[word]):.6g} Hz if in {word}" for word in ("s", "ms", "us"))
    if len(fits) != 1:
        return None, (), f"{source} has no unit ({options})"
    return TIME_UNITS[fits[0]], (f"{source} has no unit; read as {fits[0]} ({options})",), ""


def _resolution(values: NDArray[Any]) -> float:
    """Find the last printed decimal place of some values."""
    values = np.asarray(values)
    spacing = float(np.spacing(np.abs(values).max())) if values.dtype.kind == "f" else 0.0
    values = values.astype(np.float64)
    for decimals in range(-3, 13):
        if np.allclose(np.round(values, decimals), values, rtol=4e-16, atol=2 * spacing):
            return max(10.0**-decimals, spacing)
    return spacing


def _steps(time: NDArray[Any], finite: NDArray[np.intp]) -> tuple[float, float, float, float, int]:
    """Return shortest, longest, median and standard deviation of the steps, and the row of the first backward one."""
    if len(time) < BLOCK:
        steps = np.diff(np.asarray(time)[finite].astype(np.float64)) / np.diff(finite)
        back = int(np.argmax(steps < 0)) + 1 if (steps < 0).any() else 0
        return float(steps.min()), float(steps.max()), float(np.median(steps)), float(steps.std()), back
    shortest, longest, medians, variances, back, row = np.inf, -np.inf, [], [], 0, 0
    previous: NDArray[Any] = np.empty(0)
    for block in blocks(time):
        steps = np.diff(np.concatenate([previous, block.astype(np.float64)]))
        if not back and (steps < 0).any():
            back = row + int(np.argmax(steps < 0)) + 1
        shortest, longest = min(shortest, float(np.nanmin(steps))), max(longest, float(np.nanmax(steps)))
        medians.append(np.nanmedian(steps))
        variances.append(np.nanvar(steps))
        previous, row = block[-1:].astype(np.float64), row + len(block)
    return shortest, longest, float(np.median(medians)), float(np.sqrt(np.mean(variances))), back


def _broken(
    shortest: float, longest: float, median: float, spread: float, resolution: float, mean: float, back: int,
    scale: float, source: str,
) -> str:  # fmt: skip
    if back and shortest < -resolution:
        return f"{source} runs backwards at row {back}"
    if longest > 5 * median + 2 * resolution and longest > 5 * mean:
        return f"{source} has a gap of {longest * scale:.4g} s where steps are {median * scale:.4g} s"
    if spread > _UNEVEN * mean + resolution:
        return (
            f"{source} is uneven: steps of {shortest * scale:.4g} to {longest * scale:.4g} s, mean {mean * scale:.4g} s"
        )
    return ""
