"""Datasets 58 of a UFF/UNV file, one after the other: header as fields, samples in blocks or mapped.

Layout: SDRC, *Universal File Datasets*, 58 (Function at Nodal DOF) and its binary form 58b.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from camvib.errors import ReadError, Truncated
from camvib.readers.parsing.blocks import Spool, from_file

_END = re.compile(rb"\n {4}-1 *\r?\n")
_END_OF_BINARY = re.compile(rb" {4}-1 *\r?\n")  # not all writers begin a line for it
_TOUCHING = re.compile(rb"(?<=\d)(?=[-+]\d*\.)")
_CHUNK = 1 << 22  # bytes
_HEADER_LINES = 11
_TYPES = {2: "f4", 4: "f8"}  # 5 and 6 are complex
_FLOATS = {1: "VAX", 3: "IBM 370"}


@dataclass(frozen=True)
class Dataset58:
    """Header of one dataset 58, and where its samples lie.

    Attributes
    ----------
    number : int
        Place among all datasets of the file, from 1.
    ids : tuple of str
        The five lines of free text.
    function, axis : int
        Codes of function type and abscissa (17: time).
    data_type : int
        2, 4: real; 5, 6: complex.
    even : bool
        No abscissa values are stored.
    binary : str
        numpy's sign of the byte order, empty for text.
    n_bytes : int
        Length of binary samples.
    start : int
        Where the samples begin in the file, in bytes.
    """

    number: int
    ids: tuple[str, ...]
    function: int
    response: str
    data_type: int
    count: int
    even: bool
    increment: float
    axis: int
    axis_label: str
    label: str
    unit: str
    binary: str
    n_bytes: int
    start: int

    @property
    def is_complex(self) -> bool:
        """Two numbers a sample."""
        return self.data_type in (5, 6)


def datasets(path: Path) -> Iterator[tuple[int, Dataset58 | None]]:
    """Walk through a file; gives the kind of each dataset, and the header of those of kind 58."""
    with path.open("rb") as handle:
        number = 0
        while _seek_delimiter(handle):
            number += 1
            line = handle.readline().decode("latin-1")
            kind = int(word) if (word := line[:6].strip()).isdigit() else 0
            head = _header(handle, line, number, path) if kind == 58 else None
            end = head.start + max(head.n_bytes, 0) if head and head.binary else handle.tell() - 1
            yield kind, head
            handle.seek(end)
            for _ in _chunks(handle, _END_OF_BINARY if head and head.binary else _END):
                pass


def samples(path: Path, head: Dataset58) -> tuple[NDArray[np.floating], NDArray[np.floating] | None]:
    """Read the ordinates, shape (n,), and the abscissae where they are stored."""
    if head.binary:
        return _mapped(path, head)
    total = path.stat().st_size
    ordinates, abscissae = Spool(total), Spool(total)
    odd: NDArray[np.floating] = np.empty(0)
    for block in _numbers(path, head):
        if head.even:
            ordinates.append(block)
            continue
        block = np.concatenate([odd, block])
        odd = block[len(block) // 2 * 2 :]
        abscissae.append(block[:-1:2] if len(odd) else block[::2])
        ordinates.append(block[1::2])
    values, x = ordinates.close()[: head.count], abscissae.close()[: head.count]
    if len(values) < head.count:
        raise _too_few(path, head, len(values))
    return values, None if head.even else x


def _mapped(path: Path, head: Dataset58) -> tuple[NDArray[np.floating], NDArray[np.floating] | None]:
    number = head.binary + _TYPES[head.data_type]
    pair = f"{head.binary}f4,{number}" if head.n_bytes == 12 * head.count else f"{number},{number}"
    dtype = np.dtype(number if head.even else pair)
    present = min(path.stat().st_size - head.start, head.n_bytes) // dtype.itemsize
    if present < head.count:
        raise _too_few(path, head, present)
    end = head.start + head.count * dtype.itemsize
    with path.open("rb") as handle:
        handle.seek(end)
        if not _END_OF_BINARY.search(handle.read(200) + b"\n"):
            message = f"{path}: dataset {head.number} does not end after its {head.count} samples of type {dtype}"
            raise ReadError(message, "Export it once more: the writer's header does not fit its samples")
    values = from_file(path, dtype, head.start, (head.count,), "C", path.stat().st_size)
    return (values, None) if head.even else (values["f1"], values["f0"])


def _chunks(handle: IO[bytes], delimiter: re.Pattern[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Cut what follows into pieces that end with a line, until the delimiter; leaves the file behind that one."""
    rest = b""
    while True:
        chunk = handle.read(_CHUNK)
        rest += chunk or b"\n"
        if end := delimiter.search(rest):
            handle.seek(min(end.end() - len(rest), 0), 1)
            yield rest[: end.start()], True
            return
        if not chunk:
            return
        # The delimiter may stand across two chunks; binary data have lines of any length, or none.
        cut = max(rest.rfind(b"\n", 0, -100), len(rest) - _CHUNK)
        yield rest[:cut], False
        rest = rest[cut:]


