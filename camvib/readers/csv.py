"""CSV, TSV and other columns of text, in their wild forms."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.errors import EmptyFile, ReadError
from camvib.readers._dialect import GROUPING, Dialect, find_dialect
from camvib.readers.parsing.blocks import Spool
from camvib.readers.parsing.channel import Channel
from camvib.readers.parsing.names import is_time, split_name
from camvib.readers.parsing.table import Column, table_channels
from camvib.readers.parsing.text import encoding_of, header_date, header_rates, header_unit, is_bare_utf16

priority = 0  # any text might be CSV: asked last

_HEAD_BYTES = 1 << 18
_CHUNK_ROWS = 1 << 18
_FOOTER_ROWS = 256  # text at the end of a file is looked for among so many rows
_MAX_BAD = 0.05  # share of cells that are no numbers, above which a column is text


def sniff(head: bytes, path: Path) -> bool:
    """Recognise text; whether it is made of numbers is for `read` to say."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or is_bare_utf16(head):
        return True
    printable = sum(byte >= 32 or byte in b"\t\r\n\f" for byte in head)
    return b"\x00" not in head and printable >= 0.99 * len(head)


def read(path: Path) -> Iterator[Channel]:
    """Read columns of numbers; delimiter, decimal sign, header, unit row and time column are found from the content."""
    with path.open("rb") as handle:
        head = handle.read(_HEAD_BYTES)
    encoding = encoding_of(head)
    lines = head.decode(encoding, "replace").splitlines()
    if len(head) == _HEAD_BYTES:
        lines = lines[:-1]
    dialect = find_dialect(lines)
    if dialect is None:
        raise ReadError(
            f"{path}: no line of this text file is made of numbers", "Give one sample a line, in columns of numbers"
        )
    yield from text_channels(path, dialect, encoding, "csv", lines[: dialect.first_row])


def text_channels(path: Path, dialect: Dialect, encoding: str, form: str, header: list[str]) -> Iterator[Channel]:
    """Read the table that `dialect` describes."""
    columns, notes = read_columns(path, dialect, encoding)
    if not columns or not max(len(values) for values in columns.values()):
        raise EmptyFile(f"{path}: no rows of numbers", "Check how the file was exported")
    rates, date, unit = header_rates(header), header_date(header), header_unit(header)
    table = []
    for i, values in columns.items():
        name = dialect.names[i] if dialect.names else f"column_{i + 1}"
        if i in dialect.dates:
            name = name if is_time(name) or not dialect.names else f"time {name}"
            table.append(Column(name, values, "s", rates, date, named=bool(dialect.names)))
            continue
        stated = (
            (dialect.units[i] if dialect.units else None) or split_name(name)[1] or (None if is_time(name) else unit)
        )
        table.append(Column(name, values, stated, rates, date, named=bool(dialect.names)))
    channels = list(table_channels(table, form, notes))
    if not channels:
        raise ReadError(
            f"{path}: no column of numbers beside the time. {'; '.join(notes)}".rstrip(". "),
            "Give one sample a line, in columns of numbers",
        )
    yield from channels


def read_columns(path: Path, dialect: Dialect, encoding: str) -> tuple[dict[int, NDArray[np.floating]], list[str]]:
    """Stream the numeric columns; returns them by position, trailing empty cells cut off."""
    expected = path.stat().st_size
    spools = [Spool(expected) for _ in range(dialect.width)]
    n_text = np.zeros(dialect.width, int)
    tail = np.zeros((0, dialect.width), bool)  # which cells of the last rows are text
    rows, extra = 0, 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for chunk in _chunks(path, dialect, encoding):
            rows += len(chunk)
            extra += int(chunk.iloc[:, dialect.width :].notna().any(axis=1).sum())
            text = np.zeros((len(chunk), dialect.width), bool)
            for i, spool in enumerate(spools):
                values, text[:, i] = _numbers(chunk.iloc[:, i], dialect, i)
                spool.append(values)
            n_text += text.sum(axis=0)
            tail = np.concatenate([tail, text[-_FOOTER_ROWS:]])[-_FOOTER_ROWS:]
    skipped = sum(str(note.message).count("Skipping line") for note in caught)
    notes = [f"{skipped} lines with too many columns are left out"] if skipped else []
    notes += [f"{extra} lines have more than {dialect.width} columns"] if extra else []
    kept = n_text <= max(_MAX_BAD * rows, 2)
    if not kept.any():
        raise ReadError(f"{path}: the columns hold text, not numbers", "Give one sample a line, in columns of numbers")
    clean = np.flatnonzero(~tail[:, kept].any(axis=1))
    footer = len(tail) - 1 - int(clean[-1]) if len(clean) else 0
    columns = {}
    for i, spool in enumerate(spools):
        values, name = spool.close(), dialect.names[i] if dialect.names else f"column_{i + 1}"
        if not kept[i]:
            notes.append(f"column {name!r} is text and is left out")
            continue
        length = _filled(values[: len(values) - footer])
        if length < len(values):
            notes.append(f"column {name!r}: the last {len(values) - length} rows are empty and are left out")
        columns[i] = values[:length] if length else values  # nothing but NaN is judged by the caller
    return columns, notes


def _chunks(path: Path, dialect: Dialect, encoding: str) -> Iterator[Any]:
    import pandas as pd

    yield from pd.read_csv(
        path, sep=dialect.separator, decimal=dialect.decimal, header=None, names=range(dialect.width + 4),
        skiprows=dialect.first_row, encoding=encoding, encoding_errors="replace", chunksize=_CHUNK_ROWS,
        on_bad_lines="warn", low_memory=False, skip_blank_lines=True, index_col=False, quotechar='"',
        comment=dialect.comment, float_precision="round_trip",
    )  # fmt: skip


def _numbers(cells: Any, dialect: Dialect, position: int) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Return a chunk's cells as numbers, and which cells hold text instead."""
    import pandas as pd

    if position in dialect.dates:
        times = pd.to_datetime(cells.astype(str), errors="coerce", format="mixed", utc=True)
        nanoseconds = times.dt.as_unit("ns").astype("int64").to_numpy()
        seconds = np.round((nanoseconds - dialect.dates[position]) * 1e-9, 9)
        return np.where(times.isna(), np.nan, seconds), (times.isna() & cells.notna()).to_numpy()
    if cells.dtype.kind in "fiu":
        return cells.to_numpy(), np.zeros(len(cells), bool)
    # A quoted cell, or a number with its thousands in groups.
    text = cells.astype("string").str.strip().str.replace(GROUPING, "", regex=True)
    group, decimal = (".", ",") if dialect.decimal == "," else (",", ".")
    grouped = text.str.contains(group, regex=False) & text.str.contains(decimal, regex=False)
    text = text.mask(grouped.fillna(False), text.str.replace(group, "", regex=False))
    if dialect.decimal == ",":
        text = text.str.replace(",", ".", regex=False)
    numbers = pd.to_numeric(text, errors="coerce").astype("float64").to_numpy(dtype=float, na_value=np.nan)
    wordless = cells.isna() | text.str.lower().isin(["nan", ""])
    return numbers, np.isnan(numbers) & ~wordless.to_numpy(dtype=bool)


def _filled(values: NDArray[Any]) -> int:
    """Length without trailing NaN, looked for from the end."""
    if values.dtype.kind != "f":
        return len(values)
    end = len(values)
    while end:
        tail = np.flatnonzero(~np.isnan(values[max(end - 65536, 0) : end]))
        if len(tail):
            return max(end - 65536, 0) + int(tail[-1]) + 1
        end = max(end - 65536, 0)
    return 0
