"""ASAM MDF 3 and 4. Needs asammdf: ``pip install camvib[mdf]``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from camvib.errors import MissingExtra
from camvib.readers._channel import Channel
from camvib.readers._table import Column, table_channels


def sniff(head: bytes, path: Path) -> bool:
    """Recognise the identification block."""
    return head[:8] in (b"MDF     ", b"UnFinMF ")


def read(path: Path) -> Iterator[Channel]:
    """Read every scalar numeric channel with the time raster of its group."""
    try:
        from asammdf import MDF
    except ImportError as error:
        raise MissingExtra(f"{path}: MDF files need the package asammdf", "pip install camvib[mdf]") from error

    names: set[str] = set()
    with MDF(path) as file:
        groups: list[Any] = list(file.groups)
        for group_index, group in enumerate(groups):
            if not group.channel_group.cycles_nr:
                continue
            for index in range(len(group.channels)):
                if index == file.masters_db.get(group_index):
                    continue
                signal = file.get(group=group_index, index=index)
                if signal.samples.ndim != 1 or signal.samples.dtype.kind not in "fiu":
                    continue
                name = signal.name if signal.name not in names else f"{signal.name} (group {group_index})"
                names.add(name)
                clock = Column("time", np.asarray(signal.timestamps), "s")
                yield from table_channels([clock, Column(name, signal.samples, signal.unit or None)], "mdf")
