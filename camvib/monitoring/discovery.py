"""What is there to diagnose: files of folders and buckets, with what is declared of them; nothing is opened.

A tree is listed folder by folder in the order of names: a million files cost memory for one folder's names only.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from camvib.errors import CamvibError, LabelsError, SettingsError
from camvib.monitoring.path_pattern import PathPattern
from camvib.monitoring.sources import is_remote, remote_files
from camvib.recordings.entries import Entry
from camvib.recordings.labels import LABELS, SEGMENTS, Row, read_rows, with_segments
from camvib.records import Declared

SKIPPED_FOLDERS = {"twins", "masks", "__pycache__", "__MACOSX"}
_TABLES_ABOVE = 3
_CLOCKS_APART_S = 60.0  # a file from further in the future was written under another clock: it is not waited for


@dataclass(frozen=True)
class Discovery:
    """What is declared of the files of a run, and which of them are taken.

    Attributes
    ----------
    declared : Declared
        It comes before what labels.csv and paths say.
    asset : str
        Of recordings of which nothing else names the asset.
    asset_from : str
        Pattern over paths, see `camvib.monitoring.path_pattern.PathPattern`.
    settle_s : float
        Files that were written to within so many seconds are left to the next run.

    Raises
    ------
    SettingsError
        The pattern has no field, or the time to settle is negative.
    """

    declared: Declared = field(default_factory=Declared)
    asset: str = ""
    asset_from: str = ""
    settle_s: float = 0.0

    def __post_init__(self) -> None:
        if self.asset_from:
            PathPattern(self.asset_from)
        if self.settle_s < 0:
            raise SettingsError(f"{self.settle_s:g} s to settle", "Give 0 or more")


@dataclass(frozen=True)
class FoundFile:
    """A file to diagnose.

    Attributes
    ----------
    path : str
        Absolute path, or URL.
    size, mtime_ns : int
        −1 where a table names a file that is not there.
    inode : str
    entries : str
        JSON of what is declared of it: a list, one a recording.
    """

    path: str
    size: int
    mtime_ns: int
    inode: str
    entries: str

    @property
    def declared(self) -> str:
        """Digest of what is declared of it."""
        return _digest(self.entries)


@dataclass
class Listing:
    """What a look at the sources told beside the files.

    Attributes
    ----------
    missing : list of (str, CamvibError)
        Sources that cannot be listed.
    unsettled : int
        Files that are still being written.
    notes : Counter of str
        What was left out or taken without being named, and how often.
    """

    missing: list[tuple[str, CamvibError]] = field(default_factory=list)
    unsettled: int = 0
    notes: Counter[str] = field(default_factory=Counter)


@lru_cache(maxsize=4096)
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def discover(sources: Sequence[str | Path], wanted: Discovery, listing: Listing) -> Iterator[FoundFile]:
    """List the files of sources: paths of files and folders, or URLs (``s3://…``).

    A folder gives all its files, whether its labels.csv names them or not, except hidden ones, ``twins/``, ``masks/``,
    ``*.md``, ``LICENSE*`` and the tables themselves. A source that cannot be listed is noted in `listing`; the
    others go on.
    """
    walk = _Walk(wanted, listing)
    for source in sources:
        before = walk.count
        try:
            if is_remote(source):
                yield from walk.settled(walk.remote(str(source)))
            else:
                yield from walk.settled(walk.local(Path(source)))
            if walk.count == before and (is_remote(source) or Path(source).is_dir()):
                raise LabelsError(f"{source}: no recordings in this folder", "Name a folder or files with recordings")
        except CamvibError as error:
            listing.missing.append((str(source), error))


class _Walk:
    def __init__(self, wanted: Discovery, listing: Listing) -> None:
        self.wanted, self.listing, self.count = wanted, listing, 0
        self.pattern = PathPattern(wanted.asset_from) if wanted.asset_from else None

    def settled(self, found: Iterator[FoundFile]) -> Iterator[FoundFile]:
        now_ns = time.time_ns()
        for file in found:
            self.count += 1
            age_s = (now_ns - file.mtime_ns) / 1e9
            if file.size >= 0 and -_CLOCKS_APART_S < age_s < self.wanted.settle_s:
                self.listing.unsettled += 1
            else:
                yield file

    def local(self, path: Path) -> Iterator[FoundFile]:
        path = Path(os.path.abspath(path))  # noqa: PTH100  a link is named as it was named
        above = [table for folder in path.parents[: _TABLES_ABOVE + 1] if (table := _table(folder, lenient=True))]
        if path.is_dir():
            yield from self._folder(path, path, above)
            return
        try:
            status = path.stat()
        except OSError as error:
            raise LabelsError(f"{path}: {error.strerror}", "Check the path and the permission to read") from error
        yield self._found(str(path), status, path.parent, above)

    def _folder(self, folder: Path, root: Path, above: list[_Table]) -> Iterator[FoundFile]:
        try:
            with os.scandir(folder) as scan:
                inside = sorted(scan, key=lambda item: item.name)
        except OSError as error:
            raise LabelsError(f"{folder}: {error.strerror}", "Grant the permission to read the folder") from error
        tables = above
        if any(item.name == LABELS for item in inside) and (table := _table(folder)):
            tables = [table, *above]
            yield from self._absent(table)
        for item in inside:
            if item.name.startswith("."):
                continue
            try:
                if item.is_dir():
                    yield from self._enter(item, root, tables)
                elif self._is_recording(item.name):
                    yield self._found(item.path, item.stat(), root, tables)
            except FileNotFoundError:  # gone since the folder was listed; a dangling link
                self.listing.notes["files that vanished while the folder was listed"] += 1

    def _enter(self, item: os.DirEntry[str], root: Path, tables: list[_Table]) -> Iterator[FoundFile]:
        if item.name in SKIPPED_FOLDERS:
            self.listing.notes[f"folders {item.name}/ left out"] += 1
            return
        if item.is_symlink() and Path(item.path).resolve() in Path(item.path).parent.resolve().parents:
            self.listing.notes["links back up to a folder above left out"] += 1
            return
        yield from self._folder(Path(item.path), root, tables)

    def _is_recording(self, name: str) -> bool:
        if name in (LABELS, SEGMENTS):
            return False
        if name.lower().endswith(".md") or name.startswith("LICENSE"):
            self.listing.notes["*.md and LICENSE* left out"] += 1
            return False
        return True

    def _absent(self, table: _Table) -> Iterator[FoundFile]:
        """Files that a table names and that are not there: refused with a reason, not passed over."""
        for name, rows in table.rows.items():
            path = str(table.folder / name)
            if not os.path.exists(path):  # noqa: PTH110  of a table with many rows a Path each would cost
                yield FoundFile(path, -1, -1, "", self._json([self._entry(row) for row in rows]))

    def _found(self, path: str, status: os.stat_result, root: Path, tables: list[_Table]) -> FoundFile:
        entries = self._entries(path, str(root), tables)
        return FoundFile(path, status.st_size, status.st_mtime_ns, str(status.st_ino), entries)

    def _entries(self, path: str, root: str, tables: list[_Table]) -> str:
        for table in tables:
            if rows := table.rows.get(path[len(table.prefix) :]):
                return self._json([self._said(self._entry(row), path, root) for row in rows])
        if tables:
            self.listing.notes[f"files that no {LABELS} names: taken as they are"] += 1
        if self.pattern is None:
            return self._json([{}])
        return self._json([self._said({}, path, root)])

    def _entry(self, row: Row) -> dict[str, Any]:
        values = {name: value for name, value in vars(row).items() if name not in ("file", "line")}
        return {name: value for name, value in values.items() if value not in (None, "", {})}

    def _said(self, entry: dict[str, Any], path: str, root: str) -> dict[str, Any]:
        if self.pattern is None:
            return entry
        said = self.pattern.read(os.path.relpath(path, root) if "://" not in path else path[len(root) :].lstrip("/"))
        if said is None:
            self.listing.notes[f"files whose path is not of the pattern {self.pattern.pattern}"] += 1
            return entry
        values = {name: value for name, value in said._asdict().items() if value}
        return {**values, **entry}

    def _json(self, entries: list[dict[str, Any]]) -> str:
        for entry in entries:
            for name in ("channel", "unit", "sampling_rate_hz"):
                if (value := getattr(self.wanted.declared, name)) is not None:
                    entry[name] = value
            if self.wanted.asset and not entry.get("asset"):
                entry["asset"] = self.wanted.asset
        if len(entries) == 1 and not entries[0]:
            return "[{}]"
        return json.dumps(entries, default=datetime.isoformat, ensure_ascii=True, sort_keys=True)

    def remote(self, url: str) -> Iterator[FoundFile]:
        for path, size, mtime_ns, tag in remote_files(url):
            if self._is_recording(path.rpartition("/")[2]):
                yield FoundFile(path, size, mtime_ns, tag, self._entries(path, url, []))


@dataclass(frozen=True)
class _Table:
    """Rows of a folder's labels.csv, by file."""

    folder: Path
    prefix: str
    rows: Mapping[str, Sequence[Row]]


def _table(folder: Path, *, lenient: bool = False) -> _Table | None:
    """Rows of the labels.csv in a folder; of a folder that nobody named, a table of another kind says nothing."""
    file = folder / LABELS
    try:
        if not file.is_file():
            return None
        rows: dict[str, list[Row]] = {}
        for row in with_segments(folder, read_rows(file, strict=False), [], True, strict=False):
            rows.setdefault(os.path.normpath(row.file).replace(os.sep, "/"), []).append(row)
    except (LabelsError, OSError):
        if lenient:
            return None
        raise
    return _Table(folder, f"{folder}/" if str(folder) != "/" else "/", rows)


def seen_again(known: Sequence[tuple[str, str]], listing: Listing) -> Iterator[FoundFile]:
    """Files that were found before, by path and entries, as they are now."""
    for path, entries in known:
        if is_remote(path):
            for name, size, mtime_ns, tag in remote_files(path):
                yield FoundFile(name, size, mtime_ns, tag, entries)
            continue
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError:
            listing.notes["recordings are no longer at hand"] += 1
            continue
        yield FoundFile(path, status.st_size, status.st_mtime_ns, str(status.st_ino), entries)


def entries_of(text: str, file: Path) -> list[Entry]:
    """Entries of a file from their JSON."""
    found = []
    for values in json.loads(text):
        when = values.pop("recorded_at", None)
        found.append(Entry(file, recorded_at=datetime.fromisoformat(when) if when else None, **values))
    return found
