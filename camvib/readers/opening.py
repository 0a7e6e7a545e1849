"""A file → its channels: which reader, under what limits, and what of the file is left out."""

from __future__ import annotations

import functools
import importlib
import os
import pkgutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from camvib.errors import CamvibError, EmptyFile, ReadError, UnknownFormat, printable
from camvib.readers.parsing.blocks import is_long
from camvib.readers.parsing.channel import Channel, LeftOut
from camvib.readers.worker import read_apart

_HEAD_BYTES = 4096
_SPARSE = 100  # so many times more bytes than the disk holds is nothing but holes
_NO_READERS = ("opening", "reading", "worker")
_UNPACK, _EXPORT, _OTHER = "Unpack it and name the files in it", "Export the table as CSV", "Name the recording itself"
_FOREIGN = {
    b"PK": ("a ZIP archive of several files", f"{_UNPACK}, or export the table as CSV"),
    b"7z\xbc\xaf": ("a 7z archive", _UNPACK), b"Rar!": ("a RAR archive", _UNPACK),
    b"\xd0\xcf\x11\xe0": ("an old Excel file", "Save it as .xlsx or CSV"),
    b"SQLite": ("a database", _EXPORT), b"%PDF": ("a PDF document", _OTHER),
    b"\x89PNG": ("a picture", _OTHER), b"\xff\xd8\xff": ("a picture", _OTHER),
    b"OggS": ("lossy audio", "Export PCM or floating-point WAV"),
    b"ID3": ("lossy audio", "Export PCM or floating-point WAV"),
}  # fmt: skip


class Contents(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    channels : list of Channel
    left_out : list of LeftOut
        What is no channel, and why.
    """

    channels: list[Channel]
    left_out: list[LeftOut]


_is_trusted: ContextVar[bool] = ContextVar("is_trusted", default=False)


@contextmanager
def in_this_process() -> Iterator[None]:
    """Read without a worker process and its limits, for files that one has written oneself."""
    token = _is_trusted.set(True)
    try:
        yield
    finally:
        _is_trusted.reset(token)


def open_file(path: Path) -> Contents:
    """Read everything that may be a time series, unscaled, in a worker process with limits.

    Raises
    ------
    ReadError
        The file is empty, of no known format, damaged, holds no time series, or takes too much of anything.
    """
    path = Path(path)
    read_head(path)
    if _is_trusted.get():
        return open_here(path)
    return Contents(*read_apart(path))


def open_here(path: Path) -> Contents:
    """Read everything that may be a time series, unscaled, in this process and without limits.

    Raises
    ------
    ReadError
        The file is empty, of no known format, damaged, or holds no time series.
    """
    path = Path(path)
    name, reader, warnings = _reader_for(path, read_head(path))
    try:
        found = list(reader.read(path))
    except CamvibError as error:
        if printable(str(path)) in error.message:
            raise
        raise type(error)(f"{path}: {error.message}", error.remedy) from error
    except ImportError as error:
        raise ReadError(
            f"{path}: the {name} reader cannot be loaded: {error}", f"Install it: pip install camvib[{name}]"
        ) from error
    # A third party's parser may raise anything on a damaged file.
    except (Exception, MemoryError) as error:
        raise ReadError(
            f"{path}: damaged, or not {name} as camvib knows it: {type(error).__name__}: {str(error)[:200]}",
            f"Copy the file again, or export it once more; if other software reads it, report it with {name} as format",
        ) from error
    channels = [one for one in found if isinstance(one, Channel)]
    left_out = list(dict.fromkeys(one for one in found if isinstance(one, LeftOut)))
    if not channels:
        said = "; ".join(f"{one.name}: {one.reason}" for one in left_out[:5])
        raise EmptyFile(f"{path}: no time series in this {name} file. {said}".rstrip(". "), _way_on(left_out))
    return Contents(
        [replace(one, name=printable(one.name), warnings=(*one.warnings, *warnings)) for one in channels],
        [LeftOut(printable(one.name), printable(one.reason)) for one in left_out],
    )


def _way_on(left_out: Sequence[LeftOut]) -> str:
    return "Export it in another form, as the reason says" if left_out else "Check what was exported"


def read_head(path: Path) -> bytes:
    """Read the first bytes of a regular file; a pipe, a device or a file of holes is refused before it is opened."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ReadError(f"{path}: is a folder", "Name a file, or give the folder to camvib diagnose")
        if not stat.S_ISREG(status.st_mode):
            raise ReadError(f"{path}: is a {_kind(status.st_mode)}, not a file", "Name a regular file")
        if is_long(status.st_size) and status.st_size > _SPARSE * max(512 * getattr(status, "st_blocks", 1 << 62), 1):
            raise ReadError(
                f"{path}: {status.st_size / 1e9:.3g} GB, of which {512 * status.st_blocks / 1e6:.3g} MB are on disk: "
                f"holes, no samples (limit {_SPARSE} times)",
                "Copy the recording again",
            )
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as handle:  # noqa: PTH123 - flags
            head = handle.read(_HEAD_BYTES)
    except OSError as error:
        raise ReadError(f"{path}: {error.strerror}", "Check the path and the permission to read") from error
    if not head:
        raise EmptyFile(f"{path}: 0 bytes", "Copy or export the file again")
    return head


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISFIFO, "pipe"), (stat.S_ISCHR, "device"), (stat.S_ISBLK, "device"), (stat.S_ISSOCK, "socket"))
    return next((word for check, word in kinds if check(mode)), "special file")


@functools.cache
def _plugins() -> tuple[tuple[str, str], ...]:
    """Names and modules of all readers; a checkout that is not installed still has its own."""
    found = {point.name: point.value for point in entry_points(group="camvib.readers")}
    here = f"{__package__}."
    own = {
        module.name: here + module.name
        for module in pkgutil.iter_modules([str(Path(__file__).parent)])
        if not module.name.startswith("_") and not module.ispkg and module.name not in _NO_READERS
    }
    known = set(found.values())
    return tuple((found | {name: module for name, module in own.items() if module not in known}).items())


def _reader_for(path: Path, head: bytes) -> tuple[str, ModuleType, tuple[str, ...]]:
    matches: list[tuple[int, str, ModuleType]] = []
    warnings: list[str] = []
    for name, module in _plugins():
        try:
            reader = importlib.import_module(module)
            if reader.sniff(head, path):
                matches.append((-int(getattr(reader, "priority", 50)), name, reader))
        # Somebody else's plugin must not take the other readers down with it.
        except Exception as error:  # noqa: BLE001
            warnings.append(f"reader {name!r} is broken and was passed over: {type(error).__name__}: {error}")
    if not matches:
        if foreign := next((what for magic, what in _FOREIGN.items() if head.startswith(magic)), None):
            raise UnknownFormat(f"{path}: is {foreign[0]}", foreign[1])
        known = ", ".join(sorted(name for name, _ in _plugins()))
        raise UnknownFormat(
            f"{path}: the content is of no known format ({known}). {'; '.join(warnings)}".strip(),
            "Export it as CSV, WAV, Parquet or UFF 58, or plug a reader in (docs/reference/formats.md)",
        )
    _, name, reader = min(matches, key=lambda match: match[:2])
    return name, reader, tuple(warnings)
