"""A labelled set: a folder with labels.csv, one row a recording or a stretch of one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path

from tqdm import tqdm

from camvib.errors import CamvibError, LabelsError, ReadError
from camvib.readers import is_time, read_channels
from camvib.recordings.entries import CHOOSE, Entry, listed_channels, recordings
from camvib.recordings.labels import LABELS, SEGMENTS, WHY_GROUPS, Row, read_rows, with_segments
from camvib.records import Recording, file_sha256

_SKIPPED_FOLDERS = {"twins", "masks", "__pycache__", "__MACOSX"}


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
    def load(
        cls,
        folder: Path,
        *,
        channel: str | None = None,
        unit: str | None = None,
        sampling_rate_hz: float | None = None,
        group_column: str | None = None,
        extra_columns: bool = False,
    ) -> LabelledSet:
        """Read labels.csv (and segments.csv) of a folder; no recording is opened, unless a channel must be chosen.

        Parameters
        ----------
        folder : Path
        channel, unit, sampling_rate_hz
            Declared for all rows that do not state their own.
        group_column : str, optional
            Column that holds the groups, instead of ``group``.
        extra_columns : bool
            Keep columns that are not known as attributes.

        Raises
        ------
        LabelsError
            labels.csv is missing, empty or malformed; files are missing; only one label or group.
        """
        folder = Path(folder)
        _check_folder(folder)
        warnings: list[str] = []
        rows = read_rows(folder / LABELS, group_column=group_column, extra_columns=extra_columns)
        rows = with_segments(folder, rows, warnings, extra_columns, strict=True)
        _check_rows(folder, rows)
        entries = [_entry(folder, row, channel, unit, sampling_rate_hz) for row in rows]
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


def expand(
    paths: Iterable[Path],
    *,
    channel: str | None = None,
    unit: str | None = None,
    sampling_rate_hz: float | None = None,
) -> Iterator[Entry]:
    """List what to diagnose; labels are not needed.

    A folder with labels.csv gives its rows; any other folder its files, except hidden ones, ``twins/``, ``masks/``,
    ``*.md`` and ``LICENSE*``; a file takes what a labels.csv above it says of it. What is passed here comes first.

    Raises
    ------
    LabelsError
        A folder cannot be read, holds no files, or its labels.csv is malformed.
    """
    for path in map(Path, paths):
        if not path.is_dir():
            yield _single(path, channel, unit, sampling_rate_hz)
            continue
        found = list(_walk(path, channel, unit, sampling_rate_hz))
        if not found:
            raise LabelsError(f"{path}: no recordings in this folder", "Name a folder or files with recordings")
        yield from found


def _walk(folder: Path, channel: str | None, unit: str | None, rate: float | None) -> Iterator[Entry]:
    _check_folder(folder)
    if (folder / LABELS).is_file():
        for row in with_segments(folder, read_rows(folder / LABELS, strict=False), [], True, strict=False):
            yield _entry(folder, row, channel, unit, rate, declared_first=True)
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if path.name not in _SKIPPED_FOLDERS:
                yield from _walk(path, channel, unit, rate)
        elif path.suffix.lower() != ".md" and not path.name.startswith("LICENSE") and path.name != SEGMENTS:
            yield _single(path, channel, unit, rate)


def _single(path: Path, channel: str | None, unit: str | None, rate: float | None) -> Entry:
    """Look a file up in the labels.csv of its folder, or of one of three above."""
    for folder in list(path.absolute().parents)[:4]:
        if not (folder / LABELS).is_file():
            continue
        table = folder / LABELS
        row = _rows_by_file(table, table.stat().st_mtime_ns).get(path.absolute().relative_to(folder).as_posix())
        if row is None:
            break
        whole = Entry(
            path,
            row.label,
            row.group,
            row.channel,
            row.sampling_rate_hz,
            row.unit,
            row.asset,
            recorded_at=row.recorded_at,
            attributes=row.attributes,
        )
        return _declared(whole, channel, unit, rate)
    return Entry(path, channel=channel, unit=unit, sampling_rate_hz=rate)


@lru_cache(maxsize=4)
def _rows_by_file(table: Path, modified_ns: int) -> dict[str, Row]:
    try:
        return {row.file: row for row in reversed(read_rows(table, strict=False))}
    except LabelsError:  # it may describe something else; whoever names the folder itself is told
        return {}


def _declared(entry: Entry, channel: str | None, unit: str | None, rate: float | None) -> Entry:
    return replace(
        entry,
        channel=channel or entry.channel,
        unit=unit or entry.unit,
        sampling_rate_hz=rate or entry.sampling_rate_hz,
    )


def _entry(
    folder: Path, row: Row, channel: str | None, unit: str | None, rate: float | None, declared_first: bool = False
) -> Entry:
    entry = Entry(
        folder / row.file, row.label, row.group, row.channel or channel, row.sampling_rate_hz or rate, row.unit or unit,
        row.asset, row.start_s, row.end_s, row.recorded_at, row.attributes,
    )  # fmt: skip
    return _declared(entry, channel, unit, rate) if declared_first else entry


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise LabelsError(f"{folder}: {what}; a labelled set is a folder", "Name the folder that holds labels.csv")
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise LabelsError(f"{folder}: {error.strerror}", "Grant the permission to read the folder") from error


def _check_rows(folder: Path, rows: Sequence[Row]) -> None:
    table = folder / LABELS
    missing = sorted({row.file for row in rows if not (folder / row.file).is_file()})
    if missing:
        archives = ", ".join(path.name for path in folder.glob("*.zip"))
        raise LabelsError(
            f"{table}: {len(missing)} files are missing: {', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}",
            f"Unpack {archives} into a copy of this folder" if archives else "Copy them there, or remove their rows",
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
