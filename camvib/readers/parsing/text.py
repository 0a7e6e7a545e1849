"""Text as instruments write it: bytes → str, dates, sampling rates in header lines."""

from __future__ import annotations

import re
from datetime import datetime

from camvib.readers.parsing.channel import Rate, rate_from_printed_step, stated_rate
from camvib.readers.parsing.names import known_unit

_NUMBER = r"([-+]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?)"
_RATE_LINE = re.compile(
    r"(?:sampl(?:ing|e)[ _-]*(?:frequency|freq|rate)|abtastrate|\bfs)(?:[ _]?(?:in )?[\[(]?(k?hz)[\])]?)?"
    rf"\W{{0,6}}?[-:=;,\s]+{_NUMBER}\s*(k?hz)?",
    re.IGNORECASE,
)
_STEP_LINE = re.compile(
    rf"(?:delta[ _]?[tx]|\bdt|sampl(?:ing|e)[ _-]*(?:interval|period))[-:=;,\s]+{_NUMBER}", re.IGNORECASE
)
_UNIT_LINE = re.compile(r"[#%/\s\"]*units?\"?\s*[:=,;\t]\s*\"?([^\s,;\t\"]+)\"?[,;\s]*$", re.IGNORECASE)
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
        return "cp1252"
    return "utf-8"


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


def header_rates(lines: list[str]) -> tuple[Rate, ...]:
    """Find statements of the sampling rate in header lines."""
    found = []
    for line in lines:
        if match := _RATE_LINE.search(line):
            unit = (match[1] or match[3] or "Hz").lower()
            number = float(match[2].replace(",", "."))
            found.append(stated_rate(number * (1e3 if unit == "khz" else 1.0), f"header line {line.strip()[:60]!r}"))
        elif match := _STEP_LINE.search(line):
            found.append(rate_from_printed_step(match[1].replace(",", "."), f"header line {line.strip()[:60]!r}"))
    return tuple(rate for rate in found if rate)


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
