"""Record batches of Arrow (Parquet, Feather, IPC) → columns of a table, or one burst a row."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.errors import ReadError
from camvib.readers.parsing.blocks import Spool
from camvib.readers.parsing.bursts import burst_channels
from camvib.readers.parsing.channel import LeftOut
from camvib.readers.parsing.column import Column
from camvib.readers.parsing.names import is_time, known_unit
from camvib.readers.parsing.scales import calibrate
from camvib.readers.parsing.scopes import UNIT_KEYS, Scopes, gather
from camvib.readers.parsing.table import Found, table_channels

_DAY_NS = 86_400_000_000_000
_MOST_WORDS = 64


def arrow_channels(path: Path, schema: Any, batches: Iterable[Any], rows: int, form: str) -> Iterator[Found]:
    """Read the batches of one table; fs and unit may stand in the schema's or a field's metadata."""
    import pyarrow as pa

    fields = list(_flat(schema))
    gathered = {name: _Column(kind, rows * 8 * max(len(fields), 1)) for name, kind in fields}
    for batch in batches:
        table = pa.Table.from_batches([batch])
        while any(pa.types.is_struct(field.type) for field in table.schema):
            table = table.flatten()
        for name in table.schema.names:
            if name in gathered:
                gathered[name].add(table.column(name).combine_chunks())
    scopes = _metadata(schema, [name for name, _ in fields])
    lists = {name: one.lists() for name, one in gathered.items() if one.is_list}
    if lists:
        beside = _rows(
            {name: one for name, one in gathered.items() if not one.is_list}, len(next(iter(lists.values())))
        )
        units = {name: scopes.unit(name) for name in lists}
        yield from burst_channels(lists, {}, form, beside, units)
        return
    columns, left_out = [], []
    for name, one in gathered.items():
        values, labels = one.close()
        if values is None:
            left_out.append(LeftOut(name, f"holds {one.kind}, not numbers"))
            continue
        title = f"time {name}" if one.is_stamp and not is_time(name) else name
        unit = "s" if one.is_stamp else scopes.unit(name)
        column = Column(title, values, unit, scopes.rates(name), labels=labels)
        columns.append(column if one.is_stamp or labels else calibrate(column, scopes.numbers(name)))
    yield from left_out
    if not any(not column.labels for column in columns):
        raise ReadError(
            f"{path}: no numeric column among {', '.join(schema.names)}", "Write samples as columns of numbers"
        )
    yield from table_channels(columns, form)


def _flat(schema: Any) -> Iterator[tuple[str, Any]]:
    import pyarrow as pa

    for field in schema:
        stack = [(field.name, field.type)]
        while stack:
            name, kind = stack.pop(0)
            if pa.types.is_struct(kind):
                stack = [(f"{name}.{part.name}", part.type) for part in kind] + stack
            else:
                yield name, kind


class _Column:
    """One column while the batches pass by."""

    def __init__(self, kind: Any, expected_bytes: int) -> None:
        import pyarrow as pa

        self.kind = kind
        types = pa.types
        self.is_stamp = any(
            check(kind) for check in (types.is_timestamp, types.is_duration, types.is_time, types.is_date)
        )
        self.is_list = (
            types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        ) and _is_number(kind.value_type)
        self.is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_dictionary(kind)
        self._spool, self._codes = Spool(expected_bytes), Spool(expected_bytes)
        self._words: dict[str, int] | None = {}
        self._ends: list[int] = []
        self._day: int | None = None
        self._length = 0
        self._numbers = True

    def add(self, column: Any) -> None:
        """Take the part of the column that one batch holds."""
        import pyarrow as pa

        if self.is_list:
            column = column.cast(pa.large_list(self.kind.value_type))
            flat = column.flatten()
            self._spool.append(_floats(flat))
            sizes = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
            self._ends += (np.cumsum(sizes) + self._length).tolist()
            self._length += len(flat)
        elif self.is_stamp:
            self._spool.append(self._seconds(column))
        elif _is_number(self.kind):
            self._spool.append(_floats(column))
        elif self.is_text:
            self._text(column)

    def _seconds(self, column: Any) -> NDArray[np.float64]:
        """Count from the first day of the file, not of the batch."""
        import pyarrow as pa

        if pa.types.is_date(self.kind):
            column = column.cast(pa.timestamp("ms"))
        if pa.types.is_time(self.kind):
            column = column.cast(pa.time64("ns"))
        elif pa.types.is_duration(self.kind):
            column = column.cast(pa.duration("ns"))
        else:
            column = column.cast(pa.timestamp("ns", getattr(column.type, "tz", None)))
        whole = column.cast(pa.int64())
        missing = whole.is_null().to_numpy(zero_copy_only=False)
        values = whole.fill_null(0).to_numpy(zero_copy_only=False)
        present = values[~missing]
        if self._day is None and len(present):
            self._day = int(present[0]) // _DAY_NS
        return np.where(missing, np.nan, (values - (self._day or 0) * _DAY_NS) * 1e-9)

    def _text(self, column: Any) -> None:
        import pyarrow as pa

        text = column.cast(pa.string())
        if self._numbers:
            try:
                self._spool.append(_floats(text.cast(pa.float64())))
            except pa.ArrowInvalid:
                self._numbers = False
        if self._words is None:
            return
        words = text.to_pylist()
        for word in dict.fromkeys(word for word in words if word is not None):
            self._words.setdefault(word, len(self._words))
        if len(self._words) > _MOST_WORDS:
            self._words = None
            return
        self._codes.append(np.array([-1 if word is None else self._words[word] for word in words], np.int16))

    def close(self) -> tuple[NDArray[Any] | None, tuple[str, ...]]:
        """Return the numbers, or the numbers of the words and the words; None if the column holds neither."""
        if self.is_text and not self._numbers:
            return (self._codes.close(), tuple(self._words)) if self._words is not None else (None, ())
        if self.is_text or self.is_stamp or _is_number(self.kind):
            return self._spool.close(), ()
        return None, ()

    def lists(self) -> list[NDArray[Any] | None]:
        """Return the rows of a column of lists."""
        values = self._spool.close()
        begins = [0, *self._ends[:-1]]
        return [values[first:last] if last > first else None for first, last in zip(begins, self._ends, strict=True)]


def _rows(columns: dict[str, _Column], n: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{} for _ in range(n)]
    for name, one in columns.items():
        values, labels = one.close()
        if values is None or len(values) != n:
            continue
        for i, value in enumerate(values.tolist()):
            if value == value and not (labels and value < 0):
                day = np.datetime64(one._day or 0, "D") if one.is_stamp else None
                rows[i][name] = (
                    labels[int(value)] if labels
                    else str(day + np.timedelta64(round(value * 1e6), "us")) if day is not None else value
                )  # fmt: skip
    return rows


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _floats(column: Any) -> NDArray[Any]:
    import pyarrow as pa

    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    return column.to_numpy(zero_copy_only=False)


def _metadata(schema: Any, names: list[str]) -> Scopes:
    stated = {f"{key} ": value for key, value in _entries(schema.metadata)}
    for field in schema:
        stated |= {f"{field.name}/{key} ": value for key, value in _entries(field.metadata)}
    return gather(stated, names)


def _entries(entries: dict[bytes, bytes] | None) -> Iterator[tuple[str, NDArray[Any]]]:
    for key, value in (entries or {}).items():
        name, text = key.decode("utf-8", "replace").strip(), value.decode("utf-8", "replace").strip().strip('"')
        if name.lower() in UNIT_KEYS:
            text = known_unit(text) or text
        with contextlib.suppress(ValueError):
            yield name, np.asarray(text)
