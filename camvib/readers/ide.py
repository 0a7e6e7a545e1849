"""enDAQ / Slam Stick IDE (EBML). Needs idelib: ``pip install camvib[ide]``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.errors import MissingExtra
from camvib.readers._channel import AMBIGUOUS, Channel, Rate
from camvib.readers._clock import read_clock


def sniff(head: bytes, path: Path) -> bool:
    """Recognise an EBML document of type mide."""
    return head.startswith(b"\x1a\x45\xdf\xa3") and b"mide" in head[:200]


def read(path: Path) -> Iterator[Channel]:
    """Read every subchannel, calibrated; the rate is the measured one, which differs between channels."""
    try:
        import idelib
    except ImportError as error:
        raise MissingExtra(f"{path}: IDE files need the package idelib", "pip install camvib[ide]") from error

    with idelib.importFile(str(path)) as file:
        counts = Counter(part.displayName for channel in file.channels.values() for part in channel.subchannels)
        for channel in file.channels.values():
            session = channel.getSession()
            values = session.arraySlice()
            if values.shape[-1] < 2:
                continue
            rate, problem, notes = _rate(values[0], float(session.getSampleRate()), channel.displayName)
            for part, samples in zip(channel.subchannels, values[1:], strict=True):
                unique = counts[part.displayName] == 1
                name = part.displayName if unique else f"{channel.displayName}: {part.displayName}"
                quantity, unit = part.units
                yield Channel(
                    name, np.array(samples), unit=unit or quantity or None, warnings=notes, format="ide",
                    rates=(rate,) if rate else (), rate_problem=problem,
                )  # fmt: skip


def _rate(time_us: NDArray[Any], stated_hz: float, name: str) -> tuple[Rate | None, str, tuple[str, ...]]:
    """Take the mean over all blocks; the recorder's own figure is that of its first block, which starts late."""
    rate, problem, notes = read_clock(time_us, "us", name)
    if rate is None or abs(stated_hz / rate.hz - 1) < 1e-3:
        return rate, problem, notes
    notes = (*notes, f"the first block of {name!r} runs at {stated_hz:.6g} Hz, all of them at {rate.hz:.6g} Hz")
    if abs(stated_hz / rate.hz - 1) < AMBIGUOUS:
        rate = Rate(rate.hz, min(rate.low, stated_hz), max(rate.high, stated_hz), rate.source)
    return rate, problem, notes
