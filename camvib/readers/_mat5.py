"""Long MAT v5 files: arrays are mapped where they lie, compressed ones after inflating them to the temporary folder.

Layout: MathWorks, *MAT-File Format*, chapter 1. The format itself ends at 2³¹ bytes a variable.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from camvib.errors import ReadError, Truncated
from camvib.readers.parsing.blocks import SMALL_BYTES, blocks, spool_folder, take_space, temporary_file

_DTYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_TEXT = {16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCT, _CHAR, _NUMERIC = 1, 2, 4, range(6, 16)
_COMPLEX = 0x0800
_HEADER_BYTES, _CHUNK = 128, 1 << 24
_MOST_RATIO = 200  # samples shrink to a tenth at best
MOST_ELEMENTS = 1000  # of an array of structs or cells
DEEPEST = 5


class _Element(NamedTuple):
    kind: int
    start: int
    size: int
    end: int


class _Buffer(NamedTuple):
    """Bytes of a file or of one inflated variable, and their byte order."""

    data: NDArray[np.uint8]
    order: str
    path: Path

    def element(self, at: int) -> _Element:
        """Read a tag; up to four bytes of data stand within the tag itself."""
        tag = self.data[at : at + 8]
        if len(tag) < 8:
            raise _cut(self.path)
        first, size = (int(word) for word in tag.view(f"{self.order}u4"))
        if first >> 16:
            return _Element(first & 0xFFFF, at + 4, first >> 16, at + 8)
        end = at + 8 + size
        if end > len(self.data):
            raise _cut(self.path)
        return _Element(first, at + 8, size, end if first == _COMPRESSED else end + -size % 8)

    def values(self, element: _Element) -> NDArray[Any]:
        """Take the numbers of an element, shape (n,)."""
        raw = self.data[element.start : element.start + element.size]
        dtype = np.dtype(self.order + _DTYPES[element.kind])
        values = raw[: len(raw) // dtype.itemsize * dtype.itemsize].view(dtype)
        return values if values.nbytes > SMALL_BYTES else np.array(values)

    def text(self, element: _Element) -> str:
        """Take the characters of an element."""
        if element.kind in _TEXT:
            raw = self.data[element.start : element.start + element.size].tobytes()
            suffix = {"<": "-le", ">": "-be"}[self.order] if element.kind > 16 else ""
            return raw.decode(_TEXT[element.kind] + suffix, "replace")
        return "".join(map(chr, self.values(element).tolist()))


def total_bytes(path: Path) -> int:
    """Add up the sizes of all variables once they are inflated."""
    whole = _map(path)
    return sum(_inflated_size(whole, element) for element in _elements(whole))


def arrays(path: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """Walk through all arrays of numbers and text; what stands in structs is named ``data.x``, in cells ``c[0]``."""
    whole = _map(path)
    for element in _elements(whole):
        if element.kind == _COMPRESSED:
            inflated = _Buffer(_inflate(whole, element), whole.order, path)
            yield from _matrix(inflated, inflated.element(0), "")
        elif element.kind == _MATRIX:
            yield from _matrix(whole, element, "")


def _map(path: Path) -> _Buffer:
    data = np.memmap(path, np.uint8, "r")
    return _Buffer(data, "<" if data[126:128].tobytes() == b"IM" else ">", path)


def _elements(whole: _Buffer) -> Iterator[_Element]:
    at = _HEADER_BYTES
    while at + 8 <= len(whole.data):
        element = whole.element(at)
        yield element
        at = element.end


def _inflated_size(whole: _Buffer, element: _Element) -> int:
    if element.kind != _COMPRESSED:
        return element.size
    packed = whole.data[element.start : element.start + min(element.size, 4096)].tobytes()
    tag = zlib.decompressobj().decompress(packed, 8)
    return int(np.frombuffer(tag[4:8], f"{whole.order}u4")[0]) if len(tag) == 8 else 0


def _inflate(whole: _Buffer, element: _Element) -> NDArray[np.uint8]:
    """Inflate into an unnamed file, which lives as long as the array that maps it."""
    packed = whole.data[element.start : element.start + element.size]
    inflate = zlib.decompressobj()
    if _inflated_size(whole, element) <= SMALL_BYTES:
        return np.frombuffer(inflate.decompress(packed.tobytes(), 2 * SMALL_BYTES), np.uint8)
    with temporary_file() as file:
        for chunk in blocks(packed):
            _write_all(file, inflate, chunk.tobytes(), len(packed))
        if not inflate.eof:
            raise _cut(whole.path)
        file.flush()
        return np.memmap(file if spool_folder() is None else file.name, np.uint8, "r")


def _write_all(file: IO[bytes], inflate: Any, packed: bytes, n_packed: int) -> None:
    while packed:
        data = inflate.decompress(packed, _CHUNK)
        take_space(len(data))
        if file.tell() + len(data) > _MOST_RATIO * max(n_packed, 1 << 16):
            raise ReadError(
                f"more than {_MOST_RATIO} times its size comes out of a variable", "Export the recording itself"
            )
        file.write(data)
        packed = inflate.unconsumed_tail


def _matrix(buffer: _Buffer, element: _Element, prefix: str, depth: int = 0) -> Iterator[tuple[str, NDArray[Any]]]:
    if element.kind != _MATRIX or not element.size:  # an empty field
        return
    flags = buffer.element(element.start)
    dimensions = buffer.element(flags.end)
    name = buffer.element(dimensions.end)
    word = int(buffer.values(flags)[0])
    kind, shape = word & 0xFF, tuple(int(n) for n in buffer.values(dimensions))
    label, n = prefix or buffer.text(name), math.prod(shape)
    if kind in (_CELL, _STRUCT) and (n > MOST_ELEMENTS or depth > DEEPEST):
        return
    if kind == _STRUCT:
        yield from _structs(buffer, name.end, label, n, depth)
    elif kind == _CELL:
        at = name.end
        for i in range(n):
            value = buffer.element(at)
            yield from _matrix(buffer, value, f"{label}[{i}]", depth + 1)
            at = value.end
    elif kind == _CHAR:
        yield label, _lines(buffer.text(buffer.element(name.end)), shape)
    elif kind in _NUMERIC and word & _COMPLEX:
        yield label, np.broadcast_to(np.complex64(0), shape)  # its shape is all that is asked for
    elif kind in _NUMERIC:
        yield label, buffer.values(buffer.element(name.end)).reshape(shape, order="F")


def _structs(buffer: _Buffer, at: int, label: str, n: int, depth: int) -> Iterator[tuple[str, NDArray[Any]]]:
    width = buffer.element(at)
    names = buffer.element(width.end)
    step, letters = int(buffer.values(width)[0]), buffer.text(names)
    fields = [letters[first : first + step].split(chr(0))[0] for first in range(0, len(letters), step)]
    at = names.end
    for i in range(n):
        values = []
        for _ in fields:
            values.append(buffer.element(at))
            at = values[-1].end
        record = dict(zip(fields, values, strict=True))
        given = record.get("Name", record.get("name"))
        text = [value for _, value in _matrix(buffer, given, "?")] if given and n > 1 else [None]
        name = label if n == 1 else element_name(label, i, text[0] if text else None)
        for field, value in record.items():
            yield from _matrix(buffer, value, f"{name}.{field}", depth + 1)


def element_name(label: str, i: int, given: object) -> str:
    """Name an element of an array of structs by its field Name, if that is one line of text; else by its number."""
    if isinstance(given, np.ndarray) and given.dtype.kind == "U" and given.size == 1 and given.item().strip():
        return f"{label}.{given.item().strip()}"
    return f"{label}[{i}]"


def _lines(text: str, shape: tuple[int, ...]) -> NDArray[np.str_]:
    """Read a character matrix, which lies column by column."""
    rows = shape[0] if shape else 1
    return np.array(["".join(text[row::rows]) for row in range(rows)])


def _cut(path: Path) -> Truncated:
    return Truncated(f"{path}: ends within a variable", "Copy the file again")
