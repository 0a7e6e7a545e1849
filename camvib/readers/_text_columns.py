"""The rows of a text file, streamed into columns: numbers, stamps, and words that may name sensors."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.errors import ReadError
from camvib.readers._dialect import GROUPING, MISSING, Dialect
from camvib.readers.parsing.blocks import Spool
from camvib.readers.parsing.channel import LeftOut

_CHUNK_ROWS = 1 << 18
_FOOTER_ROWS = 256  # text at the end of a file is looked for among so many rows
_MAX_BAD = 0.4  # share of cells that are no numbers, above which a column is text
_MOST_WORDS = 64  # different words that may still be names of sensors
_FEW = 0.05
_SPARSE = 0.5  # share of rows with a number, below which a column is that of a slower sensor


@dataclass
class TextColumns:
    """What a table of text holds.

    Attributes
    ----------
    values : dict of int to ndarray
        Numbers by position, trailing empty cells cut off; numbers of words where `labels` has the position.
    labels : dict of int to tuple of str
    notes : list of str
    left_out : list of LeftOut
    """

    values: dict[int, NDArray[Any]] = field(default_factory=dict)
    labels: dict[int, tuple[str, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


class _Gathered:
    """One column while the file is read."""

    def __init__(self, expected_bytes: int) -> None:
        self.spool, self.codes = Spool(expected_bytes), Spool(expected_bytes)
        self.words: dict[str, int] | None = {}
        self.bad: Counter[str] = Counter()
        self.n_text = 0

    def add(self, values: NDArray[Any], is_text: NDArray[np.bool_], cells: Any) -> None:
        self.spool.append(values)
        n = int(is_text.sum())
        self.n_text += n
        if n:
            words = cells[is_text].astype(str).str.strip()
            if len(self.bad) < 1000:
                self.bad.update(words[:10_000])
        if self.words is None:
            return
        codes = np.full(len(values), -1, np.int16)
        if n:
            for word in words.unique()[: _MOST_WORDS + 1]:
                self.words.setdefault(word, len(self.words))
            if len(self.words) > _MOST_WORDS:
                self.words = None
                return
            codes[is_text] = words.map(self.words).to_numpy(np.int16)
        self.codes.append(codes)


def read_columns(path: Path, dialect: Dialect, encoding: str) -> TextColumns:
    """Stream the columns of a table.

    Raises
    ------
    ReadError
        All columns are text, or the file holds several tables one after the other.
    """
    expected = path.stat().st_size * (1 + 4 * (dialect.width > 8))
    gathered = [_Gathered(expected) for _ in range(dialect.width)]
    tail = np.zeros((0, dialect.width), bool)  # which cells of the last rows are text
    rows, extra = 0, 0
    breaks: list[tuple[int, list[str]]] = []  # rows of words only, in the middle
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for chunk in _chunks(path, dialect, encoding):
            extra += int(chunk.iloc[:, dialect.width :].notna().any(axis=1).sum())
            text = np.zeros((len(chunk), dialect.width), bool)
            for i, one in enumerate(gathered):
                values, text[:, i] = _numbers(chunk.iloc[:, i], dialect, i)
                one.add(values, text[:, i], chunk.iloc[:, i])
            breaks += _breaks(chunk, text, rows)[: max(1000 - len(breaks), 0)]
            rows += len(chunk)
            tail = np.concatenate([tail, text[-_FOOTER_ROWS:]])[-_FOOTER_ROWS:]
    found = TextColumns()
    skipped = sum(str(note.message).count("Skipping line") for note in caught)
    found.notes += [f"{skipped} lines with too many columns are left out"] if skipped else []
    found.notes += [f"{extra} lines have more than {dialect.width} columns"] if extra else []
    kept = np.array([one.n_text <= max(_MAX_BAD * rows, 2) for one in gathered])
    if not kept.any():
        raise ReadError(f"{path}: the columns hold text, not numbers", "Give one sample a line, in columns of numbers")
    clean = np.flatnonzero(~tail[:, kept].any(axis=1))
    footer = len(tail) - 1 - int(clean[-1]) if len(clean) else 0
    _refuse_several(path, breaks, rows - footer, dialect)
    for i, one in enumerate(gathered):
        _finish(found, i, one, rows, footer, dialect, bool(kept[i]))
    return found


def _finish(found: TextColumns, i: int, one: _Gathered, rows: int, footer: int, dialect: Dialect, kept: bool) -> None:
    values, name = one.spool.close(), dialect.names[i] if dialect.names else f"column_{i + 1}"
    if not kept:
        codes = one.codes.close()
        if one.words is not None and len(codes) == rows:
            found.values[i], found.labels[i] = codes[: rows - footer], tuple(one.words)
        else:
            found.left_out.append(LeftOut(name, f"text: {', '.join(word for word, _ in one.bad.most_common(3))}"))
        return
    length = _filled(values[: len(values) - footer])
    n = int(np.count_nonzero(~np.isnan(values[:length]))) if values.dtype.kind == "f" else length
    if n < _SPARSE * length and not one.n_text:
        found.left_out.append(LeftOut(name, f"a number in {n} of {rows} rows only"))
        return
    if not length and dialect.width > 1:
        found.left_out.append(LeftOut(name, "holds no numbers"))
        return
    if length < len(values):
        found.notes.append(f"column {name!r}: the last {len(values) - length} rows are empty and are left out")
    if one.n_text > max(_FEW * rows, footer) or (one.n_text - footer > 2 and len(one.bad) <= 5):
        words = ", ".join(f"{word} ({count})" for word, count in one.bad.most_common(3))
        found.notes.append(f"column {name!r}: {one.n_text} of {rows} cells are words, not numbers: {words}")
    found.values[i] = values[:length] if length else values  # nothing but NaN is judged by the caller


def _breaks(chunk: Any, text: NDArray[np.bool_], before: int) -> list[tuple[int, list[str]]]:
    """Find rows in which nothing but words stands: the head of another table."""
    filled = chunk.iloc[:, : text.shape[1]].notna().to_numpy()
    rows = np.flatnonzero((text == filled).all(axis=1) & (filled.sum(axis=1) > min(1, text.shape[1] - 1)))
    return [(before + int(row), [str(cell).strip() for cell in chunk.iloc[row] if cell == cell]) for row in rows[:1000]]


def _refuse_several(path: Path, breaks: list[tuple[int, list[str]]], end: int, dialect: Dialect) -> None:
    names = [name.lower() for name in dialect.names]
    rows = {row for row, _ in breaks if row < end}
    heads = [
        (row, cells) for row, cells in breaks
        if row in rows and (
            [cell.lower() for cell in cells] == names[: len(cells)] or (row + 1 in rows and row - 1 not in rows)
        )
    ]  # fmt: skip
    separate = [one for k, one in enumerate(heads) if not k or one[0] - heads[k - 1][0] > 5]
    if separate and len(rows) < 0.1 * end:
        row, cells = separate[0]
        raise ReadError(
            f"{path}: holds {len(separate) + 1} recordings one after the other; the second begins below row {row + 1} "
            f"({', '.join(cells)[:60]})",
            "Save one recording a file",
        )


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
        seconds = dialect.dates[position].seconds(cells)
        return seconds, (np.isnan(seconds) & cells.notna().to_numpy())
    if cells.dtype.kind in "fiu":
        return cells.to_numpy(), np.zeros(len(cells), bool)
    # A quoted cell, a number with its thousands in groups, a minus of typesetters, an exponent of Fortran.
    text = cells.astype("string").str.strip().str.replace(GROUPING, "", regex=True)
    text = text.str.replace("\u2212", "-", regex=False).str.replace(r"(?<=[\d.,])[dD](?=[-+]?\d+$)", "e", regex=True)
    group, decimal = (".", ",") if dialect.decimal == "," else (",", ".")
    grouped = text.str.contains(group, regex=False) & text.str.contains(decimal, regex=False)
    text = text.mask(grouped.fillna(False), text.str.replace(group, "", regex=False))
    if dialect.decimal == ",":
        text = text.str.replace(",", ".", regex=False)
    numbers = pd.to_numeric(text, errors="coerce").astype("float64").to_numpy(dtype=float, na_value=np.nan)
    wordless = cells.isna() | text.str.lower().isin(MISSING - {"∞", "-∞", "+∞"})
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
