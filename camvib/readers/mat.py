"""MAT v5 (scipy; long files: `_mat5`) and v7.3 (HDF5)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.errors import NotATimeSeries, ReadError
from camvib.readers import _mat5, hdf5
from camvib.readers._matlab73 import WRITE_STRUCT
from camvib.readers.parsing.blocks import is_long
from camvib.readers.parsing.channel import LeftOut
from camvib.readers.parsing.names import known_unit
from camvib.readers.parsing.table import Found
from camvib.readers.parsing.variables import variable_channels

priority = 60  # before hdf5: a v7.3 file is HDF5 too


def sniff(head: bytes, path: Path) -> bool:
    """Recognise the text header that MATLAB writes; for HDF5 without it, the suffix decides."""
    return head.startswith(b"MATLAB ") or (hdf5.sniff(head, path) and path.suffix.lower() == ".mat")


def read(path: Path) -> Iterator[Found]:
    """Read every numeric array; the longer axis is time, and scalars such as fs are metadata."""
    from scipy.io import loadmat

    with path.open("rb") as handle:
        head = handle.read(16)
    if not head.startswith(b"MATLAB 5"):
        yield from hdf5.read_as(path, "mat", matlab=True)
        return
    hidden: list[LeftOut] = []
    if is_long(_mat5.total_bytes(path)):
        arrays = dict(_mat5.arrays(path))
    else:
        found = loadmat(path, squeeze_me=False, mat_dtype=False, verify_compressed_data_integrity=True)
        hidden = _hidden(found)
        yield from hidden
        names = {one.name for one in hidden}
        arrays = dict(_flatten({k: v for k, v in found.items() if not k.startswith("__") and str(k) not in names}))
    if not any(value.dtype.kind in "fiu" and value.size > 1 for value in arrays.values()):
        if any(value.dtype.kind == "c" for value in arrays.values()):
            raise NotATimeSeries(
                f"{path}: all arrays are complex: spectra, no samples over time", "Export the time series"
            )
        said = "; ".join(f"{one.name} {one.reason}" for one in hidden)
        raise ReadError(
            f"{path}: no numeric array among {', '.join(arrays) or 'its variables'}. {said}".rstrip(". "),
            "Save a vector of samples",
        )
    yield from variable_channels(arrays, "mat", _units(arrays))


def _hidden(variables: dict[str, Any]) -> list[LeftOut]:
    """Find MATLAB's objects (tables, timetables), of which a file holds nothing but a reference."""
    from scipy.io.matlab import MatlabFunction, MatlabOpaque

    found = []
    for key, value in variables.items():
        if not isinstance(value, (MatlabOpaque, MatlabFunction)):
            continue
        names = value.dtype.names or ()
        words = [_word(value[field]) for field in ("s0", "s2") if field in names]
        name = words[0] if words and words[0] else str(key)
        found += [LeftOut(str(key), f"({name}) is a MATLAB {words[-1] if words else 'object'}, {WRITE_STRUCT}")]
    return found


def _word(value: Any) -> str:
    item = np.asarray(value).reshape(-1)[0] if np.asarray(value).size else b""
    return item.decode("ascii", "replace") if isinstance(item, bytes) else str(item)


def _flatten(variables: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """Open structs and cells: ``data.x`` becomes a variable of its own, so does the element of Y whose Name says so."""
    for name, value in variables.items():
        if not isinstance(value, np.ndarray):
            continue
        if value.dtype.kind in "fiucU":
            yield prefix + name, value
        if value.dtype.kind not in "OV" or value.size > _mat5.MOST_ELEMENTS or prefix.count(".") > _mat5.DEEPEST:
            continue
        for i, record in enumerate(value.reshape(-1, order="F")):
            if not value.dtype.names:
                yield from _flatten({f"{name}[{i}]": record}, prefix)
                continue
            fields = {field: record[field] for field in value.dtype.names}
            label = name if value.size == 1 else _mat5.element_name(name, i, fields.get("Name", fields.get("name")))
            yield from _flatten(fields, f"{prefix}{label}.")


def _units(arrays: dict[str, NDArray[Any]]) -> dict[str, str]:
    """Read units from an analyser's list of lines ``Signal X1``, ``Real EU g``."""
    units: dict[str, str] = {}
    for value in arrays.values():
        if value.dtype.kind != "U":
            continue
        lines = [str(line).strip() for line in value.reshape(-1)]
        for line, following in itertools.pairwise(lines):
            signal, kind = re.fullmatch(r"Signal (\w+)", line), re.fullmatch(r"Real EU (\S+)", following)
            if signal and kind and (unit := known_unit(kind[1])):
                units[signal[1]] = unit
    return units
