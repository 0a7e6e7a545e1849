"""Parquet, one row group after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from camvib.errors import ReadError
from camvib.readers.parsing.blocks import Spool
from camvib.readers.parsing.channel import Channel, Rate, stated_rate
from camvib.readers.parsing.names import is_time, known_unit, rate_in
from camvib.readers.parsing.table import Column, table_channels
from camvib.readers.parsing.variables import UNIT_KEYS


def sniff(head: bytes, path: Path) -> bool:
    """Recognise the Parquet magic."""
    return head.startswith(b"PAR1")


def read(path: Path) -> Iterator[Channel]:
    """Read numeric and time columns; fs and unit may stand in the schema's or a field's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
        kept = [f for f in schema if pa.types.is_integer(f.type) or pa.types.is_floating(f.type) or _is_time(f)]
        if not kept:
            raise ReadError(
                f"{path}: no numeric column among {', '.join(schema.names)}", "Write samples as columns of numbers"
            )
        spools = {field.name: Spool(rows * 8 * len(kept)) for field in kept}
        for batch in file.iter_batches(batch_size=1 << 18, columns=list(spools), use_threads=False):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                spools[name].append(_numbers(column))
    rates, unit = _metadata(schema.metadata)
    columns = [
        Column(
            f"time {field.name}" if _is_time(field) and not is_time(field.name) else field.name,
            spools[field.name].close(),
            "s" if _is_time(field) else _metadata(field.metadata)[1] or unit,
            _metadata(field.metadata)[0] or rates,
        )
        for field in kept
    ]  # fmt: skip
    yield from table_channels(columns, "parquet")


def _is_time(field: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_timestamp(field.type) or pa.types.is_duration(field.type))


def _numbers(column: Any) -> Any:
    import pyarrow as pa

    if _is_time(column):
        kind = pa.timestamp if pa.types.is_timestamp(column.type) else pa.duration
        column = column.cast(kind("ns")).cast(pa.int64())
        values = column.to_numpy(zero_copy_only=False)
        return (values - _DAY_NS * (int(values[0]) // _DAY_NS)) * 1e-9 if len(values) else np.empty(0)
    return column.to_numpy(zero_copy_only=False)


_DAY_NS = 86_400_000_000_000


def _metadata(entries: dict[bytes, bytes] | None) -> tuple[tuple[Rate, ...], str | None]:
    rates: list[Rate] = []
    unit = None
    for key, value in (entries or {}).items():
        name = key.decode("utf-8", "replace").lower()
        text = value.decode("utf-8", "replace").strip().strip('"')
        if rate_in(name, 1.0) is not None:
            with suppress(ValueError):
                rate = stated_rate(rate_in(name, float(text)) or 0.0, name)
                rates += [rate] if rate else []
        elif name in UNIT_KEYS:
            unit = known_unit(text) or text
    return tuple(rates), unit
