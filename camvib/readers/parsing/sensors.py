"""Long tables: the rows of several sensors one below the other, or in turns, told apart by a column of names."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from camvib.readers.parsing.blocks import BLOCK, Spool, blocks
from camvib.readers.parsing.clock import Clock, mostly_rises, read_clock
from camvib.readers.parsing.column import Column
from camvib.readers.parsing.names import TIME_UNITS, is_key, is_time, split_name

_MOST_SENSORS = 64
_FEWEST_ROWS = 10
_VALUE = re.compile(r"_?(val(ue)?s?|data|reading|measurement|wert)_?", re.IGNORECASE)


class _Key(NamedTuple):
    """A column that may name sensors: its place, the number of each row's sensor, what they are called."""

    at: tuple[int, ...]
    codes: NDArray[Any]
    labels: tuple[str, ...]
    is_named_so: bool


def by_sensor(
    columns: Sequence[Column], clocks: Mapping[int, Clock]
) -> tuple[tuple[int, ...], Iterator[tuple[list[Column], str]]] | None:
    """Split a table by sensor, if a column names them; None if its rows are those of one.

    Returns the places of those columns, and the parts with a note on each.

    A column whose name says so (sensor, axis, device, …) is believed if each sensor's clock is whole. Any other column
    of words is, if the clock is not whole before, and each sensor's is.
    """
    keys = [key for key in (_key(column, i) for i, column in enumerate(columns)) if key]
    keys.sort(key=lambda key: (not key.is_named_so, not columns[key.at[0]].labels))
    is_broken = any(clock.problem for clock in clocks.values())
    for key in [*keys, *(_both(a, b) for a, b in itertools.combinations(keys, 2))]:
        if (key.is_named_so or is_broken) and _fits(key, columns, clocks):
            return key.at, _parts(columns, key)
    return None


def _key(column: Column, i: int) -> _Key | None:
    named_so = column.named and is_key(column.name)
    if column.labels:
        return _Key((i,), column.values, column.labels, named_so) if len(column.labels) > 1 else None
    if not named_so or column.unit is not None or len(column.values) < 2 * _FEWEST_ROWS:
        return None
    seen: set[float] = set()
    for block in blocks(column.values):
        seen |= set(np.unique(block[np.isfinite(block)])[: _MOST_SENSORS + 1].tolist())
        if len(seen) > _MOST_SENSORS or not all(float(value).is_integer() for value in seen):
            return None
    if len(seen) < 2:
        return None
    order = np.array(sorted(seen))
    codes = np.searchsorted(order, np.nan_to_num(np.asarray(column.values), nan=order[0])).astype(np.int16)
    return _Key((i,), codes, tuple(f"{column.name} {int(value)}" for value in order), True)


def _both(one: _Key, other: _Key) -> _Key:
    n = min(len(one.codes), len(other.codes))
    mine, others = one.codes[:n].astype(np.int64), other.codes[:n].astype(np.int64)
    pairs = mine * len(other.labels) + others
    seen = sorted(set(np.unique(pairs[(mine >= 0) & (others >= 0)]).tolist()))
    codes = np.searchsorted(seen, pairs).astype(np.int64) if seen else pairs
    labels = tuple(f"{one.labels[n // len(other.labels)]} {other.labels[n % len(other.labels)]}" for n in seen)
    return _Key((*one.at, *other.at), codes, labels, one.is_named_so and other.is_named_so)


def _fits(key: _Key, columns: Sequence[Column], clocks: Mapping[int, Clock]) -> bool:
    """Tell whether each sensor has rows enough, and a clock without a fault."""
    if not 2 <= len(key.labels) <= _MOST_SENSORS:
        return False
    counts = np.bincount(key.codes[key.codes >= 0].astype(np.int64), minlength=len(key.labels))
    if counts.min() < _FEWEST_ROWS:
        return False
    for i in clocks:
        if not mostly_rises(columns[i].values):  # a start that all rows repeat is no clock
            continue
        for code in range(len(key.labels)):
            clock = read_clock(_rows(columns[i].values, key.codes, code), columns[i].unit, columns[i].name)
            if clock.problem or clock.rate is None:
                return False
    return True


def _parts(columns: Sequence[Column], key: _Key) -> Iterator[tuple[list[Column], str]]:
    by = " and ".join(repr(columns[i].name) for i in key.at)
    note = f"rows of {len(key.labels)} sensors, told apart by column {by}"
    for code, label in enumerate(key.labels):
        part = []
        for i, column in enumerate(columns):
            if i in key.at or column.labels:
                continue
            values = _rows(column.values, key.codes, code)
            name = column.name
            if column.unit not in TIME_UNITS and not (column.unit is None and is_time(name)):
                name = label if _VALUE.fullmatch(split_name(name)[0]) else f"{label}: {name}"
            part.append(replace(column, values=values, name=name))
        yield part, note


def _rows(values: NDArray[Any], codes: NDArray[Any], code: int) -> NDArray[Any]:
    """Take the rows of one sensor; of a long table, block by block."""
    n = min(len(values), len(codes))
    values, codes = values[:n], codes[:n]
    if len(values) < BLOCK:
        return np.asarray(values)[np.asarray(codes) == code]
    spool = Spool(8 * len(values))
    for first in range(0, len(values), BLOCK):
        block, mine = values[first : first + BLOCK], codes[first : first + BLOCK] == code
        spool.append(np.asarray(block)[np.asarray(mine)])
    return spool.close()
