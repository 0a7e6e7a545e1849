"""Columns of numbers → channels: which column is time, what the rates and units are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.errors import NotATimeSeries
from camvib.readers.parsing.blocks import BLOCK, blocks
from camvib.readers.parsing.channel import Channel, Rate, stated_rate
from camvib.readers.parsing.clock import is_running_number, looks_like_clock, read_clock
from camvib.readers.parsing.names import TIME_UNITS, is_frequency, is_index, is_time, known_unit, rate_in, split_name


@dataclass(frozen=True)
class Column:
    """A column as it stands in the file."""

    name: str
    values: NDArray[Any]
    unit: str | None = None
    rates: tuple[Rate, ...] = ()
    recorded_at: datetime | None = None
    warnings: tuple[str, ...] = ()
    named: bool = True


@dataclass(frozen=True)
class _Clock:
    column: Column
    rate: Rate | None
    problem: str
    warnings: tuple[str, ...] = field(default=())


def table_channels(columns: Sequence[Column], form: str, warnings: Iterable[str] = ()) -> Iterator[Channel]:
    """Turn the columns of one table into channels.

    A time column serves the columns to its right, up to the next time column; columns to its left take the first.
    Running numbers, and what stands left of an unnamed clock (hours, minutes), are no channels.
    """
    columns = _without_rates([_with_unit(column) for column in columns if not _empty_time(column)])
    _refuse_spectrum(columns)
    clocks = {i: _clock(column) for i, column in enumerate(columns) if _is_clock(columns, i)}
    unnamed_clock = next((i for i in clocks if not columns[i].named), 0)
    for i, column in enumerate(columns):
        is_count = not column.named or is_index(column.name) or is_time(column.name)
        counts = is_count and is_running_number(column.values)
        if i in clocks or counts or i < unnamed_clock or not len(column.values):
            continue
        nearest = max((j for j in clocks if j < i), default=min(clocks, default=None))
        yield _channel(column, clocks[nearest] if nearest is not None else None, form, tuple(warnings))


def _without_rates(columns: Sequence[Column]) -> list[Column]:
    """Take a column that repeats one number and is named ``fs`` or the like for a statement of the rate."""
    rates: tuple[Rate, ...] = ()
    kept = []
    for column in columns:
        hz = rate_in(column.name, float(column.values[0])) if column.named and len(column.values) else None
        if hz and all((block == column.values[0]).all() for block in blocks(column.values)):
            rates += tuple(rate for rate in [stated_rate(hz, f"column {column.name!r}")] if rate)
        else:
            kept.append(column)
    return [replace(column, rates=(*column.rates, *rates)) for column in kept] if rates else kept


def _refuse_spectrum(columns: Sequence[Column]) -> None:
    for column in columns:
        if column.named and is_frequency(column.name) and looks_like_clock(column.values):
            raise NotATimeSeries(
                f"a spectrum: column {column.name!r} rises evenly, no samples over time", "Export the time series"
            )


def _empty_time(column: Column) -> bool:
    return column.named and is_time(column.name) and not np.isfinite(column.values[:BLOCK]).any()


def _channel(column: Column, clock: _Clock | None, form: str, warnings: tuple[str, ...]) -> Channel:
    rates, problem, recorded_at, notes = column.rates, "", column.recorded_at, (*warnings, *column.warnings)
    if clock is not None:
        rates = (*rates, *([clock.rate] if clock.rate else []))
        problem, notes = clock.problem, (*notes, *clock.warnings)
        recorded_at = recorded_at or clock.column.recorded_at
    return Channel(
        column.name, column.values, unit=column.unit, recorded_at=recorded_at, warnings=notes, format=form,
        rates=rates, rate_problem=problem,
    )  # fmt: skip


def _with_unit(column: Column) -> Column:
    """Take the unit from the name where no unit row gives one; a vibration measured in seconds is a wrong label."""
    unit = known_unit(column.unit) or column.unit or split_name(column.name)[1]
    if unit in TIME_UNITS and not is_time(column.name):
        return replace(column, unit=None, warnings=(*column.warnings, f"unit {unit!r} of {column.name!r} is not used"))
    return replace(column, unit=unit or None)


def _is_clock(columns: Sequence[Column], i: int) -> bool:
    column = columns[i]
    if column.named:
        if is_time(column.name) and (column.unit in TIME_UNITS or not is_running_number(column.values)):
            return True
        return (
            i == 0
            and len(columns) > 1
            and column.unit is None
            and not re.search(r"[\[(]", column.name)  # degrees or whatever else is no time
            and looks_like_clock(column.values)
            and not (is_running_number(column.values))
        )
    return len(columns) > 1 and looks_like_clock(column.values) and not is_running_number(column.values)


def _clock(column: Column) -> _Clock:
    rate, problem, warnings = read_clock(column.values, column.unit, column.name)
    return _Clock(column, rate, problem, (*column.warnings, *warnings))


def array_columns(name: str, values: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Split an array into series along its longest axis: ``H[0]``, ``H[1]``, …, ``acc_g[3,:,0]``."""
    values = values.reshape([n for n in values.shape if n != 1] or [-1])
    if values.ndim == 1:
        yield name, values
        return
    axis = int(np.argmax(values.shape))
    for index in np.ndindex(*(n for i, n in enumerate(values.shape) if i != axis)):
        where = [*index[:axis], slice(None), *index[axis:]]
        label = ",".join(":" if isinstance(part, slice) else str(part) for part in where)
        yield (f"{name}[{index[0]}]" if values.ndim == 2 else f"{name}[{label}]"), values[tuple(where)]
