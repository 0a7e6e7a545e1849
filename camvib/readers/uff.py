"""UFF/UNV dataset 58, ASCII and binary. Only functions over time are recordings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np

from camvib.errors import NotATimeSeries
from camvib.readers._uff58 import Dataset58, datasets, samples
from camvib.readers.parsing.channel import Channel, rate_from_step
from camvib.readers.parsing.clock import read_clock

_TIME_AXIS = 17
_FUNCTIONS = {
    2: "an auto-spectrum", 3: "a cross-spectrum", 4: "a frequency response", 5: "a transmissibility",
    6: "a coherence", 7: "an auto-correlation", 8: "a cross-correlation", 9: "a power spectral density",
    10: "an energy spectral density", 11: "a probability density", 12: "a spectrum",
    24: "a shock response spectrum", 25: "a filter's impulse response", 27: "an order function",
}  # fmt: skip


def sniff(head: bytes, path: Path) -> bool:
    """Recognise a line with -1, then a line with the number of a dataset."""
    words = head[:200].split(maxsplit=2)
    return len(words) > 1 and words[0] == b"-1" and words[1].rstrip(b"bB").isdigit()


def read(path: Path) -> Iterator[Channel]:
    """Read every dataset 58 over time."""
    kinds: set[int] = set()
    refused: set[str] = set()
    names: set[str] = set()
    for kind, head in datasets(path):
        kinds.add(kind)
        if head is None:
            continue
        if reason := _not_over_time(head):
            refused.add(reason)
            continue
        name = _name(head)
        name = f"{name} #{head.number}" if name in names else name
        names.add(name)
        yield _channel(path, head, name)
    if not names:
        what = ", ".join(sorted(refused)) or f"datasets {', '.join(map(str, sorted(kinds)))} and no dataset 58"
        raise NotATimeSeries(
            f"{path}: holds {what}: no samples over time", "Export the time response (dataset 58, function type 1)"
        )


def _not_over_time(head: Dataset58) -> str:
    if head.is_complex or head.function not in (0, 1) or head.axis not in (0, _TIME_AXIS):
        return _FUNCTIONS.get(head.function, f"function type {head.function} over {head.axis_label or '?'}")
    return ""


def _name(head: Dataset58) -> str:
    texts = (head.response, head.label, head.ids[0])
    return next((text for text in texts if text and text.upper() != "NONE"), f"dataset {head.number}")


def _channel(path: Path, head: Dataset58, name: str) -> Channel:
    values, times = samples(path, head)
    unit = head.unit if head.unit.upper() != "NONE" else ""
    if times is None:
        step = head.increment
        # Written with six significant digits, also in the binary form.
        digits = 10.0 ** (np.floor(np.log10(step)) - 5) if step > 0 else 0.0
        rate, problem = rate_from_step(step, digits, f"abscissa increment {step:.6g} s"), ""
        warnings: tuple[str, ...] = ()
    else:
        rate, problem, warnings, _ = read_clock(times, "s", "abscissa")
    return Channel(
        name, values, unit=unit or None, recorded_at=_date(head.ids[2]), warnings=warnings, format="uff",
        rates=(rate,) if rate else (), rate_problem=problem,
    )  # fmt: skip


def _date(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%d-%b-%y %H:%M:%S")
    except ValueError:
        return None
