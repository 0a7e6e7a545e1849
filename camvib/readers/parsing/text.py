"""Text as instruments write it: bytes → str, dates, sampling rates in header lines."""

from __future__ import annotations

import re
from datetime import datetime

from camvib.readers.parsing.channel import Rate
from camvib.readers.parsing.names import known_unit, rate_of, states_rate
from camvib.readers.parsing.numbers import NUMBER, hertz_per, time_unit

# A key, a sign or a blank, a number, what stands behind it: a unit, and then an end.
_STATEMENT = re.compile(
    r"(?P<key>[^\W\d][^:=;,\t|\"]*?)[\"']?\s*(?P<sign>[:=;,\t|]\s*=?|\s)\s*[\"']?"
    rf"(?P<value>{NUMBER})(?:\s*(?P<unit>[^\s\d:=;,\t|\"'()\[\]-][^:=;,\t|\"'()\[\]]*?))?"
    r"(?P<end>[\"')\]]*\s*(?:$|[;,\t|(\[]))"
)
_UNIT_LINE = re.compile(
    r"[#%/;\s\"]*(?:units?|einheit|unit[ée])\"?\s*[:=,;\t]\s*\"?([^\s,;\t\"]+)\"?[,;\s]*$", re.IGNORECASE
)
_DATE_HINT = re.compile(r"\b(19|20)\d\d\b.*\d{1,2}:\d{2}|\d{1,2}:\d{2}.*\b(19|20)\d\d\b")


def encoding_of(head: bytes) -> str:
    """Choose the encoding of a text file from its first bytes."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if head.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if is_bare_utf16(head):
        return "utf-16-le"
    try:
        head[: max(len(head) - 4, 0)].decode("utf-8")
    except UnicodeDecodeError:
        return _old_encoding(head)
    return "utf-8"


def _old_encoding(head: bytes) -> str:
    """Tell Western, Cyrillic, Chinese and Japanese text apart by which bytes stand side by side."""
    runs = re.findall(rb"[\x80-\xff][\x40-\xff]*", head)
    words = [run for run in runs if sum(byte >= 0x80 for byte in run[:2]) == 2 or run[0] < 0xA0]
    if not words or len(words) < len(runs) / 2:  # letters with accents stand alone between others
        return "cp1252"
    high = [byte for run in words for byte in run if byte >= 0x80]
    if sum(byte >= 0xC0 for byte in high) >= 0.95 * len(high) and sum(byte >= 0xE0 for byte in high) > 0.6 * len(high):
        return "cp1251"
    for name, low, last in (("shift_jis", 0x81, 0x9F), ("gb18030", 0xA1, 0xF7)):
        leads = [run[0] for run in words]
        if sum(low <= lead <= last for lead in leads) >= 0.8 * len(leads) and _decodes(head, name):
            return name
    return "cp1252"


def _decodes(head: bytes, encoding: str) -> bool:
    try:
        head[: head.rfind(b"\n") + 1 or None].decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def is_bare_utf16(head: bytes) -> bool:
    """Recognise two-byte text whose mark is absent: every second byte is zero, the others are printable."""
    return len(head) > 20 and not any(head[1:400:2]) and all(byte >= 32 or byte in b"\t\r\n" for byte in head[:400:2])


def parse_date(text: str) -> datetime | None:
    """Parse a date with a clock time in any common spelling; None if it is none."""
    import pandas as pd

    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        pass
    try:
        stamp = pd.to_datetime(text.strip()) if _DATE_HINT.search(text) else pd.NaT
    except (ValueError, OverflowError):
        return None
    return None if pd.isna(stamp) else stamp.to_pydatetime()


def header_rates(lines: list[str], decimal: str = ".") -> tuple[Rate, ...]:
    """Find statements of the sampling rate in header lines; one that is not understood to its end is none."""
    return tuple(rate for line in lines for rate in _line_rates(line, decimal))


def _line_rates(line: str, decimal: str) -> list[Rate]:
    found: list[Rate] = []
    source = f"header line {line.strip()[:60]!r}"
    text, at = line.strip().lstrip("#%/*;!$ ").strip(), 0
    while at < len(text) and (match := _STATEMENT.search(text, at)):
        at = match.end() - len(match["end"].lstrip("\"')] ")) if match["end"].strip() else match.end()
        at = max(at, match.start() + 1)
        before = text[: match.start()].rstrip()
        is_short = len(match["key"]) < 5 and before and before[-1] not in ",;:|("
        if is_short or not states_rate(match["key"]):
            at = match.end("key") if match["sign"].isspace() else at
            continue
        value, unit = match["value"].strip(), (match["unit"] or "").strip()
        halves = re.split(r"[,;\t]", value)
        value = halves[0] if len(halves) == 2 and halves[0] == halves[1] else value  # one number a channel
        if not unit and (cell := re.match(r"[;,\t|]\s*\"?([^\s;,\t|\"]+)\"?\s*(?:$|[;,\t|])", text[match.end() - 1 :])):
            unit = cell[1] if hertz_per(cell[1]) or time_unit(cell[1]) else ""
        rate = rate_of(match["key"], f"{value} {unit}".strip(), source, decimal)
        if rate and not any(rate.hz == other.hz for other in found):
            found.append(rate)
    return found


def header_unit(lines: list[str]) -> str | None:
    """Find a line that gives one unit for all columns: ``# Unit: g``."""
    found = [match[1] for line in lines if (match := _UNIT_LINE.match(line))]
    return known_unit(found[0]) if found else None


def header_date(lines: list[str]) -> datetime | None:
    """Find the date of the recording in header lines."""
    for line in lines:
        text = re.sub(r"^[#%\s]*(date|time|start(ed)?|recorded)\w*\s*[:;,=]\s*", "", line.strip(), flags=re.IGNORECASE)
        if len(text) < 60 and (date := parse_date(text.strip("\t;, "))):
            return date
    return None
