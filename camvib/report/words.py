"""Numbers and names as an engineer reads them: the filters of the report's template."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, tzinfo

import numpy as np
from numpy.typing import NDArray

from camvib.recordings.plant import Plant
from camvib.records import Answer, CaseEvent, Region


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


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# Characters that turn the writing direction or are not to be seen: they could make one name look like another.
_HIDDEN = {chr(c) for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C, 0xFEFF)}


_SPACES = {"\n", "\u202f", "\xa0", "\u2009"}


def printable(text: str) -> str:
    r"""Write control, direction and undecodable characters as ``\x1b``: a name harms nobody and can be typed."""
    if text.isprintable() and not _HIDDEN.intersection(text):
        return text
    return "".join(c if (c.isprintable() and c not in _HIDDEN) or c in _SPACES else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8, as Python reads file names
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def day(when: date, now: date | None = None) -> str:
    """Write a day: ``3 Nov``, with its year if that is another than `now`'s."""
    year = f" {when.year}" if now is not None and when.year != now.year else ""
    return f"{when.day} {MONTHS[when.month - 1]}{year}"


def weekday(when: date) -> str:
    """Write a day with its name: ``Fri 27 Nov``."""
    return f"{WEEKDAYS[when.weekday()]} {day(when)}"


def clock(when: datetime) -> str:
    """Write a time to the minute with its zone: ``Mon 23 Nov 2026, 06:00 CET``."""
    return f"{weekday(when)} {when.year}, {when:%H:%M} {when.tzname() or ''}".rstrip()


def deadline(by: date, today: date, at_stop: bool) -> str:
    """Write until when."""
    stop = ", planned stop" if at_stop else ""
    if by < today:
        return f"was due {weekday(by)}{stop}"
    return f"{'today' if by == today else 'by ' + weekday(by)}{stop}"


def fault_title(label: str, title: str = "") -> str:
    """Name a fault as the plant calls it; else by its label."""
    if title:
        return title
    if label == "unknown":
        return "Changed, no fault the model knows"
    return sentence(human(label).replace("+", " and "))


def sentence(text: str) -> str:
    """Begin with a capital."""
    return text[:1].upper() + text[1:]


def hertz(value: float) -> str:
    """Write a frequency with three digits."""
    return f"{value:.0f} Hz" if abs(value) >= 100 else f"{value:.3g} Hz"


def decibels(value: float) -> str:
    """Write a change of level with its sign."""
    whole = f"{abs(value):.0f}"
    return f"{'−' if value < 0 and whole != '0' else '+'}{whole} dB"


SAID = {
    "confirmed": "as said",
    "corrected": "another fault",
    "nothing_found": "nothing found, false alarm",
    "region": "region marked",
    "comment": "",
}
DONE = {"acknowledged": "seen", "snoozed": "snoozed", "closed": "closed", "reopened": "opened again"}


def answer(said: Answer) -> str:
    """What a person said, in a line."""
    parts = [SAID.get(said.kind, said.kind), human(said.label) if said.kind == "corrected" else "", said.text]
    return _signed_by(": ".join(part for part in parts if part), said.author)


def event(done: CaseEvent) -> str:
    """What a person did with a case, in a line."""
    return _signed_by(": ".join(part for part in (DONE.get(done.kind, done.kind), done.note) if part), done.who)


def _signed_by(line: str, who: str) -> str:
    return f"{line} ({who})" if who else line


LEAST_DB = 2.0  # what a mean over cells may be off by chance


def changed(way: str | None, amount_db: NDArray[np.floating] | None, undone_by: str = "") -> str:
    """Whether power was gained or lost in a region, and how much.

    Parameters
    ----------
    way : str, optional
        What the model's change map says: gain, loss, both or none; None without such a map.
    amount_db : ndarray, optional
        Difference to healthy of each of the region's rows.
    undone_by : str
        Completes 'would come back if …', where power was lost.
    """
    most = float(amount_db.max()) if amount_db is not None and len(amount_db) else 0.0
    least = float(amount_db.min()) if amount_db is not None and len(amount_db) else 0.0
    if way is None:
        if amount_db is None:
            return "no healthy level to compare with"
        up, down = most >= 2 * LEAST_DB, least <= -2 * LEAST_DB
        way = "both" if up and down else "gain" if up else "loss" if down else "none"
    gained = f"power GAINED {abs(most):.0f} dB" if most >= LEAST_DB else "power GAINED"
    lost = f"power LOST {abs(least):.0f} dB" if least <= -LEAST_DB else "power LOST"
    back = f"; would come back if {undone_by}" if undone_by else ""
    said = {"gain": gained, "loss": lost + back, "both": f"{gained} and {lost.removeprefix('power ')}{back}"}
    return said.get(way, "no clear change")


def human_label(label: str, plant: Plant) -> str:
    """Name a condition within a sentence, as the plant calls it."""
    title = plant.action(label).title if label else ""
    return (title or human(label).replace("+", " and ")).lower() if label else ""


def tenth(value: float | None) -> str:
    """Write a number with at most one decimal; a dash for none."""
    return "–" if value is None else f"{value:.1f}".removesuffix(".0").replace("-", "−")


def count(value: int) -> str:
    """Write a whole number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def days(value: int) -> str:
    """Write a number of days."""
    return "today" if value == 0 else f"{value} day{'' if value == 1 else 's'}"


def local(text: str, zone: tzinfo) -> datetime:
    """Read a time of a record into a zone; one without a zone of its own is UTC."""
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(zone)
