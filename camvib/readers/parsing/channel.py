"""One column of a file as it stands there, and what the file says about its sampling rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from numpy.typing import NDArray

from camvib.errors import MissingMetadata, RateConflict
from camvib.readers.parsing.numbers import Reading

ROUNDING = 5e-4  # two rates closer than 0.05 % are one rate, written down with fewer digits
AMBIGUOUS = 5e-3  # an increment rounded so far that the rate may be 0.5 % off is no statement of the rate
LOWEST_HZ, HIGHEST_HZ = 10.0, 200e3  # a statement outside is misread, damaged, or about no recording of vibration
DECLARE_RATE = "Declare the true one: column sampling_rate_hz of labels.csv, or --sampling-rate"
DECLARE_UNIT = (
    "Declare it: column unit of labels.csv, or --unit (g, m/s2, mm/s, V, …; 'arbitrary' if levels mean nothing)"
)
_USUAL_HZ = {3e3, 6e3, 12e3, 15e3, 24e3, 30e3, 48e3, 96e3, 192e3, 11025.0, 22050.0, 44100.0, 88200.0}


@dataclass(frozen=True)
class Rate:
    """A sampling rate in Hz, the interval that rounding or jitter leaves open, and where it is stated.

    `others` are further readings of the same words: ``25.600`` is 25.6 or 25600.
    """

    hz: float
    low: float
    high: float
    source: str
    others: tuple[float, ...] = ()

    def agrees_with(self, hz: float) -> bool:
        """Tell whether `hz` lies in the interval, give or take rounding."""
        return self.low * (1 - ROUNDING) <= hz <= self.high * (1 + ROUNDING)

    @property
    def spread(self) -> float:
        """Half the width of the interval, as a fraction of the rate."""
        return (self.high - self.low) / (2 * self.hz)

    @property
    def is_plausible(self) -> bool:
        """A rate at which vibration is sampled."""
        return is_plausible(self.hz)


class LeftOut(NamedTuple):
    """A part of a file that is no channel, and why."""

    name: str
    reason: str


def is_plausible(hz: float) -> bool:
    """Tell whether vibration is sampled at such a rate: 10 Hz to 200 kHz."""
    return LOWEST_HZ * (1 - ROUNDING) <= hz <= HIGHEST_HZ * (1 + ROUNDING)


def is_usual(hz: float) -> bool:
    """Tell whether people choose this rate: 2 and 5 are its only factors, or sound is recorded with it."""
    n = round(hz)
    if n < 1 or abs(hz / n - 1) > 1e-6:
        return False
    if float(n) in _USUAL_HZ:
        return True
    for factor in (2, 5):
        while n % factor == 0:
            n //= factor
    return n == 1


def rate_between(hz: float, low: float, high: float, source: str) -> Rate:
    """Make a rate from an interval; the only whole number of hertz in it is taken for the true one."""
    if math.floor(high) - math.ceil(low) == 0 and high >= 1:
        hz = float(math.floor(high))
    return Rate(hz, low, high, source)


def stated_rate(hz: float, source: str) -> Rate | None:
    """Make a rate from a number in a header; None if it is no positive number."""
    hz = float(hz)
    if not math.isfinite(hz) or hz <= 0:
        return None
    return rate_between(hz, hz * (1 - 1e-9), hz * (1 + 1e-9), source)


def read_rate(reading: Reading, hertz: float, source: str) -> Rate | None:
    """Make a rate from a number as written, in units of `hertz`."""
    values = [value * hertz for value in reading.values if value > 0]
    return _first_plausible(values, [stated_rate(hz, source) for hz in values], reading.is_sure)


def read_step(reading: Reading, seconds: float, source: str) -> Rate | None:
    """Make a rate from an increment as written, in units of `seconds`; its last digit leaves an interval open."""
    values = [value * seconds for value in reading.values if value > 0]
    rates = [_printed_step(step, reading.step * seconds, source) for step in values]
    return _first_plausible([1 / step for step in values], rates, reading.is_sure)


def _first_plausible(values: list[float], rates: list[Rate | None], is_sure: bool) -> Rate | None:
    believed = [rate for rate in rates if rate and rate.is_plausible]
    if not believed:
        return next((rate for rate in rates if rate), None)
    others = () if is_sure else tuple(rate.hz for rate in believed[1:])
    return replace(believed[0], others=others)


def rate_from_step(step_s: float, resolution_s: float, source: str) -> Rate | None:
    """Make a rate from a time increment that is known to within ± half its resolution."""
    half = resolution_s / 2
    if not (math.isfinite(step_s) and math.isfinite(half)) or step_s <= 0 or half >= step_s:
        return None
    return rate_between(1 / step_s, 1 / (step_s + half), 1 / (step_s - half), source)


def rate_from_printed_step(text: str, source: str) -> Rate | None:
    """Make a rate from an increment as printed: ``0.000977`` leaves 1023.0 to 1024.1 Hz open."""
    try:
        step = Decimal(text.strip())
    except InvalidOperation:
        return None
    exponent = step.as_tuple().exponent
    if not isinstance(exponent, int):  # NaN and infinity
        return None
    return _printed_step(float(step), max(10.0**exponent, float(step) * 1e-12), source)


def _printed_step(step_s: float, resolution_s: float, source: str) -> Rate | None:
    """Take ``0.001`` for a thousandth: nobody pads an increment that is exact with zeros."""
    if step_s > 0 and resolution_s > 0.01 * step_s and is_usual(1 / step_s):
        return rate_between(1 / step_s, (1 - AMBIGUOUS) / step_s, (1 + AMBIGUOUS) / step_s, source)
    return rate_from_step(step_s, min(resolution_s, 1.9 * step_s), source)


@dataclass(frozen=True, eq=False)
class Channel:
    """One column of a file, unscaled.

    Attributes
    ----------
    name : str
    samples : ndarray, shape (n,)
        Values as they stand in the file; memory-mapped if there are very many.
    sampling_rate_hz : float or None
        None if the file does not say, or contradicts itself.
    unit : str or None
        The unit word of the file.
    recorded_at : datetime or None
    warnings : tuple of str
    format : str
    rates : tuple of Rate
        Every statement of the rate: header, time column. Follows from `sampling_rate_hz` if left out.
    rate_problem : str
        Why the time column tells no rate: a gap, uneven steps, too much rounding, no unit.
    history : tuple of str
        What was done to the samples as the file asks for it: scale and offset.
    problem : str
        Why the samples cannot be used: a scale of which nobody knows how it is meant.
    """

    name: str
    samples: NDArray[Any]
    sampling_rate_hz: float | None = None
    unit: str | None = None
    recorded_at: datetime | None = None
    warnings: tuple[str, ...] = ()
    format: str = ""
    rates: tuple[Rate, ...] = ()
    rate_problem: str = ""
    history: tuple[str, ...] = ()
    problem: str = ""

    def __post_init__(self) -> None:
        if self.sampling_rate_hz is not None and not self.rates:
            rate = stated_rate(self.sampling_rate_hz, "the file")
            object.__setattr__(self, "rates", (rate,) if rate else ())
        rates, open_ones, _ = _settled(self.rates)
        settled = bool(rates) and not self.rate_problem and not open_ones and _agree(rates)
        agreed = _best(rates) if settled else None
        object.__setattr__(self, "sampling_rate_hz", agreed.hz if agreed and agreed.spread <= AMBIGUOUS else None)


def resolve_rate(channel: Channel, declared_hz: float | None, where: str) -> tuple[float, tuple[str, ...]]:
    """Settle the sampling rate from the file's statements and a declared one, which wins.

    Returns
    -------
    rate_hz : float
    warnings : tuple of str

    Raises
    ------
    MissingMetadata
        Nobody states it, what is stated leaves more than 0.5 % open, may be read in two ways, or lies outside
        10 Hz to 200 kHz.
    RateConflict
        The statements disagree.
    """
    if declared_hz is not None:
        return _declared(channel, declared_hz, where)
    rates, open_ones, notes = _settled(channel.rates)
    if channel.rate_problem:
        kind = RateConflict if channel.rates else MissingMetadata
        raise kind(f"{where}: {channel.rate_problem}. {_list(rates)}".rstrip(" ."), DECLARE_RATE)
    if rates and not _agree(rates):
        raise RateConflict(f"{where}: the sampling rates disagree: {_list(rates)}", DECLARE_RATE)
    if open_ones:
        said = "; ".join(f"{rate.source} may mean {_either(rate)}" for rate in open_ones)
        raise MissingMetadata(f"{where}: {said}", DECLARE_RATE)
    if not rates:
        said = "; ".join(notes) or "the file does not state its sampling rate"
        raise MissingMetadata(f"{where}: {said}", DECLARE_RATE)
    best = _best(rates)
    if best.spread > AMBIGUOUS:
        raise MissingMetadata(
            f"{where}: {best.source} is rounded so far that the sampling rate may be anything from "
            f"{best.low:.6g} to {best.high:.6g} Hz (limit ± {AMBIGUOUS:.1%})",
            DECLARE_RATE,
        )
    if best.spread > 1e-5:
        notes = (*notes, f"{best.source} leaves {best.low:.6g} to {best.high:.6g} Hz open; {best.hz:.9g} Hz taken")
    return best.hz, notes


def _declared(channel: Channel, declared_hz: float, where: str) -> tuple[float, tuple[str, ...]]:
    if not (math.isfinite(declared_hz) and declared_hz > 0):
        raise MissingMetadata(f"{where}: a sampling rate of {declared_hz} Hz is declared", "Declare a positive number")
    notes = (f"{channel.rate_problem}; {declared_hz:.9g} Hz is declared",) if channel.rate_problem else ()
    if not channel.rates:
        return declared_hz, notes
    confirmed = [rate for rate in channel.rates if rate.agrees_with(declared_hz)]
    denied = [
        rate for rate in channel.rates
        if rate not in confirmed and not any(abs(hz / declared_hz - 1) <= ROUNDING for hz in rate.others)
    ]  # fmt: skip
    if denied:
        notes = (*notes, f"the declared {declared_hz:.9g} Hz are taken; the file says: {_list(denied)}")
    if not confirmed:
        return declared_hz, notes
    best = _best(confirmed)
    return (declared_hz if best.low <= declared_hz <= best.high else best.hz), notes


def _settled(rates: Sequence[Rate]) -> tuple[list[Rate], list[Rate], tuple[str, ...]]:
    """Sort statements into those to believe, and those with two meanings that no other settles; with notes."""
    clear = [rate for rate in rates if rate.is_plausible and not rate.others]
    notes = tuple(
        f"{rate.source} gives {rate.hz:.6g} Hz, outside {LOWEST_HZ:g} Hz to {HIGHEST_HZ / 1e3:g} kHz: not believed"
        for rate in rates if not rate.is_plausible
    )  # fmt: skip
    open_ones = []
    for rate in rates:
        if not rate.others or not rate.is_plausible:
            continue
        meant = [hz for hz in (rate.hz, *rate.others) if any(other.agrees_with(hz) for other in clear)]
        settled = stated_rate(meant[0], rate.source) if meant else None
        if settled or clear:  # what agrees with no other statement contradicts it, whichever way it is read
            clear.append(settled or replace(rate, others=()))
        else:
            open_ones.append(rate)
    return clear, open_ones, notes


def _agree(rates: Sequence[Rate]) -> bool:
    return all(a.low * (1 - ROUNDING) <= b.high and b.low * (1 - ROUNDING) <= a.high for a in rates for b in rates)


def _best(rates: Sequence[Rate]) -> Rate:
    return min(rates, key=lambda rate: rate.spread)


def _list(rates: Sequence[Rate]) -> str:
    return "; ".join(f"{rate.source}: {_either(rate)}" for rate in rates)


def _either(rate: Rate) -> str:
    return " or ".join(f"{hz:.6g} Hz" for hz in (rate.hz, *rate.others))
