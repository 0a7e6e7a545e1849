"""A draft of labels.csv, for a person to look at: from class folders, file names, or a table that lies there."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camvib.errors import LabelsError, printable
from camvib.recordings.discovery import check_folder, discover
from camvib.recordings.labels import HEALTHY_WORDS, KNOWN, LABELS, read_table

DRAFT = "labels.draft.csv"
_TABLE = re.compile(r"labels?\.(csv|tsv|txt|xlsx)", re.IGNORECASE)
_SYNONYMS = {
    "filename": "file", "file_name": "file", "path": "file", "filepath": "file", "recording": "file",
    "class": "label", "klasse": "label", "fault": "label", "state": "label", "condition": "label", "target": "label",
    "machine": "group", "specimen": "group", "bearing": "group", "session": "group", "unit_id": "group",
    "machine_id": "group", "fs": "sampling_rate_hz", "fs_hz": "sampling_rate_hz", "date": "recorded_at",
    "timestamp": "recorded_at", "equipment": "asset",
}  # fmt: skip
_FIELD = re.compile(r"\{(\w+)\}")
_PARTITION = re.compile(r"(\w+)=(.+)")
_ORDER = ("file", "label", "group", "asset", "channel", "sampling_rate_hz", "unit", "recorded_at")
_MOST_ROWS = 1000  # one burst a row of a table


@dataclass(frozen=True)
class Draft:
    """Rows of a draft, and where they come from.

    Attributes
    ----------
    rows : list of dict of str to str
    notes : list of str
        What was taken from where, and what a person has to fill in.
    """

    rows: list[dict[str, str]]
    notes: list[str]

    def text(self) -> str:
        """Write the table, notes as comment lines above it; no cell begins as a formula."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        columns = [name for name in _ORDER if name in names or name in ("file", "label", "group")]
        columns += [name for name in names if name not in columns]
        out = io.StringIO()
        out.writelines(f"# {note}\n" for note in self.notes)
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(name, row.get(name, "")) for name in columns] for row in self.rows)
        return out.getvalue()


def draft_labels(folder: Path, *, pattern: str | None = None) -> Draft:
    """Draft a labels.csv for a folder; nothing that is not written somewhere is filled in.

    Parameters
    ----------
    folder : Path
    pattern : str, optional
        How paths are built, without extension: ``{group}/{label}_{speed}``; each field becomes a column.

    Raises
    ------
    LabelsError
        The folder holds no recordings, no file fits the pattern, or the table there has no column of files.
    """
    check_folder(folder)
    entries = [entry.file for entry in discover([folder]).entries if not _TABLE.fullmatch(entry.file.name)]
    files = [file.relative_to(folder).as_posix() for file in entries]
    if pattern:
        return _by_pattern(folder, files, pattern)
    table = next(
        (path for path in sorted(folder.iterdir()) if _TABLE.fullmatch(path.name) and path.name != LABELS), None
    )
    if table is not None:
        return _from_table(table)
    if not files:
        raise LabelsError(f"{folder}: no recordings in this folder", "Name a folder with recordings")
    rows = [row for file in files for row in _rows_of(folder, file)]
    return Draft(rows, _by_folders(rows))


def write_draft(folder: Path, out: Path | None, *, pattern: str | None = None) -> tuple[Path, Draft]:
    """Write a draft beside the recordings; a file that is there already is not touched.

    Raises
    ------
    LabelsError
        As `draft_labels`; or the file exists.
    """
    target = out or folder / DRAFT
    draft = draft_labels(folder, pattern=pattern)
    try:
        with target.open("x", encoding="utf-8", newline="") as handle:
            handle.write(draft.text())
    except FileExistsError as error:
        raise LabelsError(f"{target}: is there already", "Move it away, or name another file: --out") from error
    except OSError as error:
        raise LabelsError(f"{target}: {error.strerror}", "Name a place that can be written to: --out") from error
    return target, draft


def _by_pattern(folder: Path, files: Sequence[str], pattern: str) -> Draft:
    parts = _FIELD.split(pattern)
    names = parts[1::2]
    if not names or len(set(names)) != len(names):
        raise LabelsError(f"pattern {pattern!r} names no fields, or one twice", "Write it like {group}/{label}_{speed}")
    expression = "".join(
        f"(?P<{part}>[^/]+?)" if i % 2 else re.escape(part) for i, part in enumerate(parts)
    )  # fmt: skip
    rows, others = [], []
    for file in files:
        match = re.fullmatch(expression, file.rpartition(".")[0] if "." in file.rpartition("/")[2] else file)
        if match:
            rows.append({"file": file, **match.groupdict()})
        else:
            others.append(file)
    if not rows:
        raise LabelsError(
            f"{folder}: none of {len(files)} files fits the pattern {pattern!r}", f"The first is {files[:1]}"
        )
    notes = [f"{', '.join(names)} are taken from the paths by the pattern {pattern}; look through them"]
    return Draft(rows, notes + ([f"{len(others)} files do not fit it: {', '.join(others[:5])}"] if others else []))


