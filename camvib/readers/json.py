"""JSON and JSON lines: arrays beside their rate and unit, tables of records, one burst a line (also base64)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.errors import ReadError
from camvib.readers.parsing.bursts import burst_channels, decoded
from camvib.readers.parsing.column import Column
from camvib.readers.parsing.table import Found, table_channels
from camvib.readers.parsing.variables import variable_channels

priority = 20  # before csv, which takes any text

_MOST_BYTES = 256_000_000  # JSON is held in memory as a whole, some ten times its size
_DEEPEST = 8
_SHORTEST = 8
_SENSOR_KEYS = ("sensors", "columns", "channels", "axes", "names", "fields")


def sniff(head: bytes, path: Path) -> bool:
    """Recognise an object or an array of objects or numbers at the start."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{"):
        return text[1:].lstrip()[:1] in (b'"', b"}", b"")
    return (text.startswith(b"[") and text[1:].lstrip()[:1] in b'{["-0123456789' and b":" in text[:400]) or (
        text.startswith(b"[") and path.suffix.lower() == ".json"
    )


def read(path: Path) -> Iterator[Found]:
    """Read whatever lists of numbers the file holds, each with what stands beside it."""
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise ReadError(
            f"{path}: {size / 1e6:.0f} MB of JSON (at most {_MOST_BYTES / 1e6:.0f})", "Export it as Parquet"
        )
    content = _parse(path)
    rows = content if isinstance(content, list) else None
    if rows and all(isinstance(row, dict) for row in rows):
        yield from _records(rows)
        return
    if rows and all(isinstance(row, (int, float)) for row in rows):
        content = {"samples": rows}
    arrays: dict[str, NDArray[Any]] = {}
    if isinstance(content, dict):
        if (inner := _record_list(content)) is not None:
            yield from _records(inner[1], inner[0])
            return
        _gather(content, "", arrays, 0)
    if not any(value.dtype.kind in "fiu" and value.size >= _SHORTEST for value in arrays.values()):
        raise ReadError(
            f"{path}: JSON without a list of numbers", "Write samples as lists of numbers, with fs and unit beside them"
        )
    yield from variable_channels(arrays, "json")


def _parse(path: Path) -> Any:
    text = path.read_bytes().decode("utf-8-sig", "replace")
    try:
        return json.loads(text)
    except ValueError as whole:
        rows = []
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                if len(rows) < 2:
                    raise ReadError(
                        f"{path}: JSON that ends too early, or is damaged: {whole}", "Export it again"
                    ) from error
                raise ReadError(f"{path}: line {number} is no JSON: {error}", "Export it again") from error
        return rows


def _record_list(content: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """Find the list of records of an object, and what is stated beside it."""
    lists = [
        (key, value) for key, value in content.items()
        if isinstance(value, list) and len(value) > 1 and all(isinstance(row, dict) for row in value)
        and key.lower() not in _SENSOR_KEYS
    ]  # fmt: skip
    if len(lists) != 1:
        return None
    key, rows = lists[0]
    return {name: value for name, value in content.items() if name != key and not isinstance(value, (list, dict))}, rows


def _records(rows: Sequence[Mapping[str, Any]], above: Mapping[str, Any] | None = None) -> Iterator[Found]:
    """Read records: one sample each, or one burst each."""
    flat = [_flat(row) for row in rows]
    keys = list(dict.fromkeys(key for row in flat for key in row))
    bursts: dict[str, list[NDArray[Any] | None]] = {}
    for key in keys:
        values = [_samples(row.get(key)) for row in flat]
        if any(value is not None for value in values):
            bursts[key] = values
    scalars = {key: np.asarray(str(value)) for key, value in (above or {}).items()}
    if bursts:
        beside = [{key: value for key, value in row.items() if key not in bursts} for row in flat]
        yield from burst_channels(bursts, scalars, "json", beside)
        return
    columns = [_column(key, [row.get(key) for row in flat]) for key in keys]
    table = {column.name: column.values for column in columns if not column.labels}
    if scalars:
        yield from variable_channels({**table, **scalars}, "json")
        return
    yield from table_channels([column for column in columns if len(column.values)], "json")


def _flat(row: Mapping[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict) and depth < _DEEPEST:
            found |= _flat(value, f"{prefix}{key}.", depth + 1)
        else:
            found[prefix + key] = value
    return found


def _samples(value: Any) -> NDArray[Any] | None:
    if isinstance(value, str) and len(value) >= 4 * _SHORTEST:
        return decoded(value)
    if isinstance(value, list) and len(value) >= _SHORTEST and all(isinstance(item, (int, float)) for item in value):
        return np.asarray(value)
    return None


def _column(name: str, cells: Sequence[Any]) -> Column:
    """Make a column of one value a record: numbers, stamps, or words."""
    import pandas as pd

    from camvib.readers.parsing.stamps import find_form

    if all(cell is None or isinstance(cell, (int, float)) for cell in cells):
        return Column(name, np.array([np.nan if cell is None else float(cell) for cell in cells]))
    words = ["" if cell is None else str(cell) for cell in cells]
    if form := find_form(words[:1000], day_first=False):
        return Column(name, form.seconds(pd.Series(words)), "s")
    numbers = pd.to_numeric(pd.Series(words), errors="coerce").to_numpy(float)
    if np.isfinite(numbers).mean() > 0.9:
        return Column(name, numbers)
    labels = list(dict.fromkeys(word for word in words if word))
    if len(labels) > 64:
        return Column(name, np.empty(0))
    return Column(name, np.array([labels.index(word) if word else -1 for word in words]), labels=tuple(labels))


def _gather(content: Mapping[str, Any], prefix: str, arrays: dict[str, NDArray[Any]], depth: int) -> None:
    """Name what stands in objects ``payload.values``; lists of sensors give names and units of the columns."""
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and depth < _DEEPEST:
            _gather(value, f"{name}.", arrays, depth + 1)
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            _objects(key, name, value, prefix, arrays, depth)
        elif (samples := _samples(value)) is not None and isinstance(value, (list, str)):
            arrays[name] = samples
        elif isinstance(value, list):
            array = _array(value)
            if array is not None:
                arrays[name] = array
        elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
            arrays[name] = np.asarray(value)


def _objects(
    key: str, name: str, value: Sequence[Mapping[str, Any]], prefix: str, arrays: dict[str, NDArray[Any]], depth: int
) -> None:
    names = [str(item.get("name", item.get("label", item.get("id", "")))) for item in value]
    if (
        key.lower() in _SENSOR_KEYS
        and all(names)
        and not any(isinstance(v, list) for item in value for v in item.values())
    ):
        arrays[f"{prefix}names"] = np.array(names)
        units = [str(item.get("units", item.get("unit", ""))) for item in value]
        if any(units):
            arrays[f"{prefix}units"] = np.array(units) if len(units) > 1 else np.asarray(units[0])
        return
    if depth < _DEEPEST:
        for i, item in enumerate(value[:1000]):
            label = f"{name}.{names[i]}" if names[i] and len(set(names)) == len(names) else f"{name}[{i}]"
            _gather(item, f"{label}.", arrays, depth + 1)


def _array(value: list[Any]) -> NDArray[Any] | None:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = None
    if array is not None:
        return array if array.ndim <= 3 else None
    return np.array(value) if all(isinstance(item, str) for item in value) else None
