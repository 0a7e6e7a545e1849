"""The sampling rate that a time column tells, rounded, jittery or broken as it may be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from camvib.readers.parsing.blocks import BLOCK, blocks
from camvib.readers.parsing.channel import AMBIGUOUS, HIGHEST_HZ, LOWEST_HZ, Rate, is_usual, rate_between
from camvib.readers.parsing.numbers import TIME_UNITS

_UNEVEN = 0.25
_FEW_REPEATS = 0.05  # rounding repeats a stamp now and then; sensors, packets and doubled rows do so all the time
_FEWEST_STAMPS = 10  # the first and the last may be shared by fewer rows than the others
_TWICE = 0.8  # share of double steps from which a clock that counts in half its step is believed
_SINCE_1970 = {"s": 1e9, "ms": 1e12, "us": 1e15, "ns": 1e18}  # up to twice as much: the years 2001 to 2033
# First value, from and to → seconds a count: .NET's and Windows' ticks of 100 ns, days of MATLAB and of spreadsheets.
_COUNTS = (
    (6.2e17, 6.6e17, 1e-7, "ticks of 100 ns since the year 1"),
    (1.25e17, 1.4e17, 1e-7, "ticks of 100 ns since 1601"),
    (6.9e5, 8e5, 86400.0, "days since the year 0"),
    (2e4, 8e4, 86400.0, "days since 1900"),
)
# Where a clock starts over: midnight, noon, the hour, a summer's end; counters of 16, 24 and 32 bits.
_WRAPS_S = ((86400.0, "midnight"), (43200.0, "noon or midnight"), (3600.0, "the hour, or the end of summer time"))
_WRAPS_COUNTS = tuple((2.0**bits, f"{bits} bits") for bits in (16, 24, 32))


class Clock(NamedTuple):
    """What a time column tells.

    Attributes
    ----------
    rate : Rate or None
        Its interval covers rounding and jitter.
    problem : str
        Why it is not to be relied on: a gap, lost rows, shared stamps, backward steps, no unit.
    warnings : tuple of str
    shares_stamps : bool
        The problem is that rows share stamps, evenly: `rate` holds if they are packets of one sensor.
    """

    rate: Rate | None
    problem: str = ""
    warnings: tuple[str, ...] = ()
    shares_stamps: bool = False


def read_clock(time: NDArray[Any], unit: str | None, name: str) -> Clock:
    """Find the sampling rate of a time column; `unit` is one of ``TIME_UNITS``, or None."""
    source = f"time column {name!r}"
    finite = np.flatnonzero(np.isfinite(time)) if len(time) < BLOCK else np.array([0, len(time) - 1])
    if len(finite) < 2:
        return Clock(None, f"{source} holds fewer than two times")
    n_steps = int(finite[-1] - finite[0])
    usual = _usual_step(time, finite)
    if not usual:
        return Clock(None, f"{source} does not increase")
    wrap = _wrap(time, finite, unit, usual)
    span = float(time[finite[-1]]) - float(time[finite[0]])
    if wrap:
        span = sum(float(steps.sum()) for steps in _steps(time, finite, wrap))
    if not 0 < span < np.inf:
        back = _first_back(time, finite)
        return Clock(None, _backwards(time, back, source) if back else f"{source} does not increase")
    scale, notes, problem = _scale(time[finite[: 1 << 16]], span / n_steps, span, unit, source)
    if scale is None:
        return Clock(None, problem)
    ends = [part for part in (time[finite[:50]], time[finite[-50:]]) if np.any(part)]  # zeros alone tell nothing
    resolution = sum(map(_resolution, ends)) / len(ends)
    seen = _look(_steps(time, finite, wrap), usual, span / n_steps, resolution)
    if wrap:
        notes = (*notes, f"{source} starts over at {wrap[1]}, which is followed")
    if problem := _over(time, seen, resolution, source) or seen.problem(resolution, span, scale, source):
        hz = 1 / (usual * scale)
        is_open = seen.is_rounded_or_lossy(resolution)
        return Clock(None if is_open else rate_between(hz, 0.995 * hz, 1.005 * hz, source), problem, notes)
    if packed := seen.packets():
        hz = packed / (usual * scale)
        said = seen.repeats(resolution, scale, source)
        return Clock(rate_between(hz, 0.995 * hz, 1.005 * hz, source), said, notes, shares_stamps=True)
    rate, more = _rate(span, n_steps, seen, resolution, scale, source)
    if rate is None:
        return Clock(None, f"{source} is too coarse: it counts in {resolution * scale:.3g} s", notes)
    if rate.spread <= AMBIGUOUS and (problem := seen.repeats(resolution, scale, source)):
        return Clock(rate, problem, notes, shares_stamps=True)
    return Clock(rate, "", (*notes, *more))


def _over(time: NDArray[Any], seen: _Seen, resolution: float, source: str) -> str:
    return _backwards(time, seen.back, source) if seen.back and seen.shortest < -resolution else ""


def _backwards(time: NDArray[Any], row: int, source: str) -> str:
    first, jumped = float(time[0]), float(time[row])
    if abs(jumped - first) <= 0.02 * abs(float(time[row - 1]) - first):
        return f"{source} starts over at row {row}: several recordings or sensors one after the other"
    return f"{source} runs backwards at row {row}"


def _first_back(time: NDArray[Any], finite: NDArray[np.intp]) -> int:
    row = 0
    for steps in _steps(time, finite, None):
        if (steps < 0).any():
            return row + int(np.argmax(steps < 0)) + 1
        row += len(steps)
    return 0


def _rate(
    span: float, n_steps: int, seen: _Seen, resolution: float, scale: float, source: str
) -> tuple[Rate | None, tuple[str, ...]]:
    """Divide the number of steps by the span; rounding at both ends leaves an interval open."""
    steady = seen.longest - seen.shortest <= 1e-3 * resolution
    open_span = resolution / 2 if steady else resolution
    if open_span >= span:
        return None, ()
    mean_hz = n_steps / (span * scale)
    low, high = n_steps / ((span + open_span) * scale), n_steps / ((span - open_span) * scale)
    if seen.excess > 0:
        hz = 1 / (seen.usual * scale)
        lost = round(seen.excess / seen.usual)
        note = (
            f"{source}: about {lost} rows seem to be lost; {mean_hz:.6g} Hz by its span, {hz:.6g} Hz by its usual step"
        )
        is_rounding = seen.high - seen.low <= 1.1 * resolution
        return Rate(mean_hz if is_rounding else hz, min(low, hz), max(high, hz), source), (note,)
    if seen.spread > 2 * resolution:
        jitter = seen.spread / (span / n_steps)
        half = min(jitter, AMBIGUOUS)  # the mean is known better than a step; the width serves to compare declarations
        note = f"{source} jitters by {jitter:.2%} of a step; its mean rate is {mean_hz:.6g} Hz"
        rate = Rate(mean_hz, min(low, mean_hz * (1 - half)), max(high, mean_hz * (1 + half)), source)
        return rate, (note,) if jitter > 1e-3 else ()
    rate = rate_between(mean_hz, low, high, source)
    median_hz = 1 / (seen.usual * scale)
    if abs(median_hz / mean_hz - 1) > 1e-3 and rate.spread <= AMBIGUOUS:
        said = f"its usual step gives {median_hz:.6g} Hz, its span {mean_hz:.6g} Hz"
        return rate, (f"{source} is rounded: {said}; {rate.hz:.6g} Hz taken",)
    return rate, ()


def looks_like_clock(values: NDArray[Any]) -> bool:
    """Tell whether a column rises evenly, as no vibration does."""
    values = values[:BLOCK]
    if len(values) < 10 or not np.isfinite(values).all() or not values[-1] > values[0]:
        return False
    steps = np.diff(values)
    mean = steps.mean()
    return bool(steps.min() >= 0 and steps.std() <= 0.5 * mean + _resolution(values[-50:]))


def mostly_rises(values: NDArray[Any]) -> bool:
    """Tell whether a column goes up nearly everywhere, or starts over now and then: a clock, whole or broken."""
    values = np.asarray(values[:BLOCK], np.float64)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return False
    steps = np.diff(values)
    return bool((steps < 0).mean() <= 0.02 and (steps > 0).any())


def is_running_number(values: NDArray[Any]) -> bool:
    """Tell whether a column counts its own rows."""
    values = values[:BLOCK]
    return len(values) > 2 and bool((np.diff(values) == 1).all()) and float(values[0]) in (0.0, 1.0)


def _scale(
    time: NDArray[Any], step: float, span: float, unit: str | None, source: str
) -> tuple[float | None, tuple[str, ...], str]:
    """Find how many seconds a count is; a step without a unit is believed if one reading only is plausible."""
    if unit in TIME_UNITS:
        return TIME_UNITS[unit], (), ""
    first = float(time[0])
    if epoch := next((word for word, size in _SINCE_1970.items() if size <= first < 2 * size), None):
        return TIME_UNITS[epoch], (f"{source} has no unit; read as {epoch} since 1970",), ""
    for low, high, seconds, what in _COUNTS:
        if low <= first < high and LOWEST_HZ <= 1 / (step * seconds) <= HIGHEST_HZ:
            if not LOWEST_HZ <= 1 / step <= HIGHEST_HZ or low > 1e17:
                return seconds, (f"{source} has no unit; read as {what}",), ""
            break
    words = ("s", "min", "h", "d") if step < 1 else ("s", "ms", "us", "ns")
    hertz = {word: 1 / (step * TIME_UNITS[word]) for word in words}
    fits = [word for word, hz in hertz.items() if LOWEST_HZ <= hz <= HIGHEST_HZ]
    options = ", ".join(f"{hz:.6g} Hz if in {word}" for word, hz in hertz.items())
    if step < 1 and "s" in fits and not _is_minutes(hertz, span):
        return 1.0, (f"{source} has no unit; read as seconds",), ""
    if len(fits) != 1:
        return None, (), f"{source} has no unit ({options})"
    return TIME_UNITS[fits[0]], (f"{source} has no unit; read as {fits[0]} ({options})",), ""


def _is_minutes(hertz: dict[str, float], span: float) -> bool:
    """Tell 1000 Hz over minutes from 60,000 Hz over seconds: nobody samples so, and for a blink only."""
    return span < 1 and hertz["min"] >= LOWEST_HZ and is_usual(hertz["min"]) and not is_usual(hertz["s"])


def _resolution(values: NDArray[Any]) -> float:
    """Find the last printed decimal place of some values."""
    values = np.asarray(values)
    spacing = float(np.spacing(np.abs(values).max())) if values.dtype.kind == "f" else 0.0
    values = values.astype(np.float64)
    for decimals in range(-3, 13):
        if np.allclose(np.round(values, decimals), values, rtol=4e-16, atol=2 * spacing):
            return max(10.0**-decimals, spacing)
    return spacing


@dataclass
class _Seen:
    """Steps of a clock, gathered block by block.

    `usual` is the median of the steps that go forward; `excess` is how much the steps that skip rows stretch the span.
    """

    usual: float
    mean: float
    shortest: float = math.inf
    longest: float = -math.inf
    n: int = 0
    zeros: int = 0
    doubles: int = 0
    back: int = 0
    excess: float = 0.0
    square: float = 0.0
    forward: float = 0.0
    drift: float = 0.0
    low: float = 0.0
    high: float = 0.0

    @property
    def forward_spread(self) -> float:
        """Spread of the steps between stamps that rows share."""
        return math.sqrt(self.forward / max(self.n - self.zeros, 1))

    @property
    def spread(self) -> float:
        """Standard deviation of the steps."""
        return math.sqrt(self.square / max(self.n, 1))

    def is_rounded_or_lossy(self, resolution: float) -> bool:
        """Tell whether all steps are one or two counts: lost rows and a rounded clock look the same."""
        is_whole = self.shortest > 0.5 * resolution and self.longest < 2.5 * resolution
        return is_whole and AMBIGUOUS < self.doubles / self.n < _TWICE

    def problem(self, resolution: float, span: float, scale: float, source: str) -> str:
        """Say why no rate can be taken from these steps; empty if one can."""
        usual = self.usual * scale
        if self.longest > 5 * max(self.usual, self.mean) + 2 * resolution:
            return f"{source} has a gap of {self.longest * scale:.4g} s where steps are {usual:.4g} s"
        is_shared = self.zeros > _FEW_REPEATS * self.n
        if (self.forward_spread if is_shared else self.spread) > _UNEVEN * self.mean + resolution:
            shortest, longest = self.shortest * scale, self.longest * scale
            return f"{source} is uneven: steps of {shortest:.4g} to {longest:.4g} s, mean {self.mean * scale:.4g} s"
        if self.is_rounded_or_lossy(resolution):
            twice = self.doubles / self.n
            return (
                f"{source} counts in {resolution * scale:.3g} s and steps by one or two of them: either "
                f"{twice / (1 + twice):.0%} of the rows are lost at {1 / (resolution * scale):.6g} Hz, "
                f"or it is rounded at {1 / (self.mean * scale):.6g} Hz"
            )
        if self.excess > AMBIGUOUS * span:
            return (
                f"{source} has gaps: steps of more than 1.5 × {usual:.4g} s, {self.excess * scale:.3g} s in all; "
                f"{self.excess / span:.1%} of the rows seem to be lost"
            )
        return ""

    def packets(self) -> int:
        """How many rows share each stamp, if that is a whole number; 0 if few do."""
        stamps = self.n + 1 - self.zeros
        if self.zeros <= _FEW_REPEATS * self.n or stamps < _FEWEST_STAMPS:
            return 0
        rows = (self.n + 1) / stamps
        return round(rows) if abs(rows - round(rows)) < 0.02 and round(rows) > 1 else 0

    def repeats(self, resolution: float, scale: float, source: str) -> str:
        """Say that rows share their stamps; empty if rounding explains the few that do."""
        is_rounding = self.high - self.low <= 1.1 * resolution
        if not self.zeros or (is_rounding and self.zeros <= _FEW_REPEATS * self.n):
            return ""
        stamp_s = self.usual * scale
        if rows := self.packets():
            return (
                f"{source} gives {rows} rows the same time, every {stamp_s:.4g} s: packets of {rows} "
                f"samples at {rows / stamp_s:.6g} Hz, or {rows} sensors at {1 / stamp_s:.6g} Hz each"
            )
        return f"{source} repeats {self.zeros} of its {self.n + 1} times: rows are doubled, or several sensors share it"


def _look(parts: Iterator[NDArray[np.floating]], usual: float, mean: float, resolution: float) -> _Seen:
    seen = _Seen(usual, mean)
    skips = 1.5 * usual + min(2 * resolution, 0.25 * usual)
    for steps in parts:
        backward = steps < 0
        if not seen.back and backward.any():
            seen.back = seen.n + int(np.argmax(backward)) + 1
        seen.shortest, seen.longest = min(seen.shortest, float(steps.min())), max(seen.longest, float(steps.max()))
        seen.zeros += int((np.abs(steps) < 1e-3 * resolution).sum())
        seen.doubles += int((steps > 1.5 * resolution).sum())
        seen.excess += float((steps[steps > skips] - usual).sum())
        seen.square += float(((steps - mean) ** 2).sum())
        seen.forward += float(((steps[steps > 0] - usual) ** 2).sum())
        path = seen.drift + np.cumsum(steps - mean)
        seen.low, seen.high = min(seen.low, float(path.min())), max(seen.high, float(path.max()))
        seen.drift = float(path[-1])
        seen.n += len(steps)
    return seen


def _usual_step(time: NDArray[Any], finite: NDArray[np.intp]) -> float:
    """Median of the forward steps of each block, and of those; 0 if there are none."""
    forward = (steps[steps > 0] for steps in _steps(time, finite, None))
    medians = [float(np.median(steps)) for steps in forward if len(steps)]
    return float(np.median(medians)) if medians else 0.0


def _wrap(time: NDArray[Any], finite: NDArray[np.intp], unit: str | None, usual: float) -> tuple[float, str] | None:
    """Find what the clock falls back by each time that it starts over: a day, an hour, a counter's size."""
    jumps: list[float] = []
    for steps in _steps(time, finite, None):
        jumps += steps[steps < -10 * usual][:100].tolist()
    if not jumps or len(jumps) > 50:
        return None
    unit_s = TIME_UNITS.get(unit or "", 1.0)
    sizes = [(seconds / unit_s, what) for seconds, what in _WRAPS_S]
    if np.all(np.mod(np.asarray(time[finite[:1000]], np.float64), 1) == 0):
        sizes += _WRAPS_COUNTS
    return next((one for one in sizes if all(0 <= jump + one[0] <= 5 * usual for jump in jumps)), None)


def _steps(
    time: NDArray[Any], finite: NDArray[np.intp], wrap: tuple[float, str] | None
) -> Iterator[NDArray[np.floating]]:
    """Give the steps block by block, a row without a time bridged; falls back over midnight and the like made good."""
    if len(time) < BLOCK:
        parts: Iterator[NDArray[np.floating]] = iter(
            [np.diff(np.asarray(time)[finite].astype(np.float64)) / np.diff(finite)]
        )
    else:
        parts = _block_steps(time)
    for steps in parts:
        steps = steps[np.isfinite(steps)]
        if wrap:
            steps = np.where(steps <= -0.5 * wrap[0], steps + wrap[0], steps)
        if len(steps):
            yield steps


def _block_steps(time: NDArray[Any]) -> Iterator[NDArray[np.floating]]:
    previous: NDArray[Any] = np.empty(0)
    for block in blocks(time):
        yield np.diff(np.concatenate([previous, block.astype(np.float64)]))
        previous = block[-1:].astype(np.float64)
