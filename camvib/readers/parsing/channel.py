"""One column of a file as it stands there, and what the file says about its sampling rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from numpy.typing import NDArray

from camvib.errors import MissingMetadata, RateConflict

ROUNDING = 5e-4  # two rates closer than 0.05 % are one rate, written down with fewer digits
AMBIGUOUS = 5e-3  # an increment rounded so far that the rate may be 0.5 % off is no statement of the rate
LOWEST_HZ, HIGHEST_HZ = 0.01, 1e9  # what states a rate outside is damaged, or no recording of vibration
DECLARE_RATE = "Declare the true one: column sampling_rate_hz of labels.csv, or --sampling-rate"
DECLARE_UNIT = (
    "Declare it: column unit of labels.csv, or --unit (g, m/s2, mm/s, V, …; 'arbitrary' if levels mean nothing)"
)


@dataclass(frozen=True)
class Rate:
    """A sampling rate in Hz, the interval that rounding or jitter leaves open, and where it is stated."""

    hz: float
    low: float
    high: float
    source: str

    def agrees_with(self, hz: float) -> bool:
        """Tell whether `hz` lies in the interval, give or take rounding."""
        return self.low * (1 - ROUNDING) <= hz <= self.high * (1 + ROUNDING)

    @property
    def spread(self) -> float:
        """Half the width of the interval, as a fraction of the rate."""
        return (self.high - self.low) / (2 * self.hz)


def rate_between(hz: float, low: float, high: float, source: str) -> Rate:
    """Make a rate from an interval; the only whole number of hertz in it is taken for the true one."""
    if math.floor(high) - math.ceil(low) == 0 and high >= 1:
        hz = float(math.floor(high))
    return Rate(hz, low, high, source)


def stated_rate(hz: float, source: str) -> Rate | None:
    """Make a rate from a number in a header; None if it cannot be one."""
    hz = float(hz)
    if not math.isfinite(hz) or not LOWEST_HZ <= hz <= HIGHEST_HZ:
        return None
    return rate_between(hz, hz * (1 - 1e-9), hz * (1 + 1e-9), source)


def rate_from_step(step_s: float, resolution_s: float, source: str) -> Rate | None:
    """Make a rate from a time increment that is known to within ± half its resolution."""
    half = resolution_s / 2
    if (
        not (math.isfinite(step_s) and math.isfinite(half))
        or not 1 / HIGHEST_HZ <= step_s <= 1 / LOWEST_HZ
        or half >= step_s
    ):
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
    return rate_from_step(float(step), max(10.0**exponent, float(step) * 1e-12), source)


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

    def __post_init__(self) -> None:
        if self.sampling_rate_hz is not None and not self.rates:
            rate = stated_rate(self.sampling_rate_hz, "the file")
            object.__setattr__(self, "rates", (rate,) if rate else ())
        settled = bool(self.rates) and not self.rate_problem and _agree(self.rates)
        agreed = _best(self.rates) if settled else None
        object.__setattr__(self, "sampling_rate_hz", agreed.hz if agreed and agreed.spread <= AMBIGUOUS else None)


def resolve_rate(channel: Channel, declared_hz: float | None, where: str) -> tuple[float, tuple[str, ...]]:
    """Settle the sampling rate from the file's statements and a declared one.

    Returns
    -------
    rate_hz : float
    warnings : tuple of str

    Raises
    ------
    MissingMetadata
        Nobody states it, or what is stated leaves more than 0.5 % open.
    RateConflict
        The statements disagree, and none of them is confirmed by the declaration.
    """
    rates = channel.rates
    if declared_hz is not None:
        return _confirm(channel, declared_hz, where)
    if channel.rate_problem:
        kind = RateConflict if rates else MissingMetadata
        raise kind(f"{where}: {channel.rate_problem}. {_list(rates)}".rstrip(" ."), DECLARE_RATE)
    if rates and not _agree(rates):
        raise RateConflict(f"{where}: the sampling rates disagree: {_list(rates)}", DECLARE_RATE)
    if not rates:
        raise MissingMetadata(f"{where}: the file does not state its sampling rate", DECLARE_RATE)
    best = _best(rates)
    if best.spread > AMBIGUOUS:
        raise MissingMetadata(
            f"{where}: {best.source} is rounded so far that the sampling rate may be anything from "
            f"{best.low:.6g} to {best.high:.6g} Hz (limit ± {AMBIGUOUS:.1%})",
            DECLARE_RATE,
        )
    if best.spread > 1e-5:
        note = f"{best.source} leaves {best.low:.6g} to {best.high:.6g} Hz open; {best.hz:.9g} Hz taken"
        return best.hz, (note,)
    return best.hz, ()


def _confirm(channel: Channel, declared_hz: float, where: str) -> tuple[float, tuple[str, ...]]:
    if not (math.isfinite(declared_hz) and declared_hz > 0):
        raise MissingMetadata(f"{where}: a sampling rate of {declared_hz} Hz is declared", "Declare a positive number")
    notes = (f"{channel.rate_problem}; {declared_hz:.9g} Hz is declared",) if channel.rate_problem else ()
    if not channel.rates:
        return declared_hz, notes
    confirmed = [rate for rate in channel.rates if rate.agrees_with(declared_hz)]
    denied = [rate for rate in channel.rates if rate not in confirmed]
    if not confirmed:
        raise RateConflict(
            f"{where}: declared are {declared_hz:.9g} Hz, but the file says: {_list(denied)}",
            "Correct the declaration (sampling_rate_hz in labels.csv, --sampling-rate), or leave it out",
        )
    if denied:
        notes = (*notes, f"the declared {declared_hz:.9g} Hz are taken; the file also says: {_list(denied)}")
    best = _best(confirmed)
    return (declared_hz if best.low <= declared_hz <= best.high else best.hz), notes


def _agree(rates: Sequence[Rate]) -> bool:
    return all(a.low * (1 - ROUNDING) <= b.high and b.low * (1 - ROUNDING) <= a.high for a in rates for b in rates)


def _best(rates: Sequence[Rate]) -> Rate:
    return min(rates, key=lambda rate: rate.spread)


def _list(rates: Sequence[Rate]) -> str:
    return "; ".join(f"{rate.source}: {rate.hz:.6g} Hz" for rate in rates)
