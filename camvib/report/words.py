"""Numbers and names as an engineer reads them: the filters of the report's template."""

from __future__ import annotations

import math

from camvib.records import Region


def human(name: str) -> str:
    """Write a class or kind for reading: ``loose_clamp`` as loose clamp."""
    return name.replace("_", " ").strip()


def percent(fraction: float) -> str:
    """Write a fraction in whole percent, without rounding it to certainty or to impossibility."""
    if 0.995 <= fraction < 1:
        return "> 99 %"
    if 0 < fraction < 0.005:
        return "< 1 %"
    return f"{100 * fraction:.0f} %"


def part(fraction: float) -> str:
    """Write a share of the picture: none of it, or percent."""
    return percent(fraction) if fraction else "none"


def is_step(note: str) -> bool:
    """Whether a note is a step of preparation (`camvib.records.Recording.history`), not a warning."""
    return note.startswith(("resampled ", "converted ", "cut "))


def signed(value: float) -> str:
    """Write a value with its sign and one decimal."""
    return f"{round(value, 1) + 0.0:+.1f}".replace("-", "−")  # -0 becomes +0


def span(low: float, high: float, unit: str) -> str:
    """Write a stretch with as many decimals as its length deserves: ``0.4–1.2 s``, ``58–66 Hz``."""
    decimals = min(6, max(0, math.ceil(1 - math.log10(high - low)))) if high > low else 3
    return f"{_short(low, decimals)}–{_short(high, decimals)} {unit}"


def rate(value_hz: float) -> str:
    """Write a sampling rate without rounding it: ``25 600 Hz``, ``1706.667 Hz``."""
    whole, _, part = _short(value_hz, 3).partition(".")
    grouped = f"{int(whole):,}".replace(",", "\u202f")
    return f"{grouped}.{part} Hz" if part else f"{grouped} Hz"


def odds(log_odds: float) -> str:
    """Write log odds as odds: ``25 : 1``; past a thousand the exact figure means nothing."""
    if not math.isfinite(log_odds):
        return "not defined"
    ratio = math.exp(min(abs(log_odds), 20.0))
    number = "more than 1000" if ratio > 1000 else f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}"
    return f"{number} : 1" if log_odds >= 0 else f"1 : {number}"


def place(region: Region) -> str:
    """Where a region lies, and what it is if the rig file says so."""
    where = f"{span(region.start_s, region.end_s, 's')}, {span(region.low_hz, region.high_hz, 'Hz')}"
    return f"{where} – {region.name}" if region.name else where


def evidence(region: Region, label: str) -> str:
    """How much a region says, and which way."""
    return f"{percent(region.share)} of the evidence {'for' if region.sign > 0 else 'against'} {human(label)}"


def _short(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return (text.rstrip("0").rstrip(".") if decimals else text).replace("-", "−")
