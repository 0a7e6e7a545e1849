"""The lines above a table: names of its columns and their units, among whatever else an instrument writes there."""

from __future__ import annotations

import csv
import re

from camvib.readers.parsing.names import known_unit
from camvib.readers.parsing.stamps import is_stamp
from camvib.readers.parsing.text import header_rates, header_unit

_LOOK = 40  # lines
_NAMES_KEY = re.compile(
    r"(channel|trace|signal|curve|column|kanal|spalten?|sensor|measurement)?[ _-]*"
    r"(titles?|names?|headers?|labels?|namen?)|"
    r"channels?|ch\.?|kan[aä]le?|signale?|traces?|y[ _-]?label|data",
    re.IGNORECASE,
)
_UNITS_KEY = re.compile(
    r"(v|y|vertical|channel|signal|amplitude|trace|y[ -]?axis|kanal)?[ _-]*(units?|einheit(en)?|unit[ée]s?)"
    r"([ _-]*(names?|labels?))?|y_unit_label",
    re.IGNORECASE,
)
_X_UNITS_KEY = re.compile(
    r"(h|x|horizontal|time|x[ -]?axis)[ _-]*(units?|einheit)([ _-]*(names?|labels?))?", re.IGNORECASE
)
_RANGE_KEY = re.compile(r"(v|input|measuring|channel)?[ _-]*(ranges?|messbereich)", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]|[°%]")
_NUMBER = re.compile(r"[-+]?[\d.,]*\d[\d.,]*([eE][-+]?\d+)?")


def read_header(lines: list[str], separator: str, width: int, decimal: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Find the names and units of `width` columns; each is empty if no line gives them."""
    rows: list[list[str]] = []  # lines that may be names or units, the lowest first
    keyed: dict[str, list[str]] = {}
    is_settled = False  # names are given by key, nearer to the table than any others
    for line in reversed(lines[-_LOOK:]):
        cells = _cells(line, separator)
        if not any(cells):
            continue
        if kind := _key(cells, width):
            keyed.setdefault(kind, cells[1:])
            is_settled = is_settled or (kind == "names" and not rows)
            continue
        if (
            is_settled
            or header_unit([line])
            or header_rates([line], decimal)
            or not _may_be_names(cells, width, separator)
        ):
            if rows and len(cells) > 1:
                break
            continue
        rows.append((cells + [""] * width)[:width])
        if len(rows) == 4:
            break
    units = next((row for i, row in enumerate(rows) if _is_unit_row(row, bool(rows[i + 1 :]))), None)
    others = [row for row in rows if row is not units]
    above = rows[rows.index(units) + 1 :] if units else []
    names = next((row for row in [*above, *others] if _is_distinct(row)), others[-1] if others else None)
    return _names(names, keyed, width), _units(units, keyed, width)


def _cells(line: str, separator: str) -> list[str]:
    text = line.strip("\r\n")
    mark = text.lstrip()[:1]
    text = text.lstrip().lstrip("#%/; ") if (mark and mark in "#%/") or (mark == ";" and separator != ";") else text
    if separator == r"\s+":
        return text.split()
    cells = [cell.strip() for cell in next(csv.reader([text.replace("\x00", "")], delimiter=separator), [])]
    while len(cells) > 1 and not cells[-1]:
        cells.pop()
    return cells


def _key(cells: list[str], width: int) -> str:
    """Tell what a line gives that begins with a key; empty if it may be names or units themselves."""
    key = cells[0].rstrip(" :=").strip()
    for kind, pattern in (
        ("names", _NAMES_KEY),
        ("units", _UNITS_KEY),
        ("x unit", _X_UNITS_KEY),
        ("range", _RANGE_KEY),
    ):
        if len(cells) > 1 and pattern.fullmatch(key):
            is_plain = kind == "names" and not cells[0].endswith((":", "=")) and len(cells) == width and width > 1
            return "" if is_plain and not _same_kind(cells) else kind
    return "other" if len(cells) > 1 and cells[0].endswith((":", "=")) else ""


def _same_kind(cells: list[str]) -> bool:
    """Tell ``Kanal, Zeit, Weg`` above an empty first column from names of which the first is ``Channel``."""
    return cells[0].lower() in ("kanal", "headers", "header", "channeltitle", "trace name", "tracename", "names")


def _may_be_names(cells: list[str], width: int, separator: str) -> bool:
    if len(cells) == 1 and width > 1 and separator != r"\s+":
        return False
    short = 1 if separator != r"\s+" or width > 2 else 0
    if not width - short <= len(cells) <= width + 1 or len(cells) < 1:
        return False
    if not any(_WORD.search(cell) for cell in cells) or any(is_stamp(cell) for cell in cells):
        return False
    numbers = [cell for cell in cells if _NUMBER.fullmatch(cell)]  # of a channel: small; else a key's value
    return all(cell.isdigit() and int(cell) <= 64 for cell in numbers)


def _is_distinct(cells: list[str]) -> bool:
    words = [cell for cell in cells if cell]
    return len(words) == 1 or len(set(words)) > 1


def _is_unit_row(cells: list[str], has_names: bool) -> bool:
    """Tell a row of units: all are known, or half of them where a row of names stands above and the rest is short."""
    words = [cell.strip() for cell in cells if cell.strip("-[](){} ")]
    if len(words) > 1 and _UNITS_KEY.fullmatch(words[0]):
        words = words[1:]
    known = [word for word in words if known_unit(word)]
    if len(known) == len(words):
        return bool(words)
    return has_names and 2 * len(known) >= len(words) and all(len(word) <= 8 for word in words)


def _names(row: list[str] | None, keyed: dict[str, list[str]], width: int) -> tuple[str, ...]:
    if row is not None:
        return tuple(row)
    given = keyed.get("names", [])
    if len(given) == 1 and given[0].count(":") == width - 2 > 0:  # DATA,X:Y behind a column of time
        given = [cell.strip() for cell in given[0].split(":")]
    if given and all(_NUMBER.fullmatch(cell) for cell in given):
        return ()
    return tuple([""] * (width - len(given)) + given[:width]) if given else ()


def _units(row: list[str] | None, keyed: dict[str, list[str]], width: int) -> tuple[str, ...]:
    """Units of all columns; those given by key belong to the last columns, that of the abscissa to the one before."""
    if row is not None:
        return tuple("" if _UNITS_KEY.fullmatch(cell) else cell for cell in row)
    given = keyed.get("units", [])
    if not given and (ranges := keyed.get("range")):  # 5 V: the range of a channel is in its unit
        words = [cell.rpartition(" ")[2] for cell in ranges]
        given = words if all(known_unit(word) for word in words) else []
    given = [cell.strip("\"' ") for cell in given][:width]
    if not given:
        return ()
    units = [""] * (width - len(given)) + given
    if (x := keyed.get("x unit")) and len(given) < width:
        units[width - len(given) - 1] = x[0].strip("\"' ")
    return tuple(units)
