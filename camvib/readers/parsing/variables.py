"""Named arrays (NPZ, MAT, HDF5, JSON) → channels: scalars such as fs are metadata, arrays are series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.errors import NotATimeSeries
from camvib.readers.parsing.channel import Channel, LeftOut
from camvib.readers.parsing.clock import looks_like_clock
from camvib.readers.parsing.column import Column
from camvib.readers.parsing.names import is_time, split_name, states_rate
from camvib.readers.parsing.scales import calibrate
from camvib.readers.parsing.scopes import DATE_KEYS, NAME_KEYS, UNIT_KEYS, Scopes, gather, parts
from camvib.readers.parsing.table import Found, array_columns, table_channels

_MOST_CHANNELS = 32  # of one array; beyond, its rows may be windows


def variable_channels(
    variables: Mapping[str, NDArray[Any]], form: str, units: Mapping[str, str] | None = None,
    warnings: tuple[str, ...] = (),
) -> Iterator[Found]:  # fmt: skip
    """Turn named arrays into channels.

    Parameters
    ----------
    variables : mapping of str to ndarray
        What stands in groups or structs is named ``group/x`` or ``data.x``; the name of an attribute ends with a blank.
    form : str
        Name of the format.
    units : mapping of str to str, optional
        Unit of each array, where the file says so elsewhere.
    warnings : tuple of str
    """
    spectra = {len(value) for value in variables.values() if value.dtype.kind == "c" and value.ndim}
    series = [name for name, value in variables.items() if _is_series(name, value)]
    windows = [variables[name] for name in series if _windows(variables[name], variables) is not None]
    counted = {value.shape[0] for value in windows}
    series = [name for name in series if not _is_label_vector(variables[name], counted)]
    scopes = gather(variables, series)
    tables: dict[object, list[Column]] = {}  # by length, or of one array alone by its name
    for name in series:
        value = variables[name]
        if value.ndim == 2 and value.shape[0] in spectra:  # on the axis of a complex-valued array: a spectrum
            continue
        if reason := _undecided(value, variables):
            yield LeftOut(name, reason)
            continue
        columns = list(_columns(name, value, scopes, (units or {}).get(name), _windows(value, variables)))
        if len(columns) == 2 and _is_xy(value):
            clock, values = columns
            tables[name] = [Column(f"time of {name}", clock.values, "s"), replace(values, name=name)]
            continue
        if len(columns) > 1 and any(is_time(column.name) for column in columns):
            tables[name] = columns
            continue
        rises = [looks_like_clock(column.values) for column in columns[:2]] if value.ndim == 2 else []
        if rises == [True, False]:
            tables[name] = [replace(column, named=False) for column in columns]
            continue
        for column in columns:  # a time vector serves the arrays of its own length
            tables.setdefault(len(column.values), []).append(column)
    yield from _tables(list(tables.values()), form, warnings)


def _tables(tables: Sequence[Sequence[Column]], form: str, warnings: tuple[str, ...]) -> Iterator[Found]:
    longest = max((len(column.values) for table in tables for column in table), default=0)
    spectrum: NotATimeSeries | None = None
    found = False
    for table in tables:
        side = [column for column in table if _side_table(column, longest)]
        yield from (LeftOut(column.name, f"{len(column.values)} values beside series of {longest}") for column in side)
        try:
            channels = list(table_channels([column for column in table if column not in side], form, warnings))
        except NotATimeSeries as error:
            spectrum = error  # beside which there may be the time series
            continue
        found = found or any(isinstance(one, Channel) for one in channels)
        yield from channels
    if spectrum and not found:
        raise spectrum


def _is_series(name: str, value: NDArray[Any]) -> bool:
    last = parts(name)[-1].strip()
    if name.endswith(" ") or last.lower() in (*UNIT_KEYS, *DATE_KEYS):
        return False
    if value.size == 1 and states_rate(last):
        return False
    return value.dtype.kind in "fiu" and value.ndim <= 4 and (value.size > 1 or value.ndim == 1)


def _columns(name: str, value: NDArray[Any], scopes: Scopes, unit: str | None, axis: int | None) -> Iterator[Column]:
    """Split an array into series; a list of names or units as long as there are series belongs to them."""
    found = [
        (label, series) for label, series in array_columns(name, value, axis) if len(series) > 1 or value.ndim == 1
    ]
    many = len(found) > 1 and value.ndim == 2
    names = scopes.listed(name, NAME_KEYS, len(found)) if many else ()
    units = scopes.listed(name, UNIT_KEYS, len(found)) if many else ()
    rates, beside = scopes.rates(name), scopes.numbers(name)
    for i, (label, series) in enumerate(found):
        title = names[i] if names else label
        given = (units[i] if units else None) or (split_name(title)[1] if names else None) or unit
        given = given or split_name(name)[1] or (None if is_time(title) else scopes.unit(name))
        clock = is_time(title if names else name)
        column = Column(title, series, given, () if clock else rates, scopes.date(name))
        yield column if clock else calibrate(column, beside)


def _windows(value: NDArray[Any], variables: Mapping[str, NDArray[Any]]) -> int | None:
    """Find the axis of time where it is not the longest: behind windows, before a few channels.

    An array of labels, one a window, tells which axis counts windows.
    """
    if value.ndim == 3 and value.shape[2] <= 8 and 16 <= value.shape[1] <= value.shape[0]:
        return 1
    if value.ndim == 2 and min(value.shape) > _MOST_CHANNELS and value.shape[0] != value.shape[1]:
        counts = {len(other) for other in variables.values() if other.ndim == 1 and other.dtype.kind in "iuUSb"}
        counted = [axis for axis in (0, 1) if value.shape[axis] in counts]
        return 1 - counted[0] if len(counted) == 1 else None
    return None


def _is_label_vector(value: NDArray[Any], counts: set[int]) -> bool:
    return value.ndim == 1 and value.dtype.kind in "iu" and len(value) in counts


def _undecided(value: NDArray[Any], variables: Mapping[str, NDArray[Any]]) -> str:
    if value.ndim != 2 or min(value.shape) <= _MOST_CHANNELS or _windows(value, variables) is not None:
        return ""
    rows, columns = value.shape
    return (
        f"{rows} × {columns} values: {rows} windows of {columns} samples, or {columns} channels of {rows} samples; "
        f"a vector of labels, one a window, would tell (or save one array a window)"
    )


def _is_xy(value: NDArray[Any]) -> bool:
    """Tell whether a two-column array is time beside values."""
    return value.ndim == 2 and value.shape[1] == 2 and looks_like_clock(np.asarray(value[:, 0]))


def _side_table(column: Column, longest: int) -> bool:
    """Tell whether an array only describes another one (a clock per snapshot, a list of limits)."""
    return 1 < len(column.values) < longest / 20 and column.unit in (None, "s")
