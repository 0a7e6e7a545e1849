"""A labelled set: a folder with labels.csv, one row a recording or a stretch of one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from tqdm import tqdm

from camvib.errors import CamvibError, LabelsError, ReadError, printable
from camvib.readers import is_time, read_channels
from camvib.recordings.discovery import check_folder, discover, row_entry
from camvib.recordings.entries import CHOOSE, Entry, listed_channels, recordings
from camvib.recordings.labels import LABELS, WHY_GROUPS, Row, is_link_out, read_rows, with_segments
from camvib.recordings.spelling import spelled
from camvib.records import Declared, Recording, file_sha256


class LabelledSet:
    """Entries of one folder.

    Attributes
    ----------
    folder : Path
    entries : tuple of Entry
    warnings : tuple of str
        What was left out and why.
    """

    def __init__(self, folder: Path, entries: Iterable[Entry], warnings: Iterable[str] = ()) -> None:
        self.folder = Path(folder)
        self.entries = tuple(entries)
        self.warnings = tuple(warnings)

    @classmethod
    def load(cls, folder: Path, declared: Declared = Declared()) -> LabelledSet:
        """Read labels.csv (and segments.csv) of a folder; no recording is opened, unless a channel must be chosen.

        Parameters
        ----------
        folder : Path
        declared : Declared
            Channel, unit and rate of the rows that do not state their own; the column of the groups; whether columns
            that are not known are kept as attributes.

        Raises
        ------
        LabelsError
            labels.csv is missing, empty or malformed; files are missing; only one label or group.
        """
        folder = Path(folder)
        check_folder(folder)
        warnings: list[str] = []
        extra = declared.extra_columns
        rows = read_rows(folder / LABELS, group_column=declared.group_column, extra_columns=extra, notes=warnings)
        rows = spelled(folder, with_segments(folder, rows, warnings, extra, strict=True), warnings)
        _check_rows(folder, rows)
        if others := _unlisted(folder, rows):
            shown = ", ".join(map(printable, others[:5])) + (", …" if len(others) > 5 else "")
            warnings.append(f"{len(others)} files of the folder are not in {LABELS} and are left out: {shown}")
        entries = [row_entry(folder, row, declared) for row in rows]
        for row, entry in zip(rows, entries, strict=True):
            _check_channel(folder, row, entry)
        return cls(folder, entries, warnings)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, sorted."""
        return tuple(sorted({entry.label for entry in self.entries}))

    @property
    def groups(self) -> tuple[str, ...]:
        """What must not be split, sorted."""
        return tuple(sorted({entry.group for entry in self.entries}))

    def recordings(self) -> Iterator[tuple[Entry, Recording | CamvibError]]:
        """Read all entries; one bad file never stops the others."""
        return recordings(self.entries)

    def digest(self) -> str:
        """Hash rows and contents: SHA-256 in hexadecimal digits, the same wherever the folder lies."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        total = hashlib.sha256()
        files = sorted({entry.file for entry in self.entries})
        for file in tqdm(files, desc="hashing recordings", unit="file", delay=2, leave=False):
            total.update(f"{_relative(file, self.folder)} {file_sha256(file)}\n".encode())
        for entry in self.entries:
            row = {name: value for name, value in vars(entry).items() if name not in ("file", "attributes")}
            total.update(f"{_relative(entry.file, self.folder)} {row} {sorted(entry.attributes.items())}\n".encode())
        return total.hexdigest()


def _unlisted(folder: Path, rows: Sequence[Row]) -> list[str]:
    """Name the files that look like recordings and that labels.csv does not list."""
    listed = {row.file for row in rows}
    found = discover([folder])
    others = [_relative(entry.file, folder) for entry in found.entries if _relative(entry.file, folder) not in listed]
    suffixes = {Path(file).suffix.lower() for file in listed}
    return [file for file in others if Path(file).suffix.lower() in suffixes]


def _check_rows(folder: Path, rows: Sequence[Row]) -> None:
    table = folder / LABELS
    missing = sorted({row.file for row in rows if not (folder / row.file).is_file()})
    if missing:
        archives = ", ".join(path.name for path in folder.glob("*.zip"))
        raise LabelsError(
            f"{table}: {len(missing)} files are missing: {', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}",
            f"Unpack {archives} into a copy of this folder" if archives else "Copy them there, or remove their rows",
        )
    out = next((row for row in rows if is_link_out(folder / row.file, folder)), None)
    if out is not None:
        raise LabelsError(
            f"{table}: row {out.line}: {out.file!r} is a link that leads out",
            "Copy the file itself there",
        )
    seen: dict[tuple[object, ...], Row] = {}
    for row in rows:
        key = (row.file, row.channel, row.start_s, row.end_s)
        if key in seen:
            raise LabelsError(
                f"{table}: rows {seen[key].line} and {row.line} are the same stretch of {row.file} "
                f"(labels {seen[key].label!r}, {row.label!r})",
                "Remove one of them",
            )
        seen[key] = row
    if len({row.label for row in rows}) < 2:
        raise LabelsError(
            f"{table}: all {len(rows)} rows have the label {rows[0].label!r}", "Add recordings of another class"
        )
    if len({row.group for row in rows}) < 2:
        raise LabelsError(f"{table}: all {len(rows)} rows are of one group, {rows[0].group!r}", WHY_GROUPS)


def _check_channel(folder: Path, row: Row, entry: Entry) -> None:
    """Ask for a channel where labels.csv lists several and none is chosen."""
    listed = [name for name in listed_channels(row.attributes) if not is_time(name)]
    if entry.channel is not None or len(listed) < 2:
        return
    try:
        names = [channel.name for channel in read_channels(entry.file)]
        names = listed if all(name.startswith("column_") for name in names) else names
    except ReadError:
        names = listed
    if len(names) > 1:
        shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
        raise LabelsError(f"{folder / LABELS}: {row.file} has several channels: {shown}", CHOOSE)


def _relative(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.name
