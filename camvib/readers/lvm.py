"""LabVIEW measurement text (LVM). Its headers are often wrong: rates are compared with the time column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from camvib.errors import NotATimeSeries, ReadError, Truncated
from camvib.readers._dialect import Dialect, split
from camvib.readers._text_columns import read_columns
from camvib.readers.parsing.blocks import BLOCK
from camvib.readers.parsing.channel import rate_from_printed_step
from camvib.readers.parsing.column import Column
from camvib.readers.parsing.names import is_frequency, is_time
from camvib.readers.parsing.table import Found, table_channels
from camvib.readers.parsing.text import encoding_of, parse_date

_END = "***End_of_Header***"
_DEFAULT_HZ = 1.0  # Delta_X that LabVIEW writes if nobody set it: no statement
_SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";", "space": r"\s+"}


def sniff(head: bytes, path: Path) -> bool:
    """Recognise the first words of the file."""
    return head.removeprefix(b"\xef\xbb\xbf").startswith(b"LabVIEW Measurement")


def read(path: Path) -> Iterator[Found]:
    """Read the channels below the first channel header; units and Delta_X come from it, times from X_Value columns."""
    with path.open("rb") as handle:
        head = handle.read(1 << 18)
    encoding = encoding_of(head)
    lines = head.decode(encoding, "replace").splitlines()
    ends = [i for i, line in enumerate(lines) if line.startswith(_END)]
    if len(ends) < 2 or len(lines) < ends[1] + 3:
        raise Truncated(f"{path}: ends before the channel header does", "Copy the file again")
    if (n := _headers(path)) > 2:
        raise ReadError(f"{path}: holds {n - 1} measurements one after the other", "Save one measurement a file")
    separator = _separator(lines[: ends[0]])
    header = {cells[0]: cells for cells in (_cells(line, separator) for line in lines[ends[0] + 1 : ends[1]]) if cells}
    names = _cells(lines[ends[1] + 1], separator)
    if names and names[-1] == "Comment":
        names = names[:-1]
    names[:1] = [names[0] or "X_Value"] if names else []
    dialect = Dialect(separator, _decimal(lines[ends[1] + 2 : ends[1] + 40], separator), len(names), ends[1] + 2)
    found = read_columns(path, replace(dialect, names=tuple(names)), encoding)
    values, notes = {i: one for i, one in found.values.items() if i not in found.labels}, found.notes
    columns = [_column(i, name, values[i], header, lines[: ends[0]]) for i, name in enumerate(names) if i in values]
    if not any(is_time(column.name) and np.isfinite(column.values[:BLOCK]).any() for column in columns):
        columns = [replace(column, rates=tuple(r for r in column.rates if r.hz != _DEFAULT_HZ)) for column in columns]
    notes += _promise(header, max((len(column.values) for column in columns), default=0))
    yield from table_channels(columns, "lvm", [note for note in notes if "X_Value" not in note])


def _headers(path: Path) -> int:
    """Count the headers of the whole file, which may be long."""
    with path.open("rb") as handle:
        n, rest = 0, b""
        while chunk := handle.read(1 << 24):
            n += (rest + chunk).count(_END.encode())
            rest = chunk[1 - len(_END) :]
    return n


def _cells(line: str, separator: str) -> list[str]:
    return split(line.rstrip("\r\n"), separator)


def _separator(lines: list[str]) -> str:
    for line in lines:
        if line.startswith("Separator"):
            return _SEPARATORS.get(line.removeprefix("Separator").strip("\t,; ").lower(), "\t")
    return "\t"


def _decimal(rows: list[str], separator: str) -> str:
    """Take the decimal sign from the rows: the header's own statement may be absent or wrong."""
    text = "".join(rows)
    return "," if separator != "," and "," in text and "." not in text else "."


def _column(i: int, name: str, values: np.ndarray, header: dict[str, list[str]], top: list[str]) -> Column:
    def cell(key: str) -> str:
        cells = header.get(key, [])
        return cells[i] if i < len(cells) else ""

    if is_time(name):
        return Column(name, values, "s", recorded_at=_date(cell("Date"), cell("Time"), top))
    if (axis := cell("X_Dimension")) and is_frequency(axis):
        raise NotATimeSeries(f"a spectrum: X_Dimension of {name!r} is {axis}", "Export the time series")
    step = cell("Delta_X").replace(",", ".")
    rate = rate_from_printed_step(step, f"header Delta_X {step}")
    date = _date(cell("Date"), cell("Time"), top)
    return Column(name or f"column_{i + 1}", values, cell("Y_Unit_Label") or None, (rate,) if rate else (), date)


def _date(date: str, time: str, top: list[str]) -> datetime | None:
    if not date:
        stated = dict(
            line.strip().replace(",", "\t", 1).split("\t", 1)
            for line in top
            if line.startswith(("Date", "Time")) and len(line) > 6
        )
        date, time = stated.get("Date", "").strip("\t,"), stated.get("Time", "").strip("\t,")
    return parse_date(f"{date.replace('/', '-')}T{time.replace(',', '.')[:15]}")


def _promise(header: dict[str, list[str]], rows: int) -> list[str]:
    promised = {int(cell) for cell in header.get("Samples", [])[1:] if cell.isdigit()}
    if not promised or rows in promised:
        return []
    return [f"the header promises {max(promised)} samples a channel, the file holds {rows} rows"]
