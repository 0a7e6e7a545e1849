"""Labelled folder of real recordings → recordings with their groups, and what had to be assumed about them."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from camvib.errors import CamvibError, LabelsError, MissingMetadata, SignalError
from camvib.readers import is_time, read_channels
from camvib.recordings import catalog, fetching
from camvib.recordings.catalog import DataSet
from camvib.recordings.entries import Entry, recordings
from camvib.recordings.folder import LabelledSet
from camvib.recordings.labels import WHY_GROUPS, read_table
from camvib.recordings.quality import check
from camvib.recordings.resampling import resample
from camvib.records import Declared, Recording
from camvib.units import ARBITRARY


@dataclass(frozen=True, eq=False)
class RealSet:
    """A labelled folder that has not been read yet, and what is known of it.

    Attributes
    ----------
    rows : list of dict
        Column → value of every entry: labels.csv with segments.csv.
    groups : list of str
        What must not stand on both sides of a split: by the catalog's group column, else ``group``.
    notes : list of str
        What was assumed; grows while reading.
    """

    name: str
    folder: Path
    known: DataSet | None
    entries: tuple[Entry, ...]
    rows: list[dict[str, str]]
    groups: list[str]
    notes: list[str] = field(default_factory=list)

    def column(self, name: str) -> list[str]:
        """Values of one column.

        Raises
        ------
        LabelsError
            No such column.
        """
        if any(name not in row for row in self.rows):
            known = ", ".join(sorted(set.intersection(*(set(row) for row in self.rows))))
            raise LabelsError(f"{self.folder}: labels.csv has no column {name!r}", f"Use one of {known}")
        return [row[name] for row in self.rows]


@dataclass(frozen=True, eq=False)
class Read:
    """Recordings of some entries.

    Attributes
    ----------
    recordings : list of Recording
    entry : ndarray, shape (recordings,)
        Index of the entry of each; an entry may hold several snapshots.
    """

    recordings: list[Recording]
    entry: np.ndarray
    findings: list[dict[str, object]]


def open_set(name: str, folder: Path, channel: str | None, unit: str | None, split: str | None) -> RealSet:
    """Read the table of a folder; columns that nobody has seen before are kept."""
    known, folder = catalog.load_catalog().get(name), Path(folder)
    notes: list[str] = []
    if known and known.archive and (folder / known.archive).is_file():
        unpacked = Path(tempfile.mkdtemp(prefix=f"camvib-{name}-"))
        atexit.register(shutil.rmtree, unpacked, ignore_errors=True)
        folder = fetching.fetch(name, unpacked, folder)
    if not known and not channel:
        channel = _first_channel(folder, notes)
    declared = Declared(
        channel=channel or (known.channel if known else None),
        unit=unit or (known.unit if known else None),
        group_column=_stand_in_for_group(folder, split, notes),
        extra_columns=True,
    )
    loaded = LabelledSet.load(folder, declared)
    notes += loaded.warnings
    rows = [_row(entry, folder) for entry in loaded.entries]
    real = RealSet(name, folder, known, loaded.entries, rows, [entry.group for entry in loaded.entries], notes)
    return replace(real, groups=real.column(known.group_column)) if known else real


def _row(entry: Entry, folder: Path) -> dict[str, str]:
    return entry.attributes | {
        "file": entry.file.relative_to(folder).as_posix(),
        "label": entry.label,
        "group": entry.group,
        "asset": entry.asset,
        "channel": entry.channel or "",
        "unit": entry.unit or "",
        "sampling_rate_hz": f"{entry.sampling_rate_hz:.12g}" if entry.sampling_rate_hz else "",
    }


def _stand_in_for_group(folder: Path, split: str | None, notes: list[str]) -> str | None:
    """Take the split's own column as the group where labels.csv has none."""
    table = folder / "labels.csv"
    header = read_table(table)[0] if table.is_file() else []
    if "group" in header or not {"file", "label"} <= set(header):
        return None  # nothing to do, or nothing that could be done
    if not (split or "").startswith("group:"):
        raise LabelsError(
            f"{table}: there is no column group (there are {', '.join(header)})",
            f"Name a column that does the same: --split group:COLUMN. Or: {WHY_GROUPS[0].lower()}{WHY_GROUPS[1:]}",
        )
    column = str(split).removeprefix("group:")
    notes.append(f"labels.csv has no column group: {column} is taken for it")
    return column