def _numbers(path: Path, head: Dataset58) -> Iterator[NDArray[np.floating]]:
    is_end = False
    with path.open("rb") as handle:
        handle.seek(head.start - 1)
        for text, is_end in _chunks(handle, _END):  # noqa: B007 - the last one counts
            yield _parse(text, path, head)
    if not is_end:
        raise Truncated(f"{path}: dataset {head.number} has no end", "Copy the file again")


def _parse(text: bytes, path: Path, head: Dataset58) -> NDArray[np.floating]:
    """Read numbers between blanks; fields of full width may touch (``1.0E-100-2.0E+00``), exponents be written D."""
    if not text.strip():
        return np.empty(0)
    text = text.replace(b"D", b"E")
    for spread in (text, _TOUCHING.sub(b" ", text)):
        with warnings.catch_warnings(), suppress(DeprecationWarning, ValueError):
            warnings.simplefilter("error")
            return np.fromstring(spread, float, sep=" ")
    message = f"{path}: dataset {head.number} holds something else than numbers"
    raise ReadError(message, "Copy the file again, or export it once more")


def _too_few(path: Path, head: Dataset58, present: int) -> Truncated:
    message = f"{path}: dataset {head.number} promises {head.count} samples and holds {present}"
    return Truncated(message, "Copy the file again")


def _seek_delimiter(handle: IO[bytes]) -> bool:
    """Go behind the next line that holds nothing but -1."""
    while line := handle.readline():
        if line.startswith(b"    -1") and not line[6:].strip():
            return True
    return False


def _header(handle: IO[bytes], first: str, number: int, path: Path) -> Dataset58:
    """Read the records by their columns; text in whatever encoding."""
    lines = [handle.readline().rstrip(b"\r\n").decode("utf-8", "replace").ljust(80) for _ in range(_HEADER_LINES)]
    binary = first[6:7].lower() == "b"
    if binary and _whole(first[13:19]) in _FLOATS:
        raise ReadError(f"{path}: dataset {number} holds {_FLOATS[_whole(first[13:19])]} floats", "Export IEEE floats")
    form, axis, ordinate = lines[6], lines[7], lines[8]
    data_type, count, even = _whole(form[:10]), _whole(form[10:20]), _whole(form[20:30]) == 1
    if data_type not in (2, 4, 5, 6) or count < 0:
        raise ReadError(f"{path}: dataset {number} has data of type {data_type}", "Copy the file again")
    item = (1 if data_type < 5 else 2) * (4 if data_type in (2, 5) else 8)
    return Dataset58(
        number, tuple(line.strip() for line in lines[:5]), _whole(lines[5][:5]), lines[5][30:41].strip(), data_type,
        count, even, float(form[43:56].strip().upper().replace("D", "E") or 0), _whole(axis[:10]),
        axis[25:46].strip(), ordinate[25:46].strip(), ordinate[46:67].strip(),
        ("<" if _whole(first[7:13]) == 1 else ">") if binary else "", _whole(first[31:43]) or item * count,
        handle.tell(),
    )  # fmt: skip


def _whole(text: str) -> int:
    return int(text.strip() or 0)
