"""HDF5, dataset by dataset. Pickled columns (pandas' object blocks) are never opened, other files never read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.errors import NotATimeSeries, ReadError
from camvib.readers._matlab73 import MatlabNodes
from camvib.readers.parsing.blocks import BLOCK, SMALL_BYTES, Spool, is_long
from camvib.readers.parsing.bursts import burst_channels
from camvib.readers.parsing.channel import LeftOut
from camvib.readers.parsing.names import known_unit
from camvib.readers.parsing.scopes import NAME_KEYS, UNIT_KEYS
from camvib.readers.parsing.table import Found
from camvib.readers.parsing.variables import variable_channels

_MAGIC = b"\x89HDF\r\n\x1a\n"
_MAX_DATASETS = 10_000
_MOST_WORDS = 256  # of a list that names columns
_ENDLESS = 1000  # stored bytes may not stand for so many times as many


def sniff(head: bytes, path: Path) -> bool:
    """Recognise the HDF5 magic, at the start or after a user block."""
    return any(head[offset : offset + 8] == _MAGIC for offset in (0, 512, 1024, 2048))


def read(path: Path) -> Iterator[Found]:
    """Read every numeric dataset; fs and unit may be scalars beside it or attributes of it or its groups."""
    return read_as(path, "hdf5", matlab=False)


def read_as(path: Path, form: str, *, matlab: bool) -> Iterator[Found]:
    """Read as `form`; MATLAB stores its arrays transposed, and cells, structs and text in its own way."""
    import h5py

    arrays: dict[str, NDArray[Any]] = {}
    units: dict[str, str] = {}
    left_out: list[LeftOut] = []
    bursts: dict[str, list[NDArray[Any]]] = {}
    with h5py.File(path, "r") as file:
        _attributes(file.attrs, "", arrays, units)
        nodes = list(_walk(file, set()))
        total = sum(node.nbytes for _, node in nodes if isinstance(node, h5py.Dataset))
        special = MatlabNodes(file, nodes) if matlab else None
        for name, node in nodes:
            if not isinstance(node, h5py.Dataset):
                _refuse_pandas(path, node)
                _attributes(node.attrs, name, arrays, units)
                continue
            _refuse_elsewhere(path, name, node)
            if special and special.take(name, node, arrays, left_out):
                continue
            _attributes(node.attrs, name, arrays, units)
            if node.dtype.names and not is_long(total) and not node.dtype.hasobject:
                arrays |= {f"{name}/{field}": np.asarray(node[field]) for field in node.dtype.names}
            elif _is_ragged(node.dtype) and node.size <= _MAX_DATASETS:
                _bursts(name, node, bursts, left_out)
            elif node.dtype.kind not in "fiucS" and not h5py.check_string_dtype(node.dtype):
                left_out.append(LeftOut(name, f"holds {node.dtype} and is not opened"))
            else:
                value = _load(node, total)
                arrays[name] = value.T if matlab else value
    has_numbers = any(value.dtype.kind in "fiu" and value.size > 1 for value in arrays.values())
    if not has_numbers and not bursts:
        said = "; ".join(f"{one.name} {one.reason}" for one in left_out)
        raise ReadError(f"{path}: no numeric dataset. {said}".rstrip(". "), "Save samples as a dataset of numbers")
    yield from left_out
    if bursts:
        yield from burst_channels(bursts, arrays, form)
    if has_numbers:
        yield from variable_channels(arrays, form, units)


def _walk(group: Any, seen: set[Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Walk hard links only, each object once: links may lead in circles or to other files."""
    import h5py

    for i, name in enumerate(group):
        if (
            i > _MAX_DATASETS
            or len(seen) > _MAX_DATASETS
            or depth > 16
            or name.startswith("#")
            or not isinstance(group.get(name, getlink=True), h5py.HardLink)
        ):
            continue
        node = group[name]
        place = h5py.h5o.get_info(node.id)
        if (place.fileno, place.addr) in seen:
            continue
        seen.add((place.fileno, place.addr))
        yield prefix + name, node
        if isinstance(node, h5py.Group):
            yield from _walk(node, seen, f"{prefix}{name}/", depth + 1)


def _refuse_elsewhere(path: Path, name: str, node: Any) -> None:
    """Refuse datasets whose samples lie in another file, and those that are nothing but promised."""
    if node.external or node.is_virtual:
        where = "in other files" if node.external else "in other datasets or files (a virtual dataset)"
        raise ReadError(f"{path}: the samples of {name} lie {where}", "Save them into the file itself (h5repack)")
    stored = node.id.get_storage_size()
    if is_long(node.nbytes) and node.nbytes > _ENDLESS * max(stored, 1 << 16):
        raise ReadError(
            f"{path}: {name} would be {node.nbytes / 1e9:.3g} GB, of which {stored / 1e6:.3g} MB are stored (limit "
            f"{_ENDLESS} times)",
            "Export the recording itself",
        )


def _refuse_pandas(path: Path, group: Any) -> None:
    if "pandas_type" in group.attrs:
        raise NotATimeSeries(
            f"{path}: {group.name} is a pandas table without a sampling rate: a table of features, "
            "not samples over time (its pickled columns are never unpickled)",
            "Export the raw samples, or the table as Parquet with a time column",
        )


def _attributes(attrs: Any, name: str, arrays: dict[str, NDArray[Any]], units: dict[str, str]) -> None:
    """Take what is stated within the dataset or group that it is written on."""
    for key in attrs:
        try:
            value = np.asarray(attrs[key])
        except (OSError, TypeError, KeyError, ValueError):  # a type that h5py cannot read states nothing
            continue
        if value.size < 1 or value.size > _MOST_WORDS or value.dtype.kind not in "fiuUSO":
            continue
        if value.dtype.kind in "SO":
            value = np.array([_word(item) for item in value.reshape(-1)])
        elif value.size > 1 and key.lower() in (*NAME_KEYS, *UNIT_KEYS):
            value = value.astype(str)
        if value.size == 1 and name and key.lower() in UNIT_KEYS:
            text = str(value.reshape(-1)[0]).strip()
            units[name] = known_unit(text) or text
        arrays[f"{name}/{key} " if name else f"{key} "] = value  # the blank: a dataset may have the same name


def _word(item: Any) -> str:
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)


def _is_ragged(dtype: Any) -> bool:
    import h5py

    return h5py.check_vlen_dtype(dtype) is not None and not h5py.check_string_dtype(dtype)


def _bursts(name: str, node: Any, bursts: dict[str, list[NDArray[Any]]], left_out: list[LeftOut]) -> None:
    rows = [np.asarray(row) for row in node[()].reshape(-1)]
    if all(row.dtype.kind in "fiu" for row in rows):
        bursts[name] = rows
    else:
        left_out.append(LeftOut(name, f"holds {node.dtype} and is not opened"))


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
