"""labels.csv and segments.csv → rows of a labelled set, or an error that names line, value and remedy."""

from __future__ import annotations

import csv
import difflib
import io
import math
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from camvib.errors import LabelsError
from camvib.readers import hertz_per, parse_date, read_number

LABELS, SEGMENTS = "labels.csv", "segments.csv"
FORM = "docs/how-to/own-data.md describes the columns"
WHY_GROUPS = (
    "Add a column group that names what must not be split between training and test: specimen, machine, bearing or "
    "session. Recordings of one machine resemble each other: a split inside a group measures recognition, not diagnosis"
)

_ALIASES = {"fs_hz": "sampling_rate_hz", "fs": "sampling_rate_hz"}
KNOWN = ("file", "label", "group", "channel", "sampling_rate_hz", "unit", "asset", "start_s", "end_s", "recorded_at")
_NUMBERS = ("sampling_rate_hz", "start_s", "end_s")
_DESCRIPTIVE = {
    "bearing", "channels", "comment", "comments", "condition", "content", "description", "direction", "duration_s",
    "end_sample", "format", "licence", "licence_as_stated", "license", "location", "machine", "note", "notes",
    "opened_with", "segment", "sensor", "session", "source", "specimen", "start_sample", "started",
}  # fmt: skip
# quantity_unit: an operating condition, such as load_hp or roller_pct
_CONDITION = re.compile(
    r"^rpm|^n_|.+_(hz|khz|s|ms|min|h|mil|mm|cm|m|um|in|hp|kw|w|deg|degc|c|k|rpm|v|mv|a|ma|pct|percent|n|kn|nm|lbf|"
    r"pa|kpa|mpa|bar|g|kg|m_s|mm_s|m_s2|db)$",
    re.IGNORECASE,
)
_ALMOST = r"labels?\.(csv|xlsx?|txt|tsv)|.*labels.*\.(csv|xlsx)"
_DRAFT = "camvib labels FOLDER writes a draft from class folders, file names or another table"
_NOT_A_LABEL = re.compile(r"^(see segments|continuous\b)", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """One row of labels.csv, checked; `line` counts from 1 and the header is line 1."""

    file: str
    label: str
    group: str
    line: int
    channel: str | None = None
    sampling_rate_hz: float | None = None
    unit: str | None = None
    asset: str = ""
    start_s: float | None = None
    end_s: float | None = None
    recorded_at: datetime | None = None
    attributes: dict[str, str] = field(default_factory=dict)


def read_rows(
    table: Path,
    *,
    group_column: str | None = None,
    extra_columns: bool = False,
    strict: bool = True,
    notes: list[str] | None = None,
) -> list[Row]:
    """Read labels.csv.

    Parameters
    ----------
    table : Path
    group_column : str, optional
        Column to take the group from, instead of ``group``.
    extra_columns : bool
        Keep also columns whose name is nearly a known one as attributes, instead of refusing them.
    strict : bool
        Demand label and group; without, only ``file`` is needed (for diagnosing).
    notes : list of str, optional
        Gets a note on columns that nobody knows, which are kept as attributes.

    Raises
    ------
    LabelsError
    """
    cells, decimal = _read_table(table)
    columns = [_ALIASES.get(name, name) for name in cells[0]]
    needed = ("file", "label", group_column or "group") if strict else ("file",)
    unknown = _check_columns(table, columns, needed, extra_columns or not strict, group_column)
    if unknown and notes is not None:
        notes.append(f"{table}: columns kept as attributes: {', '.join(unknown)}")
    rows = []
    for line, values in enumerate(cells[1:], start=2):
        record = dict(zip(columns, values, strict=True))
        rows.append(_row(table, line, record, group_column or "group", strict, decimal))
    if not rows:
        raise LabelsError(f"{table}: no rows below the header", f"Add one row a recording; {FORM}")
    return rows


def read_table(table: Path) -> list[list[str]]:
    """Read a small CSV file as header and rows of equal length; blank lines and lines that begin with # are skipped."""
    return _read_table(table)[0]


def _read_table(table: Path) -> tuple[list[list[str]], str]:
    """Read the cells, and tell the decimal sign that goes with the separator."""
    try:
        data = table.read_bytes()
    except FileNotFoundError as error:
        raise LabelsError(f"{table.parent}: there is no {table.name}{_beside(table)}", f"{_DRAFT}; {FORM}") from error
    except OSError as error:
        raise LabelsError(f"{table}: {error.strerror}", "Check the path and the permission to read") from error
    for encoding in ("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "cp1252"):
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise LabelsError(f"{table}: is not text", "Save it as CSV in UTF-8")
    if "\x00" in text:
        raise LabelsError(f"{table}: is not text", "Save it as CSV in UTF-8")
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    if not first:
        raise LabelsError(f"{table}: is empty", f"Write a header and one row a recording; {FORM}")
    separator = max(",;\t", key=first.count)
    try:
        cells = [
            [cell.strip() for cell in row]
            for row in csv.reader(io.StringIO(text), delimiter=separator)
            if any(cell.strip() for cell in row) and not row[0].startswith("#")
        ]
    except csv.Error as error:
        raise LabelsError(f"{table}: {error}", "Save it as CSV in UTF-8") from error
    width = len(cells[0])
    for line, row in enumerate(cells[1:], start=2):
        if len(row) > width and any(row[width:]):
            raise LabelsError(
                f"{table}: row {line} has {len(row)} cells, the header has {width}", "Quote cells that hold commas"
            )
        row[:] = (row + [""] * width)[:width]
    return cells, "," if separator == ";" else "."


def _beside(table: Path) -> str:
    """Name a table of labels that lies there under another name."""
    try:
        near = sorted(path.name for path in table.parent.iterdir() if re.fullmatch(_ALMOST, path.name, re.IGNORECASE))
    except OSError:
        return ""
    return f"; {', '.join(near)} is there" if near else ""


def _check_columns(
    table: Path, columns: list[str], needed: tuple[str, ...], extra: bool, group_column: str | None
) -> list[str]:
    """Refuse columns that are missing, double or nearly a known one; returns those that nobody knows."""
    double = sorted({name for name in columns if columns.count(name) > 1 and name})
    if double:
        raise LabelsError(f"{table}: column {double[0]!r} stands there twice (fs_hz is sampling_rate_hz)", "Remove one")
    missing = [name for name in needed if name not in columns]
    if missing:
        near = {name: difflib.get_close_matches(name, columns, n=1, cutoff=0.7) for name in missing}
        hint = "".join(f"Is {match[0]!r} meant for {name!r}? " for name, match in near.items() if match)
        if missing == ["group"]:
            hint = f"{hint}{WHY_GROUPS}; or name another column: --group-column. "
        raise LabelsError(
            f"{table}: required column{'s' if len(missing) > 1 else ''} missing: {', '.join(missing)} "
            f"(there are {', '.join(columns)})",
            f"{hint}{FORM}",
        )
    unknown = []
    for name in columns:
        if name in KNOWN or name.lower() in _DESCRIPTIVE or name == group_column or not name:
            continue
        meant = difflib.get_close_matches(name.lower(), (*KNOWN, *_ALIASES), n=1, cutoff=0.75)
        if meant and not extra:
            raise LabelsError(
                f"{table}: unknown column {name!r}",
                f"did you mean {meant[0]!r}? Rename it, or keep it as an attribute: --extra-columns. {FORM}",
            )
        if not _CONDITION.match(name):
            unknown.append(name)
    return unknown


def _row(table: Path, line: int, record: Mapping[str, str], group_column: str, strict: bool, decimal: str = ".") -> Row:
    where = f"{table}: row {line}"
    if not strict:  # a description in place of a number is as good as none
        vague = [name for name in _NUMBERS if not record.get(name, "")[:1].isdigit()]
        record = {name: "" if name in vague else value for name, value in record.items()}
    for name in ("file", "label", group_column):
        if not record.get(name) and (strict or name == "file"):
            raise LabelsError(f"{where}: {name} is empty", f"Fill it in, or remove the row; {FORM}")
    start_s, end_s = _number(record, "start_s", where), _number(record, "end_s", where)
    rate = _rate(record.get("sampling_rate_hz", ""), where, decimal)
    if start_s is not None and start_s < 0:
        raise LabelsError(f"{where}: start_s {start_s:g} is negative", "Count from the start of the file, in seconds")
    if end_s is not None and end_s <= (start_s or 0.0):
        raise LabelsError(f"{where}: start_s {start_s or 0:g} is not before end_s {end_s:g}", "Correct the stretch")
    if rate is not None and rate <= 0:
        raise LabelsError(f"{where}: sampling_rate_hz {rate:g} is not positive", "Correct it, or leave it empty")
    when = record.get("recorded_at", "")
    if when and parse_date(when) is None:
        raise LabelsError(f"{where}: recorded_at {when!r} is no date", "Write it as 2024-05-31T14:05:00")
    return Row(
        file=_inside(record["file"], where, table.parent), line=line,
        label=record.get("label", ""), group=record.get(group_column, ""),
        channel=record.get("channel") or None, sampling_rate_hz=rate, unit=record.get("unit") or None,
        asset=record.get("asset", ""), start_s=start_s, end_s=end_s, recorded_at=parse_date(when) if when else None,
        attributes={name: value for name, value in record.items() if name not in KNOWN and name},
    )  # fmt: skip


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text.replace(",", ".")))
    except ValueError:
        return False


