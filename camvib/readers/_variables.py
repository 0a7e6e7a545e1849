"""Named arrays (NPZ, MAT, HDF5) → channels: scalars such as fs are metadata, arrays are series."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from numpy.typing import NDArray

from camvib.readers._channel import Channel, Rate, stated_rate
from camvib.readers._clock import looks_like_clock
from camvib.readers._names import is_time, known_unit, split_name
from camvib.readers._table import Column, array_columns, table_channels
from camvib.readers._text import parse_date

RATE_KEYS = ("fs", "fs_hz", "sampling_rate_hz", "sampling_rate", "sample_rate", "samplerate", "samplefreq", "srate")
STEP_KEYS = ("dt", "dt_s", "delta_t", "wf_increment")
UNIT_KEYS = ("unit", "units")
DATE_KEYS = ("started", "recorded_at", "start_time", "date")


def variable_channels(
    variables: Mapping[str, NDArray[Any]], form: str, units: Mapping[str, str] | None = None,
    warnings: tuple[str, ...] = (),
) -> Iterator[Channel]:  # fmt: skip
    """Turn named arrays into channels.

    Parameters
    ----------
    variables : mapping of str to ndarray
    form : str
        Name of the format.
    units : mapping of str to str, optional
        Unit of each array, where the file says so elsewhere.
    warnings : tuple of str
    """
    rates, unit, recorded_at = metadata(variables)
    spectra = {len(value) for value in variables.values() if value.dtype.kind == "c" and value.ndim}
    tables: dict[int, list[Column]] = {}
    for name, value in variables.items():
        if _last(name) in (*RATE_KEYS, *STEP_KEYS, *UNIT_KEYS, *DATE_KEYS):
            continue
        if value.dtype.kind not in "fiu" or value.ndim > 4 or (value.size < 2 and value.ndim != 1):
            continue
        if value.ndim == 2 and value.shape[0] in spectra:  # on the axis of a complex-valued array: a spectrum
            continue
        given = (units or {}).get(name) or split_name(name)[1] or unit
        columns = list(_columns(name, value, given, rates, recorded_at))
        if len(columns) == 2 and _is_xy(value):
            clock, series = columns
            clock = Column(f"time of {name}", clock.values, "s", named=True)
            columns = [clock, Column(name, series.values, given, rates, recorded_at)]
            yield from table_channels(columns, form, warnings)
            continue
        for column in columns:  # a time vector serves the arrays of its own length
            tables.setdefault(len(column.values), []).append(column)
    longest = max((value.size for value in variables.values() if value.dtype.kind in "fiu" and value.ndim), default=0)
    for table in tables.values():
        yield from table_channels([column for column in table if not _side_table(column, longest)], form, warnings)


def metadata(variables: Mapping[str, NDArray[Any]]) -> tuple[tuple[Rate, ...], str | None, datetime | None]:
    """Pick sampling rate, unit and date from scalars."""
    rates: list[Rate] = []
    unit, recorded_at = None, None
    for name, value in variables.items():
        key = _last(name)
        if value.size != 1:
            continue
        item = value.reshape(-1)[0]
        if key in (*RATE_KEYS, *STEP_KEYS) and value.dtype.kind in "fiu" and item > 0:
            rate = stated_rate(float(item if key in RATE_KEYS else 1 / item), name)
            rates += [rate] if rate else []
        elif key in UNIT_KEYS and value.dtype.kind in "US":
            text = item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
            unit = known_unit(text) or text or None
        elif key in DATE_KEYS and value.dtype.kind in "USM":
            recorded_at = parse_date(item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item))
    return tuple(rates), unit, recorded_at


def _last(name: str) -> str:
    return re.split(r"[./]", name)[-1].lower()


def _columns(
    name: str, value: NDArray[Any], unit: str | None, rates: tuple[Rate, ...], recorded_at: datetime | None
) -> Iterator[Column]:
    for label, series in array_columns(name, value):
        if len(series) > 1 or value.ndim == 1:
            yield Column(label, series, unit, () if is_time(name) else rates, recorded_at)


def _is_xy(value: NDArray[Any]) -> bool:
    """Tell whether a two-column array is time beside values."""
    return value.ndim == 2 and value.shape[1] == 2 and looks_like_clock(value[:, 0])


def _side_table(column: Column, longest: int) -> bool:
    """Tell whether an array only describes another one (a clock per snapshot, a list of limits)."""
    return 1 < len(column.values) < longest / 20 and column.unit in (None, "s")
