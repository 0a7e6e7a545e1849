"""One file packed with gzip, bzip2, xz or zip: unpacked to the temporary folder and read there."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from camvib.errors import CamvibError, ReadError, printable
from camvib.readers.parsing.blocks import is_long, spool_folder, take_space
from camvib.readers.parsing.table import Found

priority = 10  # formats that are ZIP archives themselves (NPZ, XLSX) are asked first

_STREAMS: dict[bytes, tuple[str, Callable[..., Any]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ": ("xz", lzma.open),
}
_ZIP = b"PK\x03\x04"
_CHUNK = 1 << 20
_MOST_RATIO = 200  # text of numbers shrinks to a tenth at best; a bomb to a thousandth
_MOST_DEPTH = 2


def sniff(head: bytes, path: Path) -> bool:
    """Recognise the packers' magics; of archives, only those of one file."""
    if any(head.startswith(magic) for magic in _STREAMS):
        return True
    return head.startswith(_ZIP) and len(_members(path)) == 1


def read(path: Path) -> Iterator[Found]:
    """Unpack and read."""
    from camvib.readers.opening import open_here

    if path.name.startswith("packed" * _MOST_DEPTH):
        raise ReadError(f"{path}: packed more than {_MOST_DEPTH} times", "Unpack it")
    with tempfile.TemporaryDirectory(dir=spool_folder()) as folder:
        inner = _unpack(path, Path(folder))
        try:
            channels, left_out = open_here(inner)
        except CamvibError as error:
            message = error.message.replace(printable(str(inner)), f"{printable(str(path))} ({printable(inner.name)})")
            raise type(error)(message, error.remedy) from error
        yield from channels
        yield from left_out


def _members(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [one for one in archive.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX/")]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def _unpack(path: Path, folder: Path) -> Path:
    with path.open("rb") as handle:
        head = handle.read(6)
    if head.startswith(_ZIP):
        member = _members(path)[0]
        inner = folder / f"packed{Path(member.filename).name}"
        with zipfile.ZipFile(path) as archive:
            if member.flag_bits & 1:
                raise ReadError(f"{path}: is encrypted", "Unpack it with its password")
            with archive.open(member) as stream:
                _copy(path, stream, inner)
        return inner
    kind, opened = next(one for magic, one in _STREAMS.items() if head.startswith(magic))
    inner = folder / f"packed{path.stem if path.suffix.lower() in ('.gz', '.bz2', '.xz') else path.name}"
    try:
        with opened(path, "rb") as stream:
            _copy(path, stream, inner)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise ReadError(f"{path}: damaged, or not {kind}: {error}", "Copy the file again") from error
    return inner


def _copy(path: Path, stream: IO[bytes] | Any, target: Path) -> None:
    """Write what comes out, as long as it is not out of all proportion to what went in."""
    packed, total = path.stat().st_size, 0
    with target.open("wb") as out:
        while chunk := stream.read(_CHUNK):
            total += len(chunk)
            if is_long(total) and total > _MOST_RATIO * packed:
                raise ReadError(
                    f"{path}: {total / 1e6:.0f} MB and more come out of {packed / 1e6:.3g} MB (limit {_MOST_RATIO}×)",
                    "Unpack it yourself, if you trust it",
                )
            take_space(len(chunk))
            out.write(chunk)