def _number(record: Mapping[str, str], name: str, where: str) -> float | None:
    text = record.get(name, "")
    if not text:
        return None
    if not _is_number(text):
        raise LabelsError(f"{where}: {name} {text!r} is not a number", "Correct it, or leave it empty")
    return float(text.replace(",", "."))


def _rate(text: str, where: str, decimal: str) -> float | None:
    """Read a sampling rate as people and spreadsheets write it: 25600, ``25,600``, ``25.6 kHz``."""
    if not text:
        return None
    reading = read_number(text, decimal)
    hertz = (hertz_per(reading.unit) if reading.unit else 1.0) if reading else None
    if reading is None or hertz is None:
        raise LabelsError(f"{where}: sampling_rate_hz {text!r} is not a number", "Correct it, or leave it empty")
    plausible = [value * hertz for value in reading.values if 10 <= value * hertz <= 200e3]
    if len(plausible) > 1 and not reading.is_sure:
        either = " or ".join(f"{hz:.12g}" for hz in plausible)
        raise LabelsError(
            f"{where}: sampling_rate_hz {text!r} may be {either} Hz", "Write it without a sign that groups digits"
        )
    return plausible[0] if plausible else reading.values[0] * hertz


def _inside(file: str, where: str, folder: Path | None = None) -> str:
    """Return the path relative to the folder, with forward slashes, if it stays within it."""
    path = posixpath.normpath(file.replace("\\", "/").strip())
    if folder is not None and path.startswith("/") and path.startswith(f"{folder.absolute().as_posix()}/"):
        path = path[len(folder.absolute().as_posix()) + 1 :]
    if path.startswith("/") or re.match(r"^[A-Za-z]:", path) or path.split("/")[0] == "..":
        raise LabelsError(
            f"{where}: {file!r} leads out of the folder", "Give paths relative to the folder of labels.csv"
        )
    return path


