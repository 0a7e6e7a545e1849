"""CSV, TSV and other columns of text, in their wild forms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from camvib.errors import EmptyFile, ReadError
from camvib.readers._dialect import Dialect, find_dialect
from camvib.readers._text_columns import read_columns
from camvib.readers.parsing.channel import Channel, LeftOut, Rate, stated_rate
from camvib.readers.parsing.column import Column
from camvib.readers.parsing.names import fits_unit, is_time, known_unit, split_name
from camvib.readers.parsing.table import Found, table_channels
from camvib.readers.parsing.text import encoding_of, header_date, header_rates, header_unit, is_bare_utf16

priority = 0  # any text might be CSV: asked last

_HEAD_BYTES = 1 << 18
_TAIL_BYTES = 1 << 13
_OUTLIER = 10  # so many times beyond all samples, a first row of equal whole numbers is the rate
_WRAPPED = re.compile(
    r"\b(?:npts|n_?points|(?:number of|no\.? of|data) (?:data )?(?:points|samples))\s*[:=,;\t]\s*(\d+)", re.IGNORECASE
)
_IN_UNITS = re.compile(r"\bin units? of ([^\s,;]+)|\bunits? (?:are|is) ([^\s,;]+)", re.IGNORECASE)


def sniff(head: bytes, path: Path) -> bool:
    """Recognise text; whether it is made of numbers is for `read` to say."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or is_bare_utf16(head):
        return True
    printable = sum(byte >= 32 or byte in b"\t\r\n\f" for byte in head)
    return b"\x00" not in head and printable >= 0.99 * len(head)


def read(path: Path) -> Iterator[Found]:
    """Read columns of numbers; delimiter, decimal sign, header, unit row and time column are found from the content."""
    with path.open("rb") as handle:
        head = handle.read(_HEAD_BYTES)
        handle.seek(max(len(head), path.stat().st_size - _TAIL_BYTES))
        end = handle.read(_TAIL_BYTES) if len(head) == _HEAD_BYTES else b""
    encoding = encoding_of(head)
    lines = head.decode(encoding, "replace").splitlines()
    if len(head) == _HEAD_BYTES:
        lines = lines[:-1]
    tail = end.decode(encoding, "replace").splitlines()[1:]
    dialect = find_dialect(lines, tail)
    if dialect is None:
        raise ReadError(
            f"{path}: no line of this text file is made of numbers", "Give one sample a line, in columns of numbers"
        )
    footer = [line for line in (tail or lines[dialect.first_row :])[-20:] if re.match(r"\W*[^\W\d]", line)]
    yield from text_channels(path, dialect, encoding, "csv", [*lines[: dialect.first_row], *footer])


def text_channels(path: Path, dialect: Dialect, encoding: str, form: str, header: list[str]) -> Iterator[Found]:
    """Read the table that `dialect` describes."""
    found = read_columns(path, dialect, encoding)
    yield from found.left_out
    if not found.values or not max(len(values) for values in found.values.values()):
        raise EmptyFile(f"{path}: no rows of numbers", "Check how the file was exported")
    rates, date, unit = header_rates(header, dialect.decimal), header_date(header), header_unit(header)
    table = []
    for i, values in found.values.items():
        name = dialect.names[i] if dialect.names else f"column_{i + 1}"
        if i in dialect.dates:
            name = name if is_time(name) or not dialect.names else f"time {name}"
            table.append(Column(name, values, "s", rates, date, named=bool(dialect.names)))
            continue
        own = (dialect.units[i] if dialect.units else None) or split_name(name)[1]
        stated = own or (unit if unit and not is_time(name) and fits_unit(name, unit) else None)
        labels = found.labels.get(i, ())
        table.append(Column(name, values, stated or None, rates, date, named=bool(dialect.names), labels=labels))
    table = _first_rows(_wrapped(table, header), header)
    channels = 0
    for one in table_channels(table, form, found.notes):
        channels += isinstance(one, Channel)
        yield one
    if not channels:
        raise ReadError(
            f"{path}: no column of numbers beside the time. {_reasons(found.left_out, table)}".rstrip(". "),
            "Give one sample a line, in columns of numbers",
        )


def _reasons(left_out: list[LeftOut], table: list[Column]) -> str:
    texts = [f"column {column.name!r} is text" for column in table if column.labels]
    return "; ".join([*texts, *(f"column {one.name!r} is {one.reason}" for one in left_out)])


def _wrapped(table: list[Column], header: list[str]) -> list[Column]:
    """Join lines that hold several samples each, if the header counts as many samples as there are cells."""
    match = next((match for line in header if (match := _WRAPPED.search(line))), None)
    if match is None or len(table) < 2 or any(column.labels for column in table):
        return table
    n, rows, width = int(match[1]), len(table[0].values), len(table)
    if not rows * (width - 1) < n <= rows * width or rows < 2:
        return table
    values = np.full((rows, width), np.nan)
    for i, column in enumerate(table):
        values[: len(column.values), i] = column.values
    words = next((match[1] or match[2] for line in header if (match := _IN_UNITS.search(line))), "")
    unit = known_unit(words) or known_unit(words.lower()) or table[0].unit
    return [replace(table[0], name="samples", values=values.reshape(-1)[:n], unit=unit, named=True)]


def _first_rows(table: list[Column], header: list[str]) -> list[Column]:
    """Take rate and start from the first rows, where a device without a header writes them in every column.

    A row that holds one whole number in all columns, beyond all samples, is the rate; above it may stand seconds since
    1970. A line of two numbers above a single column is the number of samples and the increment or rate.
    """
    if any(column.named or column.labels for column in table) or not table:
        return table
    if len(table) == 1:
        return _counted(table[0], header)
    firsts = [[float(column.values[row]) for column in table] for row in range(min(3, len(table[0].values)))]
    is_epoch = len(firsts) > 1 and len(set(firsts[0])) == 1 and 1e9 <= firsts[0][0] < 2e9
    row = 1 if is_epoch else 0
    hz = firsts[row][0] if len(firsts) > row else 0.0
    rest = max(
        (float(np.nanmax(np.abs(column.values[row + 1 :]))) for column in table if len(column.values) > row + 1),
        default=hz,
    )
    rate = stated_rate(hz, f"row {row + 1}")
    is_rate = len(set(firsts[row])) == 1 and hz.is_integer() and (is_epoch or hz > _OUTLIER * rest)
    if not is_rate or rate is None or not rate.is_plausible:
        return table
    note = f"row {row + 1} holds {hz:.12g} in all columns: taken for the sampling rate in Hz"
    return [_without(column, row + 1, rate, note) for column in table]


def _counted(column: Column, header: list[str]) -> list[Column]:
    cells = re.split(r"[\s;,]+", header[-1].strip()) if header else []
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        return [column]
    if len(numbers) != 2 or len(column.values) not in numbers:
        return [column]
    other = numbers[1 - numbers.index(len(column.values))]
    rate = stated_rate(other if other >= 1 else 1 / other if other > 0 else 0.0, f"header line {header[-1].strip()!r}")
    return [_without(column, 0, rate, "")] if rate else [column]


def _without(column: Column, rows: int, rate: Rate, note: str) -> Column:
    notes = (*column.warnings, note) if note else column.warnings
    return replace(column, values=column.values[rows:], rates=(*column.rates, rate), warnings=notes)
