"""Excel workbooks: the first sheet that is a table."""

from __future__ import annotations

import csv
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from camvib.errors import CamvibError, ReadError, printable
from camvib.readers import csv as text
from camvib.readers.parsing.blocks import is_long, spool_folder
from camvib.readers.parsing.channel import Channel, LeftOut
from camvib.readers.parsing.table import Found

priority = 55

_ZIP = b"PK\x03\x04"
_MOST_RATIO = 200


def sniff(head: bytes, path: Path) -> bool:
    """Recognise a ZIP archive with a workbook in it."""
    if not head.startswith(_ZIP):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.startswith("xl/workbook") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def read(path: Path) -> Iterator[Found]:
    """Write each sheet as text, and read the first that can be read so: names, units and clocks as in CSV."""
    import openpyxl

    _check_sizes(path)
    reasons = []
    with path.open("rb") as handle, tempfile.TemporaryDirectory(dir=spool_folder()) as folder:
        book = openpyxl.load_workbook(handle, read_only=True, data_only=True)
        for number, sheet in enumerate(book.worksheets):
            table = Path(folder) / f"sheet{number}.tsv"
            _write(sheet, table)
            try:
                found = list(text.read(table))
            except CamvibError as error:
                reasons.append(f"sheet {sheet.title!r}: {error.message.replace(printable(str(table)), '').strip(' :')}")
                continue
            others = [name for name in book.sheetnames if name != sheet.title]
            for one in found:
                yield replace(one, format="xlsx") if isinstance(one, Channel) else one
            yield from (LeftOut(f"sheet {name}", "another sheet; the first that is a table is read") for name in others)
            return
    raise ReadError(f"{path}: no sheet is a table of samples. {'; '.join(reasons)}".rstrip(". "), "Export it as CSV")


def _check_sizes(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        total = sum(one.file_size for one in archive.infolist())
    if is_long(total) and total > _MOST_RATIO * path.stat().st_size:
        raise ReadError(
            f"{path}: {total / 1e6:.0f} MB come out of {path.stat().st_size / 1e6:.3g} MB (limit {_MOST_RATIO} times)",
            "Export the recording as CSV",
        )


def _write(sheet: Any, table: Path) -> None:
    with table.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, delimiter="\t")
        for row in sheet.iter_rows(values_only=True):
            cells = [_text(cell) for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            writer.writerow(cells)


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ", timespec="microseconds")
    if isinstance(cell, time):
        return cell.isoformat(timespec="microseconds")
    if isinstance(cell, timedelta):
        return repr(cell.total_seconds())
    if isinstance(cell, date):
        return cell.isoformat()
    return repr(cell) if isinstance(cell, float) else str(cell)
