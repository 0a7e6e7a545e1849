"""How a text file writes its table: found from where most lines are rows of numbers."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass, field

from camvib.readers._header import read_header
from camvib.readers.parsing.stamps import StampForm, find_form, is_stamp

_NUMBER = {
    # With thousands in groups only where both signs stand: 1,234 alone may be one and a quarter.
    ".": re.compile(r"[-+\u2212]?(\d+\.?\d*|\.\d+|\d{1,3}(,\d{3})+\.\d+)([eEdD][-+]?\d+)?$"),
    ",": re.compile(r"[-+\u2212]?(\d+,?\d*|,\d+|\d{1,3}(\.\d{3})+,\d+)([eEdD][-+]?\d+)?$"),
}
GROUPING = re.compile(r"(?<=\d)[ \u00a0\u202f'’](?=\d{3}(\D|$))")
MISSING = {"", "nan", "na", "n/a", "null", "none", "-nan", "#n/a", "inf", "-inf", "∞", "-∞", "+∞", "\u2212∞"}
COMMENTS = "#%;"
_SEPARATORS = (
    ("\t", "."), ("\t", ","), (";", "."), (";", ","), (",", "."), ("|", "."), ("|", ","),
    (r"\s+", "."), (r"\s+", ","),
)  # fmt: skip
_LOOK, _ALL, _EACH = 2400, 300, 16  # of so many lines the first are looked at, and each sixteenth of the others


@dataclass(frozen=True)
class Dialect:
    """Separator, decimal sign, the line where rows begin, names, units, and the positions of date columns."""

    separator: str
    decimal: str
    width: int
    first_row: int
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    dates: dict[int, StampForm] = field(default_factory=dict)
    comment: str | None = None


def find_dialect(lines: list[str], tail: list[str] | None = None) -> Dialect | None:
    """Find how the table is written; None if no line is a row of numbers. `tail` are some of the last lines."""
    tail = tail or []
    return _find(lines, tail, words=0.0) or _find(lines, tail, words=0.67)


def _find(lines: list[str], tail: list[str], words: float) -> Dialect | None:
    """Find the table; `words` is the largest share of cells in a row that may be text (labels, comments)."""
    best: tuple[int, int, int] = (0, 0, 0)
    found: tuple[str, str] | None = None
    widest = 0
    sample = lines[:_LOOK]
    looked = [*sample[:_ALL], *sample[_ALL::_EACH]]
    for separator, decimal in _SEPARATORS:
        widths = Counter(width for line in looked if (width := _row_width(line, separator, decimal, words)))
        if not widths:
            continue
        width, count = max(widths.items(), key=lambda item: item[::-1])
        score = (count, width, -len(separator))
        if score > best:
            best, found = score, (separator, decimal)
            widest = max((n for n, many in widths.items() if many >= max(3, 0.005 * count)), default=width)
    if found is None or (words and best[0] < max(10, 0.8 * sum(bool(line.strip()) for line in looked))):
        return None
    (separator, decimal), width = found, best[1]
    first = _first_row(sample, separator, decimal, (width, widest), words)
    if separator == "," and _is_decimal_comma(sample[first:], lines[:first]):
        separator, decimal, width, widest = ";", ",", 1, 1
    if width < widest <= max((len(split(line, separator)) for line in lines[max(first - 12, 0) : first]), default=0):
        width = widest  # a slow channel leaves the last cells of most rows empty; the header names it
    names, units = read_header(lines[:first], separator, width, decimal)
    dates = _dates(lines[first : first + _LOOK] + tail, separator, decimal)
    comment = next((mark for mark in "#%" if any(line.lstrip().startswith(mark) for line in lines[first:])), None)
    return Dialect(separator, decimal, width, first, _unique(names), units, dates, comment)


def _first_row(lines: list[str], separator: str, decimal: str, widths: tuple[int, int], words: float) -> int:
    """Find where the table begins: a row of the usual width, in which a comment may stand, that others follow."""
    width = widths[0]

    def is_usual(line: str) -> bool:
        return width <= _row_width(line, separator, decimal, words) <= widths[1]

    for i, line in enumerate(lines):
        cells = split(line, separator)
        numeric = [bool(_NUMBER[decimal].match(cell)) for cell in cells[:width]]
        is_mixed = len(cells) >= width > 1 and numeric[0] and 2 * sum(numeric) >= width
        is_row = is_usual(line)
        if not is_row and not is_mixed:
            continue
        following = [later for later in lines[i + 1 : i + 16] if later.strip()][:8]
        rows = [later for later in following if is_usual(later)]
        is_led = is_row or (following and rows[:1] == following[:1])
        if is_led and len(rows) >= (0.5 if is_row else 0.75) * len(following):
            return i
    return next(i for i, line in enumerate(lines) if is_usual(line))


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
    if not line.strip() or line.lstrip()[0] in COMMENTS:
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
    if cell.lower() in MISSING:
        return "missing"
    if is_stamp(cell):
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


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    """Number repeated names: ``X_Value`` stays, since a time column may repeat."""
    seen: dict[str, int] = {}
    unique = []
    for i, name in enumerate(names):
        name = name or f"column_{i + 1}"
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(unique)


def _dates(rows: list[str], separator: str, decimal: str) -> dict[int, StampForm]:
    """Positions of date columns, and how their stamps are written."""
    table = [split(row, separator) for row in rows]
    found = {}
    for i, cell in enumerate(table[0] if table else []):
        if not is_stamp(cell) or _NUMBER["."].match(cell) or _NUMBER[","].match(cell):
            continue
        form = find_form([row[i] for row in table if i < len(row)], day_first=decimal == ",")
        if form:
            found[i] = form
    return found
