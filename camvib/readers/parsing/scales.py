"""Scale, offset and sensitivity that stand beside whole numbers: applied where they have one meaning, else refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from camvib.readers.parsing.blocks import calibrated
from camvib.readers.parsing.column import Column
from camvib.readers.parsing.numbers import read_number

_FACTORS = (
    "scale_factor", "scale", "scaling", "scaling_factor", "scalefactor", "slope", "calibration", "calibration_factor",
    "cal_factor", "conversion", "conversion_factor", "multiplier", "lsb", "units_per_count", "unit_per_count",
    "eu_per_count", "g_per_count", "g_per_lsb", "volts_per_count", "v_per_count",
)  # fmt: skip
_DIVISORS = ("counts_per_unit", "counts_per_g", "lsb_per_g", "lsb_per_unit", "counts_per_eu")
_EITHER = ("sensitivity", "sens", "gain", "amplification")
_OFFSETS = ("add_offset", "offset", "intercept", "bias", "zero_offset")
_MISSING = ("_fillvalue", "missing_value", "fill_value")
_PACKED = ("scale_factor", "add_offset")  # of the CF conventions: always value = packed × scale_factor + add_offset
_PER_COUNT = re.compile(r"[^/]+/ ?(lsb|counts?|digits?|bit)", re.IGNORECASE)
_COUNTS_PER = re.compile(r"(lsb|counts?|digits?|bits?) ?/ ?[^/]+", re.IGNORECASE)


class _Scale(NamedTuple):
    factor: float
    offset: float
    keys: tuple[str, ...]


def calibrate(column: Column, beside: Mapping[str, Sequence[str]]) -> Column:
    """Apply to a column what stands beside it, and write it into its history; mark it where the meaning is not clear.

    Parameters
    ----------
    column : Column
    beside : mapping of str to sequence of str
        Statements by their keys in lower case, the nearest first.
    """
    found = _scale(beside, column.values.dtype.kind in "iu")
    if isinstance(found, str):
        return replace(column, problem=f"{found} of {column.name!r}: it is not known how the samples are scaled")
    missing = _numbers(beside, _MISSING)
    if found is None and not (missing and column.values.dtype.kind in "iu"):
        return column
    scale = found or _Scale(1.0, 0.0, ())
    values = calibrated(column.values, scale.factor, scale.offset, next(iter(missing.values()), None))
    if not found:
        return replace(column, values=values)
    step = f"scaled × {scale.factor:.9g}" + (f" + {scale.offset:.9g}" if scale.offset else "")
    return replace(column, values=values, history=(*column.history, f"{step} ({', '.join(scale.keys)} in the file)"))


def _scale(beside: Mapping[str, Sequence[str]], is_whole: bool) -> _Scale | str | None:
    """Find factor and offset; None if there are none, a sentence if their meaning is open."""
    factors = _numbers(beside, _FACTORS) | {key: 1 / n for key, n in _numbers(beside, _DIVISORS).items() if n}
    offsets = {key: n for key, n in _numbers(beside, _OFFSETS).items() if n}
    if not is_whole:
        packed = {key: n for key, n in factors.items() if key in _PACKED and n != 1}
        return f"samples are no whole numbers beside {', '.join(packed)}" if packed else None
    for key in _EITHER:
        meant = _sensitivity(beside.get(key, ()), list(factors.values()))
        if isinstance(meant, str):
            return f"{meant} beside the {key}"
        if meant is not None:
            factors[key] = meant
    distinct = sorted({float(np.float64(f"{n:.9g}")) for n in factors.values()})
    if len(distinct) > 1:
        return f"scales disagree ({', '.join(f'{key} {n:.6g}' for key, n in factors.items())})"
    if len(offsets) > 1 or (offsets and not set(offsets) & {"add_offset", "intercept"}):
        return (
            f"offset ({', '.join(f'{key} {n:.6g}' for key, n in offsets.items())}) may count before or after the scale"
        )
    factor, offset = (distinct or [1.0])[0], next(iter(offsets.values()), 0.0)
    return _Scale(factor, offset, (*factors, *offsets)) if factor != 1 or offset else None


def _sensitivity(texts: Sequence[str], known: Sequence[float]) -> float | str | None:
    """Take a sensitivity in units a count, or counts a unit; a bare number only if it repeats another statement."""
    reading = read_number(texts[0]) if texts else None
    if reading is None or reading.values[0] in (0.0, 1.0):
        return None
    value = reading.values[0]
    if _COUNTS_PER.fullmatch(reading.unit):
        return 1 / value
    if _PER_COUNT.fullmatch(reading.unit):
        return value
    same = next((n for n in known if np.isclose(n, value) or np.isclose(n, 1 / value)), None)
    return same if same is not None else "whole numbers"


def _numbers(beside: Mapping[str, Sequence[str]], keys: Sequence[str]) -> dict[str, float]:
    found = {}
    for key in keys:
        reading = read_number(beside[key][0]) if beside.get(key) else None
        if reading and np.isfinite(reading.values[0]):
            found[key] = reading.values[0]
    return found