def _first_channel(folder: Path, notes: list[str]) -> str | None:
    """Choose a channel where files hold several and nobody names one."""
    table = folder / "labels.csv"
    if not table.is_file():
        return None
    header, *rows = read_table(table)
    if "channel" in header or "file" not in header or not rows:
        return None
    try:
        found = read_channels(folder / rows[0][header.index("file")])
    except (CamvibError, OSError):
        return None  # the reader says why when the entry is read
    names = [channel.name for channel in found if not is_time(channel.name)]
    listed = [
        name.strip()
        for name in re.split(r"[;,]", dict(zip(header, rows[0], strict=True)).get("channels", ""))
        if name.strip()
    ]
    if len(names) < 2:
        return None
    chosen = next((name for name in listed if not is_time(name)), names[0]) if "column_1" in names else names[0]
    notes.append(f"files hold {len(names)} channels ({', '.join(names[:6])}): {chosen} is taken; choose with --channel")
    return chosen


def read_entries(real: RealSet, used: Sequence[int], progress: bool) -> Read:
    """Read entries, bring them to one rate, and say what quality would refuse; nothing is left out for it."""
    found: list[Recording] = []
    entry_of: list[int] = []
    missing, undeclared, remedy = Counter[str](), 0, ""
    for index in tqdm(used, desc=f"read {real.name}", disable=not progress, delay=2):
        try:
            recordings_of_entry, no_unit = _recordings(real, real.entries[index])
        except CamvibError as error:
            missing[error.message] += 1
            remedy = remedy or error.remedy
            continue
        undeclared += no_unit
        found += recordings_of_entry
        entry_of += [index] * len(recordings_of_entry)
    if not found:
        raise LabelsError(
            f"{real.folder}: not one of {len(used)} recordings can be read: {next(iter(missing), '')}",
            remedy or "Mend the files",
        )
    if undeclared:
        real.notes.append(f"{undeclared} recordings state no unit: taken as arbitrary, their level has no meaning")
    real.notes.extend(f"left out: {reason}" for reason in list(missing)[:5])
    if len(missing) > 5:
        real.notes.append(f"left out: {len(missing) - 5} more")
    found = _one_rate(real, found)
    entry = np.array(entry_of)
    return Read(found, entry, _findings(found, [real.rows[i]["label"] for i in entry_of]))


def _recordings(real: RealSet, entry: Entry) -> tuple[list[Recording], bool]:
    no_unit = False
    try:
        found = list(_each(real.known, entry))
    except MissingMetadata:
        if entry.unit is not None:
            raise
        found, no_unit = list(_each(real.known, replace(entry, unit=ARBITRARY))), True
    for recording in found:
        if not np.isfinite(recording.samples).all():
            raise SignalError(f"{recording.source}: holds values that are no numbers", "Record again")
    return found, no_unit


def _each(known: DataSet | None, entry: Entry) -> Iterator[Recording]:
    """One recording of an entry, or all its snapshots where a file holds them as channels."""
    if not known or not known.channel_pattern or not known.channel:
        yield next(entry.recordings())
        return
    wanted = _snapshots(known.channel_pattern, known.channel)
    for _, one in recordings([replace(entry, channel=None)]):
        if isinstance(one, CamvibError):
            raise one
        if wanted.fullmatch(one.channel):
            yield one


def _snapshots(pattern: str, channel: str) -> re.Pattern[str]:
    """Channels that differ from `channel` in their snapshot only."""
    parts = re.split(r"\{(\w+)\}", pattern)
    free = "".join(f"(?P<{part}>\\d+)" if k % 2 else re.escape(part) for k, part in enumerate(parts))
    fixed = re.fullmatch(free, channel)
    values = fixed.groupdict() if fixed else {}
    return re.compile(
        "".join(
            (r"\d+" if part == "snapshot" else values.get(part, r"\d+")) if k % 2 else re.escape(part)
            for k, part in enumerate(parts)
        )
    )


def _one_rate(real: RealSet, found: list[Recording]) -> list[Recording]:
    rates = Counter(recording.sampling_rate_hz for recording in found)
    if len(rates) < 2:
        return found
    lowest = min(rates)
    listed = ", ".join(f"{rate:g} Hz ({count})" for rate, count in sorted(rates.items()))
    real.notes.append(f"recordings differ in rate, {listed}: all resampled to {lowest:g} Hz; a rate may be a shortcut")
    return [resample(recording, lowest) for recording in found]


def _findings(found: list[Recording], labels: list[str]) -> list[dict[str, object]]:
    """How many recordings of each label quality would refuse, by kind: a kind that goes by class is a shortcut."""
    refused: dict[str, Counter[str]] = {}
    for recording, label in zip(found, labels, strict=True):
        for kind in {finding.kind for finding in check(recording) if finding.refuse}:
            refused.setdefault(kind, Counter())[label] += 1
    total = Counter(labels)
    return [
        {"kind": kind, "refused": dict(counts), "recordings": dict(total)} for kind, counts in sorted(refused.items())
    ]
