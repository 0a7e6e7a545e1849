"""NPY and NPZ. Nothing is ever unpickled."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from camvib.errors import ReadError, Truncated
from camvib.readers.parsing.blocks import BLOCK, SMALL_BYTES, Spool, from_file, is_long
from camvib.readers.parsing.channel import Channel, LeftOut
from camvib.readers.parsing.column import Column
from camvib.readers.parsing.table import Found, table_channels
from camvib.readers.parsing.variables import variable_channels

_MOST_RATIO = 200  # samples shrink to a tenth at best
_NPY, _ZIP = b"\x93NUMPY", b"PK\x03\x04"


def sniff(head: bytes, path: Path) -> bool:
    """Recognise the NPY magic, or a ZIP archive whose first member is an .npy."""
    return head.startswith(_NPY) or (head.startswith(_ZIP) and (b".npy" in head[:300] or path.suffix.lower() == ".npz"))


def read(path: Path) -> Iterator[Found]:
    """Read every numeric array; in an NPZ, fs, fs_hz, sampling_rate_hz, unit, started, recorded_at are metadata."""
    with path.open("rb") as handle:
        if handle.read(4) != _ZIP:
            yield from _read_npy(path)
            return
    arrays: dict[str, NDArray[Any]] = {}
    left_out: list[LeftOut] = []
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
        total = sum(member.file_size for member in members)
        for member in members:
            array = _read_member(path, archive, member, total)
            if array is None:
                left_out.append(LeftOut(member.filename, "holds Python objects and is not unpickled"))
            else:
                arrays[member.filename.removesuffix(".npy")] = array
    if not arrays:
        said = [f"{one.name} {one.reason}" for one in left_out]
        raise ReadError("; ".join([f"{path}: no numeric array in this NPZ file", *said]), "Save arrays of numbers")
    yield from left_out
    yield from variable_channels(arrays, "npz", warnings=tuple(f"{one.name} {one.reason}" for one in left_out))


def _read_npy(path: Path) -> Iterator[Found]:
    with path.open("rb") as handle:
        shape, fortran, dtype = _header(handle)
        offset = handle.tell()
    if dtype.hasobject:
        raise ReadError(f"{path}: holds pickled Python objects, which are never unpickled", "Save an array of numbers")
    _check_size(path, shape, dtype, path.stat().st_size - offset)
    if not np.prod(shape) or dtype.kind not in "fiu":
        if dtype.names:
            array = np.load(path, allow_pickle=False)
            yield from table_channels([Column(name, array[name]) for name in dtype.names], "npy")
            return
        values: NDArray[Any] = np.empty(0) if dtype.kind in "fiu" else np.load(path, allow_pickle=False)
        yield Channel("samples", values.reshape(-1), format="npy")
        return
    values = from_file(path, dtype, offset, shape, "F" if fortran else "C", path.stat().st_size)
    yield from variable_channels({"samples": values}, "npy")


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


def _check_size(where: object, shape: tuple[int, ...], dtype: np.dtype[Any], present: int) -> None:
    """Compare with what is there before memory is asked for what a damaged header promises."""
    promised = int(np.prod([float(n) for n in shape])) * dtype.itemsize
    if promised > present or min(shape, default=0) < 0:
        raise Truncated(
            f"{where}: the header promises {promised} bytes of samples, the file has {present}", "Copy the file again"
        )


def _read_member(
    path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, total_bytes: int
) -> NDArray[Any] | None:
    """Read an array of an archive; of a long one, what is stored plain is mapped where it lies, the rest inflated."""
    where = f"{path}: {member.filename}"
    with archive.open(member) as stream:
        shape, fortran, dtype = _header(stream)
        if dtype.hasobject:
            return None
        _check_size(where, shape, dtype, member.file_size - stream.tell())
        order: Literal["C", "F"] = "F" if fortran else "C"
        size = int(np.prod(shape)) * dtype.itemsize
        if is_long(size) and size > _MOST_RATIO * max(member.compress_size, 1):
            raise ReadError(
                f"{where}: {size / 1e6:.0f} MB out of {member.compress_size / 1e6:.3g} MB (limit {_MOST_RATIO} times)",
                "Export the recording itself",
            )
        if not is_long(total_bytes) or size < SMALL_BYTES or dtype.kind not in "fiu":
            data = stream.read(size)
            if len(data) < size:
                raise Truncated(f"{where}: ends after {len(data)} of {size} bytes", "Copy the file again")
            return np.frombuffer(data, dtype).reshape(shape, order=order)
        if member.compress_type == zipfile.ZIP_STORED:
            return from_file(path, dtype, _start(path, member) + stream.tell(), shape, order, total_bytes)
        spool = Spool(total_bytes)
        while data := stream.read(BLOCK * dtype.itemsize):
            spool.append(np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype))
    return spool.close().reshape(shape, order=order)


def _start(path: Path, member: zipfile.ZipInfo) -> int:
    """Find where a member's bytes begin: behind its local header, with a name and an extra field of any length."""
    with path.open("rb") as handle:
        handle.seek(member.header_offset + 26)
        return member.header_offset + 30 + sum(struct.unpack("<HH", handle.read(4)))
