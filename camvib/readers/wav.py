"""WAV (and RF64, W64, AIFF, FLAC). Integers are given as counts around zero: files of sensors carry no full scale."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from camvib.errors import ReadError, Truncated
from camvib.readers.parsing.blocks import BLOCK, Spool
from camvib.readers.parsing.channel import Channel, Rate, stated_rate

_BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}


def sniff(head: bytes, path: Path) -> bool:
    """Recognise the container's magic."""
    riff = head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] == b"WAVE"
    return (
        riff
        or head.startswith((b"riff\x2e\x91", b"fLaC"))
        or (head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"))
    )


def read(path: Path) -> Iterator[Channel]:
    """Read all channels: integer PCM as counts (8 bit: 128 is zero), floating PCM as it stands."""
    import soundfile

    rates = _stated_rates(path)
    with soundfile.SoundFile(path) as sound:
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
        yield Channel(name, spool.close(), None if rates else rate, format=form, rates=rates)


def _stated_rates(path: Path) -> tuple[Rate, ...]:
    """Read both statements of the rate in a RIFF header, and compare the data chunk's length with the file's.

    libsndfile takes the first rate, and silently the samples that are there.
    """
    total = path.stat().st_size
    rates: list[Rate | None] = []
    with path.open("rb") as handle:
        if handle.read(4) != b"RIFF":
            return ()
        handle.seek(12)
        while len(header := handle.read(8)) == 8:
            name, size = struct.unpack("<4sI", header)
            start = handle.tell()
            if name == b"fmt " and len(fields := handle.read(14)) == 14:
                _, _, per_second, bytes_per_second, frame_bytes = struct.unpack("<HHIIH", fields)
                rates.append(stated_rate(per_second, "header, samples per second"))
                rates.append(stated_rate(bytes_per_second / max(frame_bytes, 1), "header, bytes per second"))
            if name == b"data":
                if start + size > total and size < 0xFFFFFF00:  # recorders that stream leave the maximum
                    message = f"{path}: the header promises {size} bytes of samples, {total - start} are there"
                    raise Truncated(message, "Copy the file again")
                break
            handle.seek(start + size + size % 2)
    return tuple(rate for rate in rates if rate)