def _from_table(table: Path) -> Draft:
    cells = _sheet(table) if table.suffix.lower() == ".xlsx" else read_table(table)
    taken = {name: _column_name(name) for name in cells[0]}
    if "file" not in taken.values():
        raise LabelsError(f"{table}: no column of files among {', '.join(cells[0])}", "Call it file")
    rows = [dict(zip(taken.values(), row, strict=True)) for row in cells[1:] if any(row)]
    changed = [f"{old} → {new}" for old, new in taken.items() if old != new]
    notes = [f"taken from {printable(table.name)}" + (f"; columns renamed: {', '.join(changed)}" if changed else "")]
    return Draft(rows, notes + _missing(rows))


def _column_name(name: str) -> str:
    plain = name.strip().lower().replace(" ", "_")
    return plain if plain in KNOWN else _SYNONYMS.get(plain, name)


def _sheet(table: Path) -> list[list[str]]:
    import openpyxl

    try:
        book = openpyxl.load_workbook(table, read_only=True, data_only=True)
        rows = [
            ["" if cell is None else str(cell) for cell in row]
            for row in book.worksheets[0].iter_rows(values_only=True)
        ]
    except (OSError, ValueError, KeyError) as error:
        raise LabelsError(f"{table}: cannot be read: {error}", "Save it as CSV") from error
    rows = [row for row in rows if any(row)]
    if not rows:
        raise LabelsError(f"{table}: the first sheet is empty", "Write a header and one row a recording")
    width = len(rows[0])
    return [(row + [""] * width)[:width] for row in rows]


def _rows_of(folder: Path, file: str) -> Iterator[dict[str, str]]:
    """Give one row a file, or one a burst where a table holds one a row, with what its other columns say."""
    stated = {match[1].lower(): match[2] for part in file.split("/") if (match := _PARTITION.fullmatch(part))}
    row = {"file": file} | {_SYNONYMS.get(name, name): value for name, value in stated.items()}
    bursts = list(_bursts(folder / file)) if file.lower().endswith((".parquet", ".pq")) else []
    yield from ({**row, **burst} for burst in bursts) if bursts else [row]


def _bursts(file: Path) -> Iterator[dict[str, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            lists = [field.name for field in parquet.schema_arrow if pa.types.is_list(field.type)]
            names = [
                field.name for field in parquet.schema_arrow
                if any(check(field.type) for check in (pa.types.is_string, pa.types.is_integer, pa.types.is_timestamp))
            ]  # fmt: skip
            if not lists or parquet.metadata.num_rows > _MOST_ROWS:
                return
            table = parquet.read(columns=names).to_pylist()
    except (pa.ArrowInvalid, OSError):
        return
    for i, record in enumerate(table):
        stated = {_column_name(name): str(value) for name, value in record.items() if value is not None}
        for name in lists:
            yield {"channel": f"{name}[{i}]" if len(table) > 1 else name, **stated}


def _by_folders(rows: list[dict[str, str]]) -> list[str]:
    """Fill in labels where one level of folders names classes; returns notes."""
    if all("label" in row for row in rows):
        return ["label, group and asset are taken from columns or partitions; look through them", *_missing(rows)]
    paths = [row["file"].split("/")[:-1] for row in rows]
    depth = min(map(len, paths))
    levels = [[path[i] for path in paths] for i in range(depth)]
    classes = [i for i, names in enumerate(levels) if any(_is_healthy(name) for name in names)]
    level = classes[0] if len(classes) == 1 else 0 if depth == 1 else None
    notes = []
    if level is not None:
        for row, label in zip(rows, levels[level], strict=True):
            row.setdefault("label", label)
        notes.append(f"label is the name of the folder at level {level + 1}")
    for i in range(depth):
        if i != level:
            for row, name in zip(rows, levels[i], strict=True):
                row[f"folder_{i + 1}"] = name
    return notes + _missing(rows)


def _is_healthy(name: str) -> bool:
    return name.strip().lower() in HEALTHY_WORDS


def _missing(rows: Iterable[dict[str, Any]]) -> list[str]:
    rows = list(rows)
    empty = [name for name in ("label", "group") if not all(row.get(name) for row in rows)]
    return [f"to be filled in: {', '.join(empty)}; group is the machine, specimen or session"] if empty else []


def _cell(name: str, text: str) -> str:
    """Escape what a spreadsheet would take for a formula; a path stays the same path with ./ before it."""
    text = printable(str(text)) if name != "file" else str(text)
    if text[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"./{text}" if name == "file" else f"'{text}"
    return text
