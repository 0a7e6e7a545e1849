"""Arrow's own files: Feather, IPC files and streams."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from camvib.readers._arrow import arrow_channels
from camvib.readers.parsing.table import Found

_FILE, _FEATHER1, _STREAM = b"ARROW1", b"FEA1", b"\xff\xff\xff\xff"


def sniff(head: bytes, path: Path) -> bool:
    """Recognise the magic of files; streams have none but their first length."""
    is_stream = head.startswith(_STREAM) and path.suffix.lower() in (".arrow", ".arrows", ".ipc", ".stream")
    return head.startswith((_FILE, _FEATHER1)) or is_stream


def read(path: Path) -> Iterator[Found]:
    """Read as a table of Parquet is read."""
    import pyarrow as pa
    import pyarrow.feather

    with path.open("rb") as handle:
        magic = handle.read(6)
    if magic.startswith(_FEATHER1):
        table = pyarrow.feather.read_table(path, memory_map=True)
        yield from arrow_channels(path, table.schema, table.to_batches(1 << 18), len(table), "arrow")
        return
    with pa.memory_map(str(path)) as source:
        if magic.startswith(_FILE):
            file = pa.ipc.open_file(source)
            batches = (file.get_batch(i) for i in range(file.num_record_batches))
            yield from arrow_channels(path, file.schema, batches, path.stat().st_size // 8, "arrow")
        else:
            stream = pa.ipc.open_stream(source)
            yield from arrow_channels(path, stream.schema, stream, path.stat().st_size // 8, "arrow")
