"""Columns of one table → channels: which is the clock, which belong to it, which are none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.errors import NotATimeSeries
from camvib.readers.parsing.blocks import BLOCK, blocks
from camvib.readers.parsing.channel import Channel, LeftOut, Rate
from camvib.readers.parsing.clock import Clock, is_running_number, looks_like_clock, mostly_rises, read_clock
from camvib.readers.parsing.column import Column
from camvib.readers.parsing.names import (
    TIME_UNITS,
    is_frequency,
    is_index,
    is_key,
    is_status,
    is_time,
    is_unit,
    known_unit,
    rate_of,
    unit_in_time_name,
    witnessed,
)
from camvib.readers.parsing.sensors import by_sensor

Found = Channel | LeftOut
_UNTIMED = 0.005  # share of rows without a time that the others bridge
_SHORT_NAMES = ("t", "s", "ts", "ms", "us", "stamp")


@dataclass(frozen=True)
class _Clocked:
    column: Column
    clock: Clock


def table_channels(columns: Sequence[Column], form: str, warnings: Iterable[str] = ()) -> Iterator[Found]:
    """Turn the columns of one table into channels, and say what is none.

    A time column serves the columns to its right, up to the next time column; columns to its left take the first.
    Running numbers, and what stands left of an unnamed clock (hours, minutes), are no channels. Rows of several sensors
    are told apart by the column that names the sensor.
    """
    warnings = tuple(warnings)
    columns = _with_units([column for column in columns if not _empty_time(column)])
    columns, left_out = _sorted_out(_timed(columns, form))
    yield from left_out
    clocks = {i: _Clocked(column, _clock(column)) for i, column in enumerate(columns) if _is_clock(columns, i)}
    sensors = by_sensor(columns, {i: one.clock for i, one in clocks.items()})
    if sensors is not None:
        keys, parts = sensors
        yield from (LeftOut(c.name, _text_of(c)) for i, c in enumerate(columns) if c.labels and i not in keys)
        for part, note in parts:
            yield from table_channels(part, form, (*warnings, note))
        return
    spectra, axes = _spectra(columns, clocks)
    unnamed_clock = next((i for i in clocks if not columns[i].named), 0)
    found = False
    for i, column in enumerate(columns):
        if i in clocks or i in axes or not len(column.values):
            continue
        if reason := _no_channel(column, i < unnamed_clock, i in spectra):
            if column.labels or i in spectra:
                yield LeftOut(column.name, reason)
            continue
        found = True
        yield _channel(column, _serving(clocks, i), form, warnings)
    if axes and not found:
        name = columns[min(axes)].name
        raise NotATimeSeries(
            f"a spectrum: column {name!r} rises evenly, no samples over time", "Export the time series"
        )


def _no_channel(column: Column, is_before_clock: bool, is_spectrum: bool) -> str:
    if is_spectrum:
        return "a spectrum: it stands over a frequency axis, not over time"
    if column.labels:
        return _text_of(column)
    may_count = not column.named or is_index(column.name) or is_time(column.name)
    return "counts the rows" if is_before_clock or (may_count and is_running_number(column.values)) else ""


def _text_of(column: Column) -> str:
    return f"text: {', '.join(column.labels[:3])}{', …' if len(column.labels) > 3 else ''}"


def _serving(clocks: dict[int, _Clocked], i: int) -> _Clocked | None:
    """Choose the clock to the left, else the first; one that tells nothing leaves its place to one that does."""
    nearest = max((j for j in clocks if j < i), default=min(clocks, default=None))
    if nearest is None:
        return None
    if clocks[nearest].clock.rate is None:
        return next((one for one in clocks.values() if one.clock.rate and not one.clock.problem), clocks[nearest])
    return clocks[nearest]


def _sorted_out(columns: Sequence[Column]) -> tuple[list[Column], list[LeftOut]]:
    """Take out columns that repeat one number: the rate (``fs``), or what is said about the device."""
    rates: tuple[Rate, ...] = ()
    kept, constant = [], []
    for column in columns:
        if column.named and not column.labels and len(column.values) and not _varies(column.values):
            rate = rate_of(column.name, repr(float(column.values[0])), f"column {column.name!r}")
            if rate:
                rates += (rate,)
                continue
            value = float(column.values[0])
            is_whole = column.unit is None and value.is_integer() and len(column.values) > 10
            if is_whole and not is_time(column.name) and (is_status(column.name) or value != 0):
                constant.append(column)
                continue
        kept.append(column)
    if not any(_varies(column.values) for column in kept):
        kept, constant = [*kept, *constant], []
    left_out = [LeftOut(one.name, f"all rows repeat {float(one.values[0]):.12g}") for one in constant]
    return [replace(column, rates=(*column.rates, *rates)) for column in kept] if rates else kept, left_out


def _timed(columns: Sequence[Column], form: str) -> list[Column]:
    """Take out rows without a time, in which slower sensors write, if the others hold nothing there."""
    clocks = [
        column for column in columns
        if not column.labels and (column.unit in TIME_UNITS or is_time(column.name)) and mostly_rises(column.values)
    ]  # fmt: skip
    if len(clocks) != 1 or not 10 < len(clocks[0].values) < BLOCK:
        return list(columns)
    timed = np.isfinite(clocks[0].values)
    if timed.all() or timed.mean() > 1 - _UNTIMED:
        return list(columns)
    kept = []
    for column in columns:
        n = min(len(column.values), len(timed))
        values, is_timed = column.values[:n], timed[:n]
        if column.labels or not np.isfinite(values[~is_timed]).any():
            kept.append(replace(column, values=values[is_timed]))
        elif np.isfinite(values[is_timed]).any():
            return list(columns)
    return kept


def _varies(values: NDArray[Any]) -> bool:
    if not len(values):
        return False
    return bool(np.isnan(values[0]) if values.dtype.kind == "f" else False) or any(
        (block != values[0]).any() for block in blocks(values)
    )


def _spectra(columns: Sequence[Column], clocks: dict[int, _Clocked]) -> tuple[set[int], set[int]]:
    """Find axes of frequency, and the columns to the right of each, which are spectra."""
    axes = {
        i for i, column in enumerate(columns)
        if i not in clocks and column.named and is_frequency(column.name) and looks_like_clock(column.values)
    }  # fmt: skip
    unnamed = [i for i in clocks if not columns[i].named]
    for i in unnamed[1:]:  # another even axis, but another one than that of time
        if not np.allclose(columns[i].values[:100], columns[unnamed[0]].values[:100], rtol=1e-3):
            axes.add(i)
            del clocks[i]
    spectra = set()
    for axis in axes:
        following = range(axis + 1, len(columns))
        stop = next((i for i in following if i in clocks or i in axes), len(columns))
        spectra |= set(range(axis + 1, stop))
    return spectra, axes


def _empty_time(column: Column) -> bool:
    is_clock = column.named and not column.labels and is_time(column.name)
    return is_clock and not np.isfinite(column.values[:BLOCK]).any()


def _channel(column: Column, one: _Clocked | None, form: str, warnings: tuple[str, ...]) -> Channel:
    rates, problem, recorded_at, notes = column.rates, "", column.recorded_at, (*warnings, *column.warnings)
    if one is not None:
        problem, notes = one.clock.problem, (*notes, *one.clock.warnings)
        if one.clock.shares_stamps and one.clock.rate and any(one.clock.rate.agrees_with(r.hz) for r in rates):
            problem, notes = "", (*notes, f"{problem}; another statement confirms packets")
        elif one.clock.rate and not one.clock.shares_stamps:
            rates = (*rates, one.clock.rate)
        recorded_at = recorded_at or one.column.recorded_at
    return Channel(
        column.name, column.values, unit=column.unit, recorded_at=recorded_at, warnings=notes, format=form,
        rates=rates, rate_problem=problem, history=column.history, problem=column.problem,
    )  # fmt: skip


def _with_units(columns: Sequence[Column]) -> list[Column]:
    """Take units from the names where no unit row gives them; a vibration measured in seconds is a wrong label."""
    in_names = witnessed([column.name for column in columns])
    return [_with_unit(column, in_names.get(column.name)) for column in columns]


def _with_unit(column: Column, in_name: str | None) -> Column:
    unit = known_unit(column.unit) or column.unit or in_name
    if unit is None and is_time(column.name):
        unit = unit_in_time_name(column.name)
    is_rising = unit in TIME_UNITS and (is_time(column.name) or mostly_rises(column.values))
    if unit in TIME_UNITS and not is_rising:
        return replace(column, unit=None, warnings=(*column.warnings, f"unit {unit!r} of {column.name!r} is not used"))
    return replace(column, unit=unit or None)


def _is_clock(columns: Sequence[Column], i: int) -> bool:
    """Let the content decide: what is in seconds and rises is a clock, whatever its name in whatever language."""
    column = columns[i]
    if column.labels or not len(column.values):
        return False
    if not column.named:
        return len(columns) > 1 and looks_like_clock(column.values) and not is_running_number(column.values)
    if column.unit in TIME_UNITS:
        return True
    if is_key(column.name) or (column.unit is not None and is_unit(column.unit)):
        return False
    if is_time(column.name) and not is_running_number(column.values):
        return column.name.strip().lower() not in _SHORT_NAMES or mostly_rises(column.values)
    return (
        i == 0
        and len(columns) > 1
        and not re.search(r"[\[(（]", column.name)  # degrees or whatever else is no time
        and not is_frequency(column.name)
        and looks_like_clock(column.values)
        and not is_running_number(column.values)
    )


def _clock(column: Column) -> Clock:
    clock = read_clock(column.values, column.unit, column.name)
    return clock._replace(warnings=(*column.warnings, *clock.warnings))


def array_columns(name: str, values: NDArray[Any], axis: int | None = None) -> Iterator[tuple[str, NDArray[Any]]]:
    """Split an array into series along its longest axis, or the one given: ``H[0]``, ``H[1]``, …, ``acc_g[3,:,0]``."""
    if axis is None:
        values = values.reshape([n for n in values.shape if n != 1] or [-1])
    if values.ndim == 1:
        yield name, values
        return
    axis = int(np.argmax(values.shape)) if axis is None else axis
    for index in np.ndindex(*(n for i, n in enumerate(values.shape) if i != axis)):
        where = [*index[:axis], slice(None), *index[axis:]]
        label = ",".join(":" if isinstance(part, slice) else str(part) for part in where)
        yield (f"{name}[{index[0]}]" if values.ndim == 2 else f"{name}[{label}]"), values[tuple(where)]
