"""How a text file writes its table: found from where most lines are rows of numbers."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass, field

from camvib.readers.parsing.names import known_unit
from camvib.readers.parsing.text import header_rates, header_unit

_NUMBER = {
    # With thousands in groups only where both signs stand: 1,234 alone may be one and a quarter.
    ".": re.compile(r"[-+]?(\d+\.?\d*|\.\d+|\d{1,3}(,\d{3})+\.\d+)([eEdD][-+]?\d+)?$"),
    ",": re.compile(r"[-+]?(\d+,?\d*|,\d+|\d{1,3}(\.\d{3})+,\d+)([eEdD][-+]?\d+)?$"),
}
GROUPING = re.compile(r"(?<=\d)[ \u00a0\u202f'’](?=\d{3}(\D|$))")
_MISSING = {"", "nan", "na", "n/a", "null", "none", "-nan", "#n/a", "inf", "-inf"}
_DATE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?)?(Z|[-+]\d{2}:?\d{2})?$"
    r"|\d{1,2}:\d{2}:\d{2}([.,]\d+)?$"
)
_SEPARATORS = (
    ("\t", "."), ("\t", ","), (";", "."), (";", ","), (",", "."), ("|", "."), ("|", ","),
    (r"\s+", "."), (r"\s+", ","),
)  # fmt: skip
_LOOK = 2400  # lines


@dataclass(frozen=True)
class Dialect:
    """Separator, decimal sign, the line where rows begin, names, units, and the positions of date columns."""

    separator: str
    decimal: str
    width: int
    first_row: int
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    dates: dict[int, int] = field(default_factory=dict)
    comment: str | None = None


def find_dialect(lines: list[str]) -> Dialect | None:
    """Find how the table is written; None if no line is a row of numbers."""
    return _find(lines, words=0.0) or _find(lines, words=0.5)


def _find(lines: list[str], words: float) -> Dialect | None:
    """Find the table; `words` is the largest share of cells in a row that may be text (labels, comments)."""
    best: tuple[int, int, int] = (0, 0, 0)
    found: tuple[str, str] | None = None
    sample = lines[:_LOOK]
    for separator, decimal in _SEPARATORS:
        widths = Counter(width for line in sample if (width := _row_width(line, separator, decimal, words)))
        if not widths:
            continue
        width, count = max(widths.items(), key=lambda item: item[::-1])
        score = (count, width, -len(separator))
        if score > best:
            best, found = score, (separator, decimal)
    if found is None or (words and best[0] < max(10, 0.8 * sum(bool(line.strip()) for line in sample))):
        return None
    (separator, decimal), width = found, best[1]
    first = _first_row(sample, separator, decimal, width, words)
    if separator == "," and _is_decimal_comma(sample[first:], lines[:first]):
        separator, decimal, width = ";", ",", 1
    names, units = _header(lines[:first], separator, width)
    dates = _dates(lines[first], separator)
    comment = next((mark for mark in "#%" if any(line.lstrip().startswith(mark) for line in lines[first:])), None)
    return Dialect(separator, decimal, width, first, names, units, dates, comment)


def _first_row(lines: list[str], separator: str, decimal: str, width: int, words: float) -> int:
    """Find where the table begins: a row of the usual width, in which a comment may stand, that others follow."""
    for i, line in enumerate(lines):
        cells = split(line, separator)
        numeric = [bool(_NUMBER[decimal].match(cell)) for cell in cells[:width]]
        is_mixed = len(cells) >= width > 1 and numeric[0] and 2 * sum(numeric) >= width
        if not is_mixed and _row_width(line, separator, decimal, words) != width:
            continue
        following = [later for later in lines[i + 1 : i + 12] if later.strip()][:5]
        if 2 * sum(_row_width(later, separator, decimal, words) > 0 for later in following) >= len(following):
            return i
    return next(i for i, line in enumerate(lines) if _row_width(line, separator, decimal, words) == width)


def split(line: str, separator: str) -> list[str]:
    """Split a line into stripped cells; a separator at the very end opens no further cell."""
    if separator == r"\s+":
        return line.split()
    cells = [cell.strip() for cell in next(csv.reader([line.replace("\x00", "")], delimiter=separator), [])]
    while len(cells) > 1 and not cells[-1]:
        cells.pop()
    return cells


def _row_width(line: str, separator: str, decimal: str, words: float = 0.0) -> int:
    """Number of cells if they are numbers, dates or empty and at least one is a number or NaN; else 0."""
    if not line.strip() or line.lstrip()[0] in "#%":
        return 0
    cells = split(line, separator)
    texts, is_row = 0, False
    for cell in cells:
        kind = _kind(cell, decimal)
        texts += kind == "text"
        is_row = is_row or kind == "number" or (kind == "missing" and bool(cell))
        if texts > words * len(cells):
            return 0
    return len(cells) if is_row else 0


def _kind(cell: str, decimal: str) -> str:
    number = _NUMBER[decimal]
    if number.match(cell):
        return "number"
    if cell.lower() in _MISSING:
        return "missing"
    if _DATE.match(cell):
        return "date"
    return "number" if number.match(plain(cell)) else "text"


def plain(cell: str) -> str:
    """Leave out blanks and apostrophes between groups of digits."""
    return GROUPING.sub("", cell)


def _is_decimal_comma(rows: list[str], header: list[str]) -> bool:
    """Tell one column with decimal commas from two columns of whole numbers."""
    cells = [line.strip().split(",") for line in rows if _row_width(line, ",", ".") == 2]
    if not cells or any(len(row) != 2 or not re.fullmatch(r"\d+([eE][-+]?\d+)?", row[1]) for row in cells):
        return False
    if header and header[-1].count(",") == 1:
        return False
    widths = {len(row[1]) for row in cells}
    return any(len(row[1]) > 1 and row[1].startswith("0") for row in cells) or (
        len(widths) == 1 and widths != {1} and any(row[0] in ("0", "-0") for row in cells)
    )


def _header(lines: list[str], separator: str, width: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Find the line of names, and the line of units below it, among the last lines before the rows."""
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    for line in reversed(lines[-8:]):
        cells = split(line.lstrip("#%/ ") if line.lstrip()[:1] in ("#", "%", "/") else line, separator)
        if (len(cells) == 1 and width > 1 and separator != r"\s+") or header_unit([line]) or header_rates([line]):
            continue
        cells += [""] * (width - len(cells)) if 0 < width - len(cells) <= 1 else []
        if not width <= len(cells) <= width + 1 or not any(re.search(r"[^\W\d]{1,}", cell) for cell in cells):
            continue
        if not units and not names and _is_unit_row(cells):
            units = tuple(cells[:width])
            continue
        names = tuple(cells[:width])
        break
    return _unique(names), units


def _is_unit_row(cells: list[str]) -> bool:
    words = [cell for cell in cells if cell.strip("-")]
    return bool(words) and all(known_unit(word.strip("()")) or known_unit(word) for word in words)


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    """Number repeated names: ``X_Value`` stays, since a time column may repeat."""
    seen: dict[str, int] = {}
    unique = []
    for i, name in enumerate(names):
        name = name or f"column_{i + 1}"
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(unique)


def _dates(row: str, separator: str) -> dict[int, int]:
    """Positions of date columns, with the first date in nanoseconds since 1970 (UTC where no zone is given)."""
    import pandas as pd

    found = {}
    for i, cell in enumerate(split(row, separator)):
        if not _DATE.match(cell) or _NUMBER["."].match(cell) or _NUMBER[","].match(cell):
            continue
        stamp = pd.to_datetime(cell, utc=True, errors="coerce", format="mixed")
        if not pd.isna(stamp):
            found[i] = int(stamp.value)
    return found
