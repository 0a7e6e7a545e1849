"""Named arrays (NPZ, MAT, HDF5) → channels: scalars such as fs are metadata, arrays are series."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from numpy.typing import NDArray

from camvib.errors import NotATimeSeries
from camvib.readers.parsing.channel import Channel, Rate, stated_rate
from camvib.readers.parsing.clock import looks_like_clock
from camvib.readers.parsing.names import is_time, known_unit, rate_in, split_name
from camvib.readers.parsing.table import Column, array_columns, table_channels
from camvib.readers.parsing.text import parse_date

_PARTS = re.compile(r"[./]")
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
    stated = list(metadata(variables))
    spectra = {len(value) for value in variables.values() if value.dtype.kind == "c" and value.ndim}
    tables: dict[int, list[Column]] = {}
    for name, value in variables.items():
        if _last(name) in (*UNIT_KEYS, *DATE_KEYS) or (value.size == 1 and rate_in(_last(name), 1.0)):
            continue
        if value.dtype.kind not in "fiu" or value.ndim > 4 or (value.size < 2 and value.ndim != 1):
            continue
        if value.ndim == 2 and value.shape[0] in spectra:  # on the axis of a complex-valued array: a spectrum
            continue
        rates, unit, recorded_at = _nearest(stated, name)
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
    spectrum: NotATimeSeries | None = None
    found = False
    for table in tables.values():
        try:
            channels = list(table_channels([c for c in table if not _side_table(c, longest)], form, warnings))
        except NotATimeSeries as error:
            spectrum = error  # beside which there may be the time series
            continue
        found = found or bool(channels)
        yield from channels
    if spectrum and not found:
        raise spectrum


class _Stated(NamedTuple):
    """What a scalar says, and the group or struct it stands in."""

    scope: tuple[str, ...]
    rate: Rate | None = None
    unit: str | None = None
    recorded_at: datetime | None = None


def metadata(variables: Mapping[str, NDArray[Any]]) -> Iterator[_Stated]:
    """Pick sampling rates, units and dates from scalars."""
    for name, value in variables.items():
        if value.size != 1:
            continue
        item, key, scope = value.reshape(-1)[0], _last(name), tuple(_PARTS.split(name)[:-1])
        text = item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
        if rate_in(key, 1.0) is not None and value.dtype.kind in "fiuUS":
            with suppress(ValueError):
                yield _Stated(scope, rate=stated_rate(rate_in(key, float(text)) or 0.0, name))
        elif key in UNIT_KEYS and value.dtype.kind in "US":
            yield _Stated(scope, unit=known_unit(text) or text or None)
        elif key in DATE_KEYS and value.dtype.kind in "USM":
            yield _Stated(scope, recorded_at=parse_date(text))


def _nearest(stated: Sequence[_Stated], name: str) -> tuple[tuple[Rate, ...], str | None, datetime | None]:
    """Choose what stands nearest to a variable: in its own group rather than above, above rather than beside."""
    path = _PARTS.split(name)

    def distance(one: _Stated) -> tuple[int, int]:
        same = [part == other for part, other in zip(one.scope, path, strict=False)]
        return -[*same, False].index(False), len(one.scope)

    rates = [one for one in stated if one.rate]
    best = min(map(distance, rates), default=None)
    unit = min((one for one in stated if one.unit), key=distance, default=_Stated(()))
    date = min((one for one in stated if one.recorded_at), key=distance, default=_Stated(()))
    return tuple(one.rate for one in rates if one.rate and distance(one) == best), unit.unit, date.recorded_at


def _last(name: str) -> str:
    return _PARTS.split(name)[-1].strip().lower()


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
