"""UFF/UNV dataset 58, ASCII and binary. Only functions over time are recordings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from camvib.errors import NotATimeSeries, Truncated
from camvib.readers._channel import Channel, rate_from_step
from camvib.readers._clock import read_clock

_TIME_AXIS = 17
_FUNCTIONS = {
    2: "an auto-spectrum", 3: "a cross-spectrum", 4: "a frequency response", 6: "a coherence",
    9: "a power spectral density", 10: "an energy spectral density", 12: "a spectrum",
}  # fmt: skip


def sniff(head: bytes, path: Path) -> bool:
    """Recognise a line with -1, then a line with the number of a dataset."""
    words = head[:200].split(maxsplit=2)
    return len(words) > 1 and words[0] == b"-1" and words[1].rstrip(b"bB").isdigit()


def read(path: Path) -> Iterator[Channel]:
    """Read every dataset 58 over time."""
    import pyuff

    file = pyuff.UFF(str(path))
    kinds = [int(kind) for kind in file.get_set_types()]
    refused: list[str] = []
    names: set[str] = set()
    for i in (i for i, kind in enumerate(kinds) if kind == 58):
        data = file.read_sets(i)
        if reason := _not_over_time(data):
            refused.append(reason)
            continue
        channel = _channel(path, data, i)
        if channel.name in names:
            channel = _channel(path, data | {"rsp_ent_name": f"{channel.name} #{i + 1}"}, i)
        names.add(channel.name)
        yield channel
    if not names:
        what = (
            ", ".join(sorted(set(refused))) or f"datasets {', '.join(map(str, sorted(set(kinds))))} and no dataset 58"
        )
        raise NotATimeSeries(
            f"{path}: holds {what}: no samples over time", "Export the time response (dataset 58, function type 1)"
        )


def _not_over_time(data: dict[str, Any]) -> str:
    function, axis = int(data["func_type"]), int(data["abscissa_spec_data_type"])
    if np.iscomplexobj(data["data"]) or function not in (0, 1) or axis not in (0, _TIME_AXIS):
        return _FUNCTIONS.get(function, f"function type {function} over {data.get('abscissa_axis_lab', '?')}")
    return ""


def _channel(path: Path, data: dict[str, Any], i: int) -> Channel:
    samples = np.asarray(data["data"])
    if len(samples) < int(data["num_pts"]):
        raise Truncated(
            f"{path}: dataset {i + 1} promises {int(data['num_pts'])} samples and holds {len(samples)}",
            "Copy the file again",
        )
    labels = (data.get(key) for key in ("rsp_ent_name", "ordinate_axis_lab", "id1"))
    name = next(
        (str(text).strip() for text in labels if text and str(text).strip().upper() != "NONE"), f"dataset {i + 1}"
    )
    unit = str(data.get("ordinate_axis_units_lab", "")).strip()
    common = {"unit": unit if unit.upper() != "NONE" else None, "recorded_at": _date(data), "format": "uff"}
    if int(data["abscissa_spacing"]) == 1:
        step = float(data["abscissa_inc"])
        # Written with six significant digits, also in the binary form.
        digits = 10.0 ** (np.floor(np.log10(step)) - 5) if step > 0 else 0.0
        rate = rate_from_step(step, digits, f"abscissa increment {step:.6g} s")
        return Channel(name, samples, rates=(rate,) if rate else (), **common)  # type: ignore[arg-type]
    clock, problem, warnings = read_clock(np.asarray(data["x"]), "s", "abscissa")
    return Channel(name, samples, rates=(clock,) if clock else (), rate_problem=problem, warnings=warnings, **common)  # type: ignore[arg-type]


def _date(data: dict[str, Any]) -> datetime | None:
    try:
        return datetime.strptime(str(data.get("id3", "")).strip(), "%d-%b-%y %H:%M:%S")
    except ValueError:
        return None
