"""The sampling rate that a time column tells, rounded, jittery or broken as it may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.readers.parsing.blocks import BLOCK, blocks
from camvib.readers.parsing.channel import AMBIGUOUS, Rate, rate_between
from camvib.readers.parsing.names import TIME_UNITS

_PLAUSIBLE_HZ = (10.0, 200e3)  # vibration measurement; used only to choose between s, ms and µs
_SINCE_1970 = {"s": 1e9, "ms": 1e12, "us": 1e15, "ns": 1e18}  # up to twice as much: the years 2001 to 2033
_UNEVEN = 0.25


def read_clock(time: NDArray[Any], unit: str | None, name: str) -> tuple[Rate | None, str, tuple[str, ...]]:
    """Find the sampling rate of a time column.

    Returns
    -------
    rate : Rate or None
        Its interval covers rounding and jitter.
    problem : str
        Why there is none to rely on: a gap, uneven or backward steps, no unit.
    warnings : tuple of str
    """
    source = f"time column {name!r}"
    finite = np.flatnonzero(np.isfinite(time)) if len(time) < BLOCK else np.array([0, len(time) - 1])
    if len(finite) < 2:
        return None, f"{source} holds fewer than two times", ()
    n_steps = int(finite[-1] - finite[0])
    span = float(time[finite[-1]]) - float(time[finite[0]])
    if not 0 < span < np.inf:
        return None, f"{source} does not increase", ()
    scale, notes, problem = _scale(time[finite[: 1 << 16]], span / n_steps, unit, source)
    if scale is None:
        return None, problem, ()
    ends = [part for part in (time[finite[:50]], time[finite[-50:]]) if np.any(part)]  # zeros alone tell nothing
    resolution = sum(map(_resolution, ends)) / len(ends)
    steps = _steps(time, finite, resolution)
    if problem := steps.problem(resolution, span, span / n_steps, scale, source):
        median_hz = 1 / (steps.median * scale) if steps.median > 0 else 0.0
        rate = rate_between(median_hz, 0.995 * median_hz, 1.005 * median_hz, source) if median_hz else None
        return rate, problem, ()
    rate, more = _rate(span, n_steps, steps, resolution, scale, source)
    return rate, "" if rate else f"{source} is too coarse: it counts in {resolution * scale:.3g} s", (*notes, *more)


def _rate(
    span: float, n_steps: int, steps: _Steps, resolution: float, scale: float, source: str
) -> tuple[Rate | None, tuple[str, ...]]:
    """Divide the number of steps by the span; rounding at both ends leaves an interval open."""
    steady = steps.longest - steps.shortest <= 1e-3 * resolution
    open_span = resolution / 2 if steady else resolution
    if open_span >= span:
        return None, ()
    mean_hz = n_steps / (span * scale)
    low, high = n_steps / ((span + open_span) * scale), n_steps / ((span - open_span) * scale)
    if steps.spread > 2 * resolution:
        jitter = steps.spread / (span / n_steps)
        half = min(jitter, AMBIGUOUS)  # the mean is known better than a step; the width serves to compare declarations
        note = (
            (f"{source} jitters by {jitter:.2%} of a step; its mean rate is {mean_hz:.6g} Hz",) if jitter > 1e-3 else ()
        )
        return Rate(mean_hz, min(low, mean_hz * (1 - half)), max(high, mean_hz * (1 + half)), source), note
    rate = rate_between(mean_hz, low, high, source)
    median_hz = 1 / (steps.median * scale) if steps.median > 0 else np.inf
    if abs(median_hz / mean_hz - 1) > 1e-3 and rate.spread <= AMBIGUOUS:
        said = f"its median step gives {median_hz:.6g} Hz, its span {mean_hz:.6g} Hz"
        return rate, (f"{source} is rounded: {said}; {rate.hz:.6g} Hz taken",)
    return rate, ()


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
    if step < 1:
        return 1.0, (f"{source} has no unit; read as seconds",), ""
    epoch = next((word for word, size in _SINCE_1970.items() if size <= time[0] < 2 * size), None)
    if epoch:
        return TIME_UNITS[epoch], (f"{source} has no unit; read as {epoch} since 1970",), ""
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


@dataclass(frozen=True)
class _Steps:
    """Shortest, longest, median, standard deviation of the steps; row of the first backward one (0: none).

    `excess` is how much the steps beyond 1.5 medians, where samples were lost, stretch the span.
    """

    shortest: float
    longest: float
    median: float
    spread: float
    back: int
    excess: float

    def problem(self, resolution: float, span: float, mean: float, scale: float, source: str) -> str:
        if self.back and self.shortest < -resolution:
            return f"{source} runs backwards at row {self.back}"
        if self.longest > 5 * max(self.median, mean) + 2 * resolution:
            return f"{source} has a gap of {self.longest * scale:.4g} s where steps are {self.median * scale:.4g} s"
        if self.spread > _UNEVEN * mean + resolution:
            shortest, longest = self.shortest * scale, self.longest * scale
            return f"{source} is uneven: steps of {shortest:.4g} to {longest:.4g} s, mean {mean * scale:.4g} s"
        if self.excess > AMBIGUOUS * span:
            usual, lost = self.median * scale, self.excess * scale
            return f"{source} has gaps: steps of more than 1.5 × {usual:.4g} s, {lost:.3g} s in all"
        return ""


def _steps(time: NDArray[Any], finite: NDArray[np.intp], resolution: float) -> _Steps:
    if len(time) < BLOCK:
        rows: list[NDArray[Any]] = [np.diff(np.asarray(time)[finite].astype(np.float64)) / np.diff(finite)]
        return _gather(iter(rows), resolution)
    return _gather(_block_steps(time), resolution)


def _block_steps(time: NDArray[Any]) -> Iterator[NDArray[np.floating]]:
    previous: NDArray[Any] = np.empty(0)
    for block in blocks(time):
        yield np.diff(np.concatenate([previous, block.astype(np.float64)]))
        previous = block[-1:].astype(np.float64)


def _gather(parts: Iterator[NDArray[np.floating]], resolution: float) -> _Steps:
    shortest, longest, back, row, excess = np.inf, -np.inf, 0, 0, 0.0
    medians, variances = [], []
    for steps in parts:
        if not back and (steps < 0).any():
            back = row + int(np.argmax(steps < 0)) + 1
        shortest, longest = min(shortest, float(np.nanmin(steps))), max(longest, float(np.nanmax(steps)))
        median = float(np.nanmedian(steps))
        excess += float((steps[steps > 1.5 * median + 2 * resolution] - median).sum())
        medians.append(median)
        variances.append(np.nanvar(steps))
        row += len(steps)
    return _Steps(shortest, longest, float(np.median(medians)), float(np.sqrt(np.mean(variances))), back, excess)
