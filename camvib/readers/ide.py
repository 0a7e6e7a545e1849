"""enDAQ / Slam Stick IDE (EBML). Needs idelib: ``pip install camvib[ide]``."""

from __future__ import annotations

import gc
import io
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from numpy.typing import NDArray

from camvib.errors import MissingExtra
from camvib.readers.parsing.blocks import Spool
from camvib.readers.parsing.channel import AMBIGUOUS, Channel, Rate
from camvib.readers.parsing.clock import read_clock

# idelib holds a file in memory, some twenty times its size: a long one is given to it piece by piece.
_PIECE_BYTES = 8_000_000
_SLOW_BYTES = 400_000  # temperature, which others are calibrated with: in every piece
_ROLLOVER_US = 2**24 / 2**15 * 1e6  # 24 bits, 2¹⁵ to the second
_BLOCK, _CHANNEL_OF_BLOCK = 0xA1, 0xB0


def sniff(head: bytes, path: Path) -> bool:
    """Recognise an EBML document of type mide."""
    return head.startswith(b"\x1a\x45\xdf\xa3") and b"mide" in head[:200]


@dataclass
class _Gathered:
    """A channel with its subchannels, the samples of all pieces so far."""

    name: str
    parts: list[tuple[str, str | None]]
    spools: list[Spool]  # time in µs, then one a subchannel
    stated_hz: float = 0.0
    last_us: float = 0.0


def read(path: Path) -> Iterator[Channel]:
    """Read every subchannel, calibrated; the rate is the measured one, which differs between channels."""
    found: dict[int, _Gathered] = {}
    for stream, chosen in _pieces(path):
        _gather_all(found, path, stream, chosen)
        if chosen is not None:  # idelib's objects hold each other in circles: a piece would stay for long
            gc.collect()
    counts = Counter(name for one in found.values() for name, _ in one.parts)
    for one in found.values():
        time, *series = (spool.close() for spool in one.spools)
        if len(time) < 2:
            continue
        rate, problem, notes = _rate(time, one.stated_hz, one.name)
        for (part, unit), samples in zip(one.parts, series, strict=True):
            name = part if counts[part] == 1 else f"{one.name}: {part}"
            yield Channel(
                name, samples, unit=unit, warnings=notes, format="ide", rates=(rate,) if rate else (),
                rate_problem=problem,
            )  # fmt: skip


def _gather_all(found: dict[int, _Gathered], path: Path, stream: IO[bytes], chosen: set[int] | None) -> None:
    try:
        import idelib.importer
    except ImportError as error:
        raise MissingExtra(f"{path}: IDE files need the package idelib", "pip install camvib[ide]") from error

    with idelib.importer.openFile(stream, quiet=True) as file:
        idelib.importer.readData(file)
        for number, channel in file.channels.items():
            if chosen is None or number in chosen or number not in found:
                _gather(found, number, channel, path.stat().st_size * 4)


def _gather(found: dict[int, _Gathered], number: int, channel: Any, total_bytes: int) -> None:
    if number not in found:
        units = [(part.displayName, _unit(*part.units)) for part in channel.subchannels]
        spools = [Spool(total_bytes) for _ in range(len(units) + 1)]
        found[number] = _Gathered(channel.displayName, units, spools)
    session = channel.getSession()
    if not len(session):
        return
    if len(session) > 1 and not found[number].stated_hz:
        found[number].stated_hz = float(session.getSampleRate())
    time_us, *series = session.arraySlice()
    # Older recorders' counters start over; idelib follows them through a piece, not from piece to piece.
    time_us = time_us + max(math.ceil((found[number].last_us - time_us[0]) / _ROLLOVER_US), 0) * _ROLLOVER_US
    found[number].last_us = float(time_us[-1])
    for spool, column in zip(found[number].spools, (time_us, *series), strict=True):
        spool.append(column.copy())


def _unit(quantity: str, unit: str) -> str | None:
    """Take the unit; a microphone's amplitude ``A`` is not in amperes."""
    return None if quantity == "Audio" else unit or quantity or None


class _Element(NamedTuple):
    channel: int | None  # None: no block of samples
    start: int
    size: int


def _pieces(path: Path) -> Iterator[tuple[IO[bytes], set[int] | None]]:
    """Cut a long file between its blocks; every piece has the header and the slow channels' blocks.

    Yields a piece and the numbers of the channels to take from it (None: all).
    """
    size = path.stat().st_size
    with path.open("rb") as handle:
        if size <= _PIECE_BYTES:
            yield handle, None
            return
        elements = list(_elements(handle, size))
        sizes: Counter[int | None] = Counter()
        for element in elements:
            sizes[element.channel] += element.size
        slow = {channel for channel, n in sizes.items() if channel is not None and n <= _SLOW_BYTES}
        common = [e for e in elements if e.channel is None or e.channel in slow]
        fast = [e for e in elements if e.channel is not None and e.channel not in slow]
        take = {int(channel) for channel in sizes if channel is not None}
        while fast or slow & take:
            n, piece = 0, list(common)
            while fast and n < _PIECE_BYTES:
                n += fast[0].size
                piece.append(fast.pop(0))
            yield io.BytesIO(b"".join(_bytes(handle, e) for e in sorted(piece, key=lambda e: e.start))), take
            take = take - slow


def _bytes(handle: IO[bytes], element: _Element) -> bytes:
    handle.seek(element.start)
    return handle.read(element.size)


def _elements(handle: IO[bytes], size: int) -> Iterator[_Element]:
    """Walk through the elements of the highest level (EBML, RFC 8794)."""
    at = 0
    while at < size:
        handle.seek(at)
        head = handle.read(64)
        name, inner = _number(head, 0, keep_marker=True)
        length, inner = _number(head, inner)
        end, channel = at + inner + length, None
        if name == _BLOCK:
            child, inner = _number(head, inner, keep_marker=True)
            if child == _CHANNEL_OF_BLOCK:
                n, first = _number(head, inner)
                channel = int.from_bytes(head[first : first + n], "big")
        yield _Element(channel, at, min(end, size) - at)
        at = end


def _number(data: bytes, at: int, keep_marker: bool = False) -> tuple[int, int]:
    """Read a number of variable length; returns it and the place behind it."""
    n = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + n], "big")
    return (value if keep_marker else value & ((1 << (7 * n)) - 1)), at + n


def _rate(time_us: NDArray[Any], stated_hz: float, name: str) -> tuple[Rate | None, str, tuple[str, ...]]:
    """Take the mean over all blocks; the recorder's own figure is that of its first block, which starts late."""
    rate, problem, notes, _ = read_clock(time_us, "us", name)
    if rate is None or not stated_hz or abs(stated_hz / rate.hz - 1) < 1e-3:
        return rate, problem, notes
    notes = (*notes, f"the first block of {name!r} runs at {stated_hz:.6g} Hz, all of them at {rate.hz:.6g} Hz")
    if abs(stated_hz / rate.hz - 1) < AMBIGUOUS:
        rate = Rate(rate.hz, min(rate.low, stated_hz), max(rate.high, stated_hz), rate.source)
    return rate, problem, notes
