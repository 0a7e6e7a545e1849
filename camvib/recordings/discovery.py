"""What lies in files and folders to be diagnosed, what labels.csv says of it, and what is passed over."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from camvib.errors import LabelsError, printable
from camvib.recordings.entries import Entry
from camvib.recordings.labels import LABELS, SEGMENTS, Row, is_link_out, read_rows, with_segments
from camvib.recordings.spelling import spelled
from camvib.records import Declared

_SKIPPED_FOLDERS = {"twins", "masks", "__pycache__", "__MACOSX"}
_LITTER = {"thumbs.db", "desktop.ini", "ehthumbs.db"}
_PARTITION = re.compile(r"(asset|machine|specimen|device|equipment)=(.+)", re.IGNORECASE)
_DEEPEST = 32


class PassedOver(NamedTuple):
    """A file or folder that is not read, and why."""

    path: Path
    reason: str


class Discovered(NamedTuple):
    """What lies in files and folders.

    Attributes
    ----------
    entries : list of Entry
    passed_over : list of PassedOver
        Files and folders that are not read, with the reason.
    """

    entries: list[Entry]
    passed_over: list[PassedOver]


def expand(paths: Iterable[Path], declared: Declared = Declared(), *, only_listed: bool = False) -> Iterator[Entry]:
    """List what to diagnose; see `discover`."""
    yield from discover(paths, declared, only_listed=only_listed).entries


def discover(paths: Iterable[Path], declared: Declared = Declared(), *, only_listed: bool = False) -> Discovered:
    """List what to diagnose, and what is passed over; labels are not needed.

    A folder gives all its files, whether labels.csv lists them or not, except hidden ones, ``twins/``, ``masks/``,
    ``*.md``, ``LICENSE*`` and links that lead out of it; a file takes what a labels.csv in its folder or above says
    of it. What is declared here comes first.

    Parameters
    ----------
    paths : iterable of Path
    declared : Declared
        Channel, unit and sampling rate of all.
    only_listed : bool
        Of a folder with labels.csv take its rows only: where a file without label would count as healthy.

    Raises
    ------
    LabelsError
        A folder cannot be read, holds no files, or its labels.csv is malformed.
    """
    found = Discovered([], [])
    for path in map(Path, paths):
        if not path.is_dir():
            found.entries.append(_single(path, declared))
            continue
        before = len(found.entries)
        _walk(path, path, found, declared, only_listed)
        if len(found.entries) == before:
            raise LabelsError(f"{path}: no recordings in this folder", "Name a folder or files with recordings")
    return found


def check_folder(folder: Path) -> None:
    """Raise LabelsError unless a folder can be read."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise LabelsError(f"{folder}: {what}; a labelled set is a folder", "Name the folder that holds labels.csv")
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise LabelsError(f"{folder}: {error.strerror}", "Grant the permission to read the folder") from error


def _walk(
    root: Path, folder: Path, found: Discovered, declared: Declared, only_listed: bool
) -> None:  # fmt: skip
    check_folder(folder)
    listed: set[Path] = set()
    if (folder / LABELS).is_file():
        notes: list[str] = []
        rows = with_segments(folder, read_rows(folder / LABELS, strict=False), notes, True, strict=False)
        for row in spelled(folder, rows, notes):
            if is_link_out(folder / row.file, root):
                found.passed_over.append(PassedOver(folder / row.file, "a link that leads out of the folder"))
                continue
            found.entries.append(row_entry(folder, row, declared, declared_first=True))
            listed.add(folder / row.file)
        found.passed_over.extend(PassedOver(folder / LABELS, note) for note in notes)
    _walk_unlisted(root, folder, found, declared, only_listed, listed)


def _walk_unlisted(
    root: Path, folder: Path, found: Discovered, declared: Declared, only_listed: bool, listed: set[Path]
) -> None:  # fmt: skip
    for path in sorted(folder.iterdir()):
        if path in listed or path.name in (LABELS, SEGMENTS):
            continue
        if reason := _passed_over(path, root):
            found.passed_over.append(PassedOver(path, reason))
        elif path.is_dir():
            if listed and not (path / LABELS).is_file():
                _walk_unlisted(root, path, found, declared, only_listed, listed)
            else:
                _walk(root, path, found, declared, only_listed)
        elif listed and only_listed:
            found.passed_over.append(PassedOver(path, f"{LABELS} does not list it"))
        else:
            found.entries.append(_single(path, declared))


def _passed_over(path: Path, root: Path) -> str:
    if path.name.startswith("."):
        return "hidden"
    if path.is_symlink() and is_link_out(path, root):
        return "a link that leads out of the folder, or back up"
    if path.is_dir():
        if len(path.relative_to(root).parts) > _DEEPEST:
            return f"more than {_DEEPEST} folders deep"
        return "not walked" if path.name in _SKIPPED_FOLDERS else ""
    is_document = path.suffix.lower() == ".md" or path.name.startswith("LICENSE")
    is_litter = path.name.lower() in _LITTER or path.name.startswith("~$")
    return "a document" if is_document else "no recording" if is_litter else ""


def _single(path: Path, declared: Declared) -> Entry:
    """Look a file up in the labels.csv of its folder, or of one of three above."""
    for folder in list(path.absolute().parents)[:4]:
        if not (folder / LABELS).is_file():
            continue
        table = folder / LABELS
        row = _rows_by_file(table, table.stat().st_mtime_ns).get(path.absolute().relative_to(folder).as_posix())
        if row is None:
            break
        whole = replace(row_entry(folder, row), file=path, start_s=None, end_s=None)
        return _before(whole, declared)
    asset = next((match[2] for part in reversed(path.parts) if (match := _PARTITION.fullmatch(part))), "")
    return _before(Entry(path, asset=printable(asset)), declared)


@lru_cache(maxsize=4)
def _rows_by_file(table: Path, modified_ns: int) -> dict[str, Row]:
    try:
        return {row.file: row for row in reversed(read_rows(table, strict=False))}
    except LabelsError:  # it may describe something else; whoever names the folder itself is told
        return {}


def _before(entry: Entry, declared: Declared) -> Entry:
    """Let what is declared come before what the entry states."""
    return replace(
        entry,
        channel=declared.channel or entry.channel,
        unit=declared.unit or entry.unit,
        sampling_rate_hz=declared.sampling_rate_hz or entry.sampling_rate_hz,
    )


def row_entry(folder: Path, row: Row, declared: Declared = Declared(), *, declared_first: bool = False) -> Entry:
    """Make an entry of a row; what is declared fills in what the row does not state, or comes first."""
    entry = Entry(
        folder / row.file, row.label, row.group, row.channel or declared.channel,
        row.sampling_rate_hz or declared.sampling_rate_hz, row.unit or declared.unit,
        row.asset, row.start_s, row.end_s, row.recorded_at, row.attributes,
    )  # fmt: skip
    return _before(entry, declared) if declared_first else entry
