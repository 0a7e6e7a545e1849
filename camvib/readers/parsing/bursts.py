"""One burst a row: lists of samples (Parquet, HDF5, JSON, cells of text), each with its own rate, unit and start."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.readers.parsing.channel import Channel, LeftOut, Rate
from camvib.readers.parsing.column import Column
from camvib.readers.parsing.names import split_name, states_rate
from camvib.readers.parsing.scales import calibrate
from camvib.readers.parsing.scopes import DATE_KEYS, UNIT_KEYS, Scopes, gather
from camvib.readers.parsing.table import Found
from camvib.readers.parsing.text import parse_date

_STAMP_KEYS = (*DATE_KEYS, "ts", "time", "timestamp", "datetime", "measured_at", "recorded", "start")
_SHORTEST = 8
_MOST = 100_000


def burst_channels(
    bursts: Mapping[str, Sequence[NDArray[Any] | None]], scalars: Mapping[str, NDArray[Any]], form: str,
    beside: Sequence[Mapping[str, Any]] = (), units: Mapping[str, str | None] | None = None,
) -> Iterator[Found]:  # fmt: skip
    """Make a channel of each row: ``acc[0]``, ``acc[1]``, …

    Parameters
    ----------
    bursts : mapping of str to sequence of ndarray
        Rows of each column of lists; None where a row has none.
    scalars : mapping of str to ndarray
        What the file states for all rows.
    form : str
    beside : sequence of mapping
        What stands in the other columns of each row: rate, unit, scale, start.
    units : mapping of str to str, optional
        Units of the columns.
    """
    scopes = gather(scalars, list(bursts))
    for name, rows in bursts.items():
        many = sum(row is not None for row in rows) > 1
        for i, row in enumerate(rows[:_MOST]):
            label = f"{name}[{i}]" if many else name
            if row is None or len(row) < _SHORTEST:
                yield LeftOut(label, f"{0 if row is None else len(row)} samples (at least {_SHORTEST})")
                continue
            yield _burst(name, label, row, scopes, dict(beside[i]) if i < len(beside) else {}, form, units or {})
        if len(rows) > _MOST:
            yield LeftOut(name, f"rows beyond the first {_MOST}")


def _burst(
    name: str, label: str, row: NDArray[Any], scopes: Scopes, beside: Mapping[str, Any], form: str,
    units: Mapping[str, str | None],
) -> Channel:  # fmt: skip
    own = gather({key: np.asarray(str(value)) for key, value in beside.items() if value is not None}, [])
    rates: tuple[Rate, ...] = tuple(one.rate for one in own.stated if one.rate) or scopes.rates(name)
    unit = (
        units.get(name) or split_name(name)[1] or next((one.text for one in own.stated if one.key in UNIT_KEYS), None)
    )
    numbers = {one.key: [one.text] for one in own.stated if not states_rate(one.key)} or scopes.numbers(name)
    column = calibrate(Column(label, row, unit or scopes.unit(name), rates), numbers)
    stamp = next((str(beside[key]) for key in beside if key.lower() in _STAMP_KEYS and beside[key] is not None), "")
    return Channel(
        label, column.values, unit=column.unit, recorded_at=parse_date(stamp) or scopes.date(name), format=form,
        rates=column.rates, history=column.history, problem=column.problem,
    )  # fmt: skip


def decoded(text: str) -> NDArray[Any] | None:
    """Decode base64 of 32-bit floats or 16-bit integers, whichever gives numbers such as sensors give; else None."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) < 4 * _SHORTEST:
        return None
    for dtype in ("<f4", "<f8") if len(raw) % 4 == 0 else ():
        if len(raw) % np.dtype(dtype).itemsize:
            continue
        values = np.frombuffer(raw, dtype)
        size = np.abs(values[values != 0])
        if np.isfinite(values).all() and len(size) and size.max() < 1e7 and np.median(size) > 1e-9:
            return values
    return np.frombuffer(raw, "<i2") if len(raw) % 2 == 0 else None
