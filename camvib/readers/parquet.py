"""Parquet, one row group after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from camvib.errors import ReadError
from camvib.readers._arrow import arrow_channels
from camvib.readers.parsing.blocks import is_long
from camvib.readers.parsing.table import Found

_MOST_VALUES_A_BYTE = 1000  # beyond, a few repeated values would fill the disk


def sniff(head: bytes, path: Path) -> bool:
    """Recognise the Parquet magic."""
    return head.startswith(b"PAR1")


def read(path: Path) -> Iterator[Found]:
    """Read numeric and time columns, lists of samples and names of sensors."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
        rows, size = file.metadata.num_rows, path.stat().st_size
        if is_long(rows * 8) and rows > _MOST_VALUES_A_BYTE * size:
            raise ReadError(f"{path}: promises {rows} rows in {size} bytes", "Export the recording itself")
        batches = file.iter_batches(batch_size=1 << 18, use_threads=False)
        yield from arrow_channels(path, file.schema_arrow, batches, rows, "parquet")