def is_link_out(path: Path, folder: Path) -> bool:
    """Tell whether a path, links followed, leads out of a folder or back up to where it came from."""
    try:
        target, root = path.resolve(), folder.resolve()
    except (OSError, RuntimeError):  # links in a circle
        return True
    return not target.is_relative_to(root) or (path.is_dir() and path.absolute().is_relative_to(target))


def with_segments(folder: Path, rows: list[Row], warnings: list[str], extra_columns: bool, strict: bool) -> list[Row]:
    """Replace rows by their stretches in segments.csv, which inherit what they do not state."""
    table = folder / SEGMENTS
    if not table.is_file():
        vague = [row for row in rows if strict and _NOT_A_LABEL.match(row.label)]
        if vague:
            raise LabelsError(
                f"{folder / LABELS}: row {vague[0].line}: {vague[0].label!r} is no label",
                f"Put {SEGMENTS} beside it, or label the row",
            )
        return rows
    parents: dict[str, Row] = {row.file: row for row in rows}
    found = list(_segments(table, parents, extra_columns, strict))
    covered = {row.file for row in found}
    left_out = [row.file for row in rows if row.file not in covered and _NOT_A_LABEL.match(row.label)]
    if left_out:
        warnings.append(f"{len(left_out)} files without label and segments are left out: {', '.join(left_out[:5])}")
    return [*found, *(row for row in rows if row.file not in covered and row.file not in left_out)]


def _segments(table: Path, parents: Mapping[str, Row], extra_columns: bool, strict: bool) -> Iterator[Row]:
    cells = read_table(table)
    columns = [_ALIASES.get(name, name) for name in cells[0]]
    _check_columns(
        table, columns, ("file", "start_s", "end_s", *(("label",) if strict else ())), extra_columns or not strict, None
    )
    for line, values in enumerate(cells[1:], start=2):
        record = dict(zip(columns, values, strict=True))
        parent = parents.get(_inside(record["file"], f"{table}: row {line}", table.parent))
        if parent is None:
            raise LabelsError(
                f"{table}: row {line}: {record['file']!r} is not in {LABELS}",
                f"Add it there, or remove the row; {FORM}",
            )
        given = {
            "group": parent.group, "channel": parent.channel or "", "unit": parent.unit or "", "asset": parent.asset,
            "sampling_rate_hz": f"{parent.sampling_rate_hz:.12g}" if parent.sampling_rate_hz else "",
            "recorded_at": parent.recorded_at.isoformat() if parent.recorded_at else "",
        }  # fmt: skip
        merged = (
            parent.attributes | given | {name: value for name, value in record.items() if value or name not in given}
        )
        yield _row(table, line, merged, "group", strict)


HEALTHY_WORDS = ("healthy", "normal", "ok", "good", "baseline")
