"""NI TDMS, channel by channel in blocks; copies that NI software decimated for display are left out."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from camvib.errors import NotATimeSeries, Truncated
from camvib.readers.parsing.blocks import BLOCK, Spool
from camvib.readers.parsing.channel import Channel, Rate, rate_from_step
from camvib.readers.parsing.column import Column
from camvib.readers.parsing.names import is_frequency, rate_of
from camvib.readers.parsing.scopes import UNIT_KEYS
from camvib.readers.parsing.table import Found, table_channels

_LABVIEW_EPOCH = 1904
_LEAD_IN = 28  # bytes: tag, flags, version, length of the segment, place of its samples
_BIG_ENDIAN = 0x40
_UNFINISHED = 0xFFFFFFFFFFFFFFFF


def sniff(head: bytes, path: Path) -> bool:
    """Recognise the tag of the first segment."""
    return head.startswith(b"TDSm")


def read(path: Path) -> Iterator[Found]:
    """Read every numeric channel, scaled as the file's properties say."""
    from nptdms import TdmsFile

    size = path.stat().st_size
    unfinished = _check_segments(path, size)
    spectra: list[str] = []
    found = False
    with TdmsFile.open(path) as file:
        groups = [group for group in file.groups() if not int(group.properties.get("DecimationLevel", 0))]
        counts = Counter(channel.name for group in groups for channel in group.channels())
        total = sum(len(channel) for group in groups for channel in group.channels()) * 8
        for group in groups:
            columns = []
            for channel in group.channels():
                if len(channel) > 8 * size:  # a damaged index may promise more than memory holds
                    raise Truncated(f"{path}: {channel.name!r} promises {len(channel)} samples", "Copy the file again")
                if np.dtype(channel.dtype).kind not in "fiuM" or not len(channel):
                    continue
                name = channel.name if counts[channel.name] == 1 else f"{group.name}/{channel.name}"
                if _over_frequency(channel.properties):
                    spectra.append(name)
                    continue
                columns.append(_column(channel, name, total, [group.properties, file.properties]))
            for one in table_channels(columns, "tdms", unfinished):
                found = found or isinstance(one, Channel)
                yield one
    if spectra and not found:
        raise NotATimeSeries(f"{path}: {spectra[0]!r} is a spectrum: no samples over time", "Export the time series")


def _check_segments(path: Path, size: int) -> tuple[str, ...]:
    """Walk from segment to segment: nptdms reads what is left of a cut file without a word."""
    position = 0
    with path.open("rb") as handle:
        while position < size:
            handle.seek(position)
            lead_in = handle.read(_LEAD_IN)
            if len(lead_in) < _LEAD_IN or lead_in[:4] != b"TDSm":
                raise Truncated(f"{path}: no segment at byte {position} of {size}", "Copy the file again")
            order = ">" if lead_in[4] & _BIG_ENDIAN else "<"
            length = int(struct.unpack(f"{order}Q", lead_in[12:20])[0])
            if length == _UNFINISHED:
                return ("the writer was stopped before the last segment was closed",)
            position += _LEAD_IN + length
    if position > size:
        raise Truncated(f"{path}: {size} bytes, the last segment ends at {position}", "Copy the file again")
    return ()


def _column(channel: Any, name: str, total_bytes: int, above: Sequence[Any]) -> Column:
    spool = Spool(total_bytes)
    for first in range(0, len(channel), BLOCK):
        block = channel[first : first + BLOCK]
        spool.append(_seconds(block) if block.dtype.kind == "M" else block)
    properties = channel.properties
    unit = properties.get("unit_string") or properties.get("NI_UnitDescription") or None
    if np.dtype(channel.dtype).kind == "M":
        unit = "s"
    rates = _rates(properties)
    for owner in (properties, *above):  # the channel's own statements before its group's, and those before the file's
        rates = rates or _stated(owner)
        unit = unit or next((str(owner[key]) for key in owner if str(key).lower() in UNIT_KEYS and owner[key]), None)
    return Column(name, spool.close(), unit, rates, _start(properties))


def _stated(properties: Any) -> tuple[Rate, ...]:
    """Read properties that people name themselves: ``SampleRate``, ``Sampling rate (Hz)``."""
    found = (
        rate_of(str(key), str(value), f"property {key!r}")
        for key, value in properties.items()
        if not str(key).startswith("wf_") and isinstance(value, (str, int, float, np.number))
    )
    return tuple(rate for rate in found if rate)


def _seconds(block: Any) -> Any:
    nanoseconds = block.astype("datetime64[ns]").astype(np.int64)
    return (nanoseconds % (86_400 * 10**9 * 365)) * 1e-9


def _over_frequency(properties: Any) -> bool:
    axis, unit = (str(properties.get(key, "")) for key in ("wf_xname", "wf_xunit_string"))
    return unit.strip().lower() in ("hz", "khz") or is_frequency(axis or "?")


def _rates(properties: Any) -> tuple[Rate, ...]:
    try:
        step = float(properties.get("wf_increment", 0.0))
    except (TypeError, ValueError):
        return ()
    if step == 1.0:  # what LabVIEW writes if nobody set it: no statement
        return ()
    rate = rate_from_step(step, step * 1e-12, f"wf_increment {step:.6g} s")
    return (rate,) if rate else ()


def _start(properties: Any) -> datetime | None:
    stamp = properties.get("wf_start_time")
    if not isinstance(stamp, np.datetime64) or np.isnat(stamp):
        return None
    moment = stamp.astype("datetime64[us]").astype(datetime)
    return moment.replace(tzinfo=UTC) if isinstance(moment, datetime) and moment.year > _LABVIEW_EPOCH else None
