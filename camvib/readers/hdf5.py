"""HDF5, dataset by dataset. Pickled columns (pandas' object blocks) are never opened."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.errors import NotATimeSeries, ReadError
from camvib.readers.parsing.blocks import BLOCK, SMALL_BYTES, Spool, is_long
from camvib.readers.parsing.channel import Channel
from camvib.readers.parsing.names import known_unit, rate_in
from camvib.readers.parsing.variables import UNIT_KEYS, variable_channels

_MAGIC = b"\x89HDF\r\n\x1a\n"
_MAX_DATASETS = 10_000


def sniff(head: bytes, path: Path) -> bool:
    """Recognise the HDF5 magic, at the start or after a user block."""
    return any(head[offset : offset + 8] == _MAGIC for offset in (0, 512, 1024, 2048))


def read(path: Path) -> Iterator[Channel]:
    """Read every numeric dataset; fs and unit may be scalars beside it or attributes of it or its groups."""
    return read_as(path, "hdf5", matlab=False)


def read_as(path: Path, form: str, *, matlab: bool) -> Iterator[Channel]:
    """Read as `form`; MATLAB stores its arrays transposed."""
    import h5py

    arrays: dict[str, NDArray[Any]] = {}
    units: dict[str, str] = {}
    skipped: list[str] = []
    with h5py.File(path, "r") as file:
        _attributes(file.attrs, "", arrays, units)
        nodes = list(_walk(file))
        total = sum(node.nbytes for _, node in nodes if isinstance(node, h5py.Dataset))
        for name, node in nodes:
            if not isinstance(node, h5py.Dataset):
                _refuse_pandas(path, node)
                _attributes(node.attrs, name, arrays, units)
                continue
            if node.dtype.names and not is_long(total) and not node.dtype.hasobject:
                _attributes(node.attrs, name, arrays, units)
                arrays |= {f"{name}/{field}": np.asarray(node[field]) for field in node.dtype.names}
                continue
            if node.dtype.kind not in "fiucS" and not h5py.check_string_dtype(node.dtype):
                skipped.append(f"{name} holds {node.dtype} and is not opened")
                continue
            _attributes(node.attrs, name, arrays, units)
            value = _load(node, total)
            arrays[name] = value.T if matlab else value
    if not any(value.dtype.kind in "fiu" and value.size > 1 for value in arrays.values()):
        raise ReadError(f"{path}: no numeric dataset. {'; '.join(skipped)}", "Save samples as a dataset of numbers")
    yield from variable_channels(arrays, form, units, tuple(skipped))


def _walk(group: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Walk hard links only: soft and external links may lead in circles or to other files."""
    import h5py

    for i, name in enumerate(group):
        if (
            i > _MAX_DATASETS
            or depth > 16
            or name.startswith("#")
            or not isinstance(group.get(name, getlink=True), h5py.HardLink)
        ):
            continue
        node = group[name]
        yield prefix + name, node
        if isinstance(node, h5py.Group):
            yield from _walk(node, f"{prefix}{name}/", depth + 1)


def _refuse_pandas(path: Path, group: Any) -> None:
    if "pandas_type" in group.attrs:
        raise NotATimeSeries(
            f"{path}: {group.name} is a pandas table without a sampling rate: a table of features, "
            "not samples over time (its pickled columns are never unpickled)",
            "Export the raw samples, or the table as Parquet with a time column",
        )


def _attributes(attrs: Any, name: str, arrays: dict[str, NDArray[Any]], units: dict[str, str]) -> None:
    """Take what states rate or unit for a variable within the dataset or group that it is written on."""
    for key in attrs:
        if np.size(attrs[key]) != 1:
            continue
        item = np.asarray(attrs[key]).reshape(-1)[0]
        text = item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
        label = f"{name}/{key} " if name else f"{key} "  # the blank: a dataset may have the same name
        if rate_in(key, 1.0) is not None:
            arrays[label] = np.asarray(text)
        elif key.lower() in UNIT_KEYS:
            if name:
                units[name] = known_unit(text) or text
            arrays[label] = np.asarray(text)


def _load(node: Any, total_bytes: int) -> NDArray[Any]:
    import h5py

    if h5py.check_string_dtype(node.dtype):
        return np.asarray(node.asstr()[()] if node.size else "", dtype=str)
    if not is_long(total_bytes) or node.nbytes < SMALL_BYTES:
        return np.asarray(node[()])
    spool = Spool(total_bytes)
    for cut in _cuts(node.shape):
        spool.append(node[cut].reshape(-1))
    return spool.close().reshape(node.shape)


def _cuts(shape: tuple[int, ...]) -> Iterator[tuple[Any, ...]]:
    """Cut an array into pieces of at most a block, in the order in which it lies on disk."""
    axis = next(i for i in range(len(shape)) if math.prod(shape[i + 1 :]) <= BLOCK)
    step = max(BLOCK // math.prod(shape[axis + 1 :]), 1)
    for index in np.ndindex(shape[:axis]):
        for first in range(0, shape[axis], step):
            yield (*index, slice(first, first + step))
