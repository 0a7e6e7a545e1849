"""WAV (also RF64, BW64, W64, AIFF, FLAC). Integers are counts around zero: files of sensors carry no full scale."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from camvib.errors import EmptyFile, ReadError, Truncated
from camvib.readers.parsing.blocks import BLOCK, Spool
from camvib.readers.parsing.channel import Channel, Rate, stated_rate
from camvib.readers.parsing.table import Found

_BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_LARGE = (b"RF64", b"BW64")
_MOST_CHUNKS = 10_000
# Sizes that recorders leave when they stream, or when power is lost before they come back to the header.
_NEVER_GIVEN = (0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000)
_ENDLESS = 0x7FFF0000


def sniff(head: bytes, path: Path) -> bool:
    """Recognise the container's magic."""
    riff = head[:4] in (b"RIFF", b"RIFX", *_LARGE) and head[8:12] == b"WAVE"
    return (
        riff
        or head.startswith((b"riff\x2e\x91", b"fLaC"))
        or (head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"))
    )


class _Layout(NamedTuple):
    """What the chunks of a RIFF file say: its format, and where the samples really lie."""

    rates: tuple[Rate, ...]
    form: bytes
    start: int
    size: int
    notes: tuple[str, ...]


def read(path: Path) -> Iterator[Found]:
    """Read all channels: integer PCM as counts (8 bit: 128 is zero), floating PCM as it stands."""
    layout = _layout(path)
    rates, notes = (layout.rates, layout.notes) if layout else ((), ())
    with _opened(path, layout) as sound:
        bits = _BITS.get(sound.subtype)
        if bits is None and sound.subtype not in ("FLOAT", "DOUBLE"):
            raise ReadError(f"{path}: {sound.subtype} is lossy audio coding", "Export PCM or floating-point WAV")
        factor = 2.0 ** (bits - 1) if bits else 1.0
        dtype = "float64" if sound.subtype in ("DOUBLE", "PCM_32") else "float32"
        size = np.dtype(dtype).itemsize
        # A damaged header may promise any number of channels and samples: the file's size bounds them.
        spools = [
            Spool(min(sound.frames * sound.channels, 8 * path.stat().st_size) * size) for _ in range(sound.channels)
        ]
        frames = max(BLOCK // sound.channels, 1)
        while len(block := sound.read(frames, dtype, always_2d=True)):
            for spool, column in zip(spools, block.T, strict=True):
                spool.append(column * column.dtype.type(factor))
        many, rate, form = sound.channels > 1, float(sound.samplerate), sound.format.lower()
        form = "wav" if form in ("wavex", "rf64") else form
    for i, spool in enumerate(spools):
        name = f"samples[{i}]" if many else "samples"
        yield Channel(name, spool.close(), None if rates else rate, format=form, rates=rates, warnings=notes)


def _opened(path: Path, layout: _Layout | None) -> Any:
    """Open a file as it is, or, where libsndfile stumbles over its chunks, behind a header that is in order."""
    import soundfile

    with path.open("rb") as probe:
        is_plain = layout is None or (probe.read(4) != b"BW64" and not layout.notes)
    if is_plain:
        try:
            return soundfile.SoundFile(path)
        except soundfile.LibsndfileError:
            if layout is None:
                raise
    assert layout is not None
    return soundfile.SoundFile(_Mended(path.open("rb"), layout))


class _Mended(io.RawIOBase):
    """The samples of a file behind a header of three chunks."""

    def __init__(self, handle: IO[bytes], layout: _Layout) -> None:
        self._handle, self._start = handle, layout.start
        size = min(layout.size, 0xFFFFFFFF - 100)
        chunks = b"WAVEfmt " + struct.pack("<I", len(layout.form)) + layout.form + b"data" + struct.pack("<I", size)
        self._header = b"RIFF" + struct.pack("<I", len(chunks) + size) + chunks
        if layout.size > size:
            sizes = struct.pack("<QQQI", len(chunks) + layout.size + 36, layout.size, 0, 0)
            chunks = chunks[:-4] + b"\xff\xff\xff\xff"
            self._header = b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<I", len(sizes)) + sizes + chunks[4:]
        self._end, self._at = len(self._header) + layout.size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(offset + (0, self._at, self._end)[whence], 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        n = max(min(len(buffer), self._end - self._at), 0)
        if self._at < len(self._header):
            data = self._header[self._at : self._at + n]
        else:
            self._handle.seek(self._start + self._at - len(self._header))
            data = self._handle.read(n)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._handle.close()
        super().close()


def _layout(path: Path) -> _Layout | None:
    """Walk through the chunks of a RIFF file; None for other containers.

    libsndfile takes the first of two statements of the rate, silently the samples that are there, and gives up at an
    odd chunk that was not padded.
    """
    total, data_size = path.stat().st_size, 0
    rates: list[Rate | None] = []
    form, notes = b"", list[str]()
    with path.open("rb") as handle:
        magic = handle.read(4)
        if magic not in (b"RIFF", *_LARGE):
            return None
        handle.seek(12)
        for _ in range(_MOST_CHUNKS):
            header = handle.read(8)
            if len(header) < 8:
                break
            name, size = struct.unpack("<4sI", header)
            start = handle.tell()
            if name == b"ds64":
                data_size = struct.unpack("<QQ", handle.read(16).ljust(16, b"\0"))[1]
            if name == b"fmt ":
                form = handle.read(min(size, 64))
                rates += _rates_of(form)
            if name == b"data":
                if not form:
                    break
                size = data_size if magic in _LARGE and size == 0xFFFFFFFF and data_size else size
                size, note = _true_size(path, size, total - start)
                return _Layout(tuple(rate for rate in rates if rate), form, start, size, (*notes, *note))
            handle.seek(start + size + size % 2)
            if size % 2 and _is_unpadded(handle, start + size):
                handle.seek(start + size)
                notes.append(f"chunk {name.decode('latin-1')!r} has an odd length and no byte to fill it up; read on")
    return None


def _rates_of(form: bytes) -> list[Rate | None]:
    if len(form) < 14:
        return []
    _, _, per_second, bytes_per_second, frame_bytes = struct.unpack("<HHIIH", form[:14])
    return [
        stated_rate(per_second, "header, samples per second"),
        stated_rate(bytes_per_second / max(frame_bytes, 1), "header, bytes per second"),
    ]


def _is_unpadded(handle: IO[bytes], end: int) -> bool:
    """Tell whether the next chunk begins at an odd place."""
    handle.seek(end)
    there, padded = handle.read(4), b""
    handle.seek(end + 1)
    padded = handle.read(4)
    handle.seek(end + 1)
    return _is_name(there) and not _is_name(padded)


def _is_name(word: bytes) -> bool:
    return len(word) == 4 and all(32 <= byte < 127 for byte in word)


def _true_size(path: Path, size: int, present: int) -> tuple[int, tuple[str, ...]]:
    """Find how many bytes of samples there are, where the header never got to know."""
    if size == 0 and present == 0:
        raise EmptyFile(f"{path}: no samples", "Check how the file was exported")
    if size == 0 or (size > present and (size in _NEVER_GIVEN or size >= _ENDLESS)):
        return present, (
            f"the header never got the size of the samples (it says {size}): all {present} bytes are read",
        )
    if size > present:
        raise Truncated(
            f"{path}: the header promises {size} bytes of samples, {present} are there",
            "Copy the file again; if the recorder lost power, let sox or ffmpeg set its size to what is there",
        )
    return size, ()
