"""ASAM MDF 3 and 4. Needs asammdf: ``pip install camvib[mdf]``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.errors import MissingExtra
from camvib.readers.parsing.blocks import Spool
from camvib.readers.parsing.column import Column
from camvib.readers.parsing.table import Found, table_channels

_FRAGMENT_BYTES = 4_000_000
_TIME = 1


def sniff(head: bytes, path: Path) -> bool:
    """Recognise the identification block."""
    return head[:8] in (b"MDF     ", b"UnFinMF ")


def read(path: Path) -> Iterator[Found]:
    """Read every scalar numeric channel with the time raster of its group."""
    try:
        from asammdf import MDF
    except ImportError as error:
        raise MissingExtra(f"{path}: MDF files need the package asammdf", "pip install camvib[mdf]") from error

    with path.open("rb") as handle:
        is_unfinished = handle.read(8) == b"UnFinMF "  # asammdf mends a copy, and needs the path for it
        handle.seek(0)
        # By its path a file is mapped into memory whole.
        yield from _channels(MDF(path if is_unfinished else handle))


def _channels(opened: Any) -> Iterator[Found]:
    names: set[str] = set()
    with opened as file:
        file.configure(read_fragment_size=_FRAGMENT_BYTES)
        groups: list[Any] = list(file.groups)
        total = sum(8 * group.channel_group.cycles_nr * len(group.channels) for group in groups)
        for number, group in enumerate(groups):
            master = file.masters_db.get(number)
            if not group.channel_group.cycles_nr or master is None:
                continue
            if getattr(group.channels[master], "sync_type", _TIME) not in (0, _TIME):  # over angle or distance
                continue
            clock = _samples(file, number, master, total)
            for index in range(len(group.channels)):
                samples = None if index == master else _samples(file, number, index, total)
                if clock is None or samples is None:
                    continue
                name = str(group.channels[index].name)
                name = name if name not in names else f"{name} (group {number})"
                names.add(name)
                column = Column(name, samples, file.get_channel_unit(group=number, index=index) or None)
                yield from table_channels([Column("time", clock, "s"), column], "mdf")


def _samples(file: Any, group: int, index: int, total_bytes: int) -> NDArray[np.floating] | None:
    """Read a channel fragment by fragment; None if it is an array, a structure or text."""
    spool = Spool(total_bytes)
    for samples, _ in file.iter_get(group=group, index=index, samples_only=True):
        if samples.ndim != 1 or samples.dtype.kind not in "fiu":
            return None
        spool.append(samples)
    return spool.close()
