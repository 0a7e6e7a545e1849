"""Read one file and check its recordings: what a worker process does, far from the network and the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from camvib.errors import CamvibError, ReadError
from camvib.monitoring.discovery import entries_of
from camvib.monitoring.outcomes import level_db
from camvib.monitoring.sources import local_copy
from camvib.readers import in_this_process
from camvib.recordings.entries import Entry, of_channel, recordings
from camvib.recordings.quality import InputSpec, check
from camvib.recordings.resampling import resample
from camvib.records import Finding, Recording, file_sha256

MOST_SENT_BYTES = 32 << 20  # a longer recording is read where the network is: copying it would cost more


@dataclass(frozen=True)
class ReadTask:
    """A file, what is declared of it, and what the model wants of it.

    Attributes
    ----------
    path, entries : str
        See `camvib.monitoring.discovery.FoundFile`.
    spec : InputSpec
    allow_resample : bool
    known_sha256 : str
        What its content hashed to when it was done; empty where it never was.
    spool_mib : int
    """

    path: str
    entries: str
    spec: InputSpec
    allow_resample: bool = False
    known_sha256: str = ""
    spool_mib: int = 4096


@dataclass(frozen=True, eq=False)
class Part:
    """One recording of a file, or why there is none.

    Attributes
    ----------
    recording : Recording or CamvibError
    group : str
        Of its row in labels.csv.
    start_s : float
    recording_id : str
        Of the recording as it was read: one that was resampled keeps its name.
    findings : tuple of Finding
    level_db : float or None
    """

    recording: Recording | CamvibError
    group: str = ""
    start_s: float = 0.0
    recording_id: str = ""
    findings: tuple[Finding, ...] = ()
    level_db: float | None = None


@dataclass(frozen=True, eq=False)
class FileRead:
    """What a file held when it was read.

    Attributes
    ----------
    sha256 : str
        Of its content; of its path where there is no content.
    size, mtime_ns : int
        When reading began.
    parts : tuple of Part
        Empty where the content is as it was known.
    settled : bool
        It did not change while it was read.
    is_long : bool
        It holds more than is sent between processes: read it where it is needed.
    """

    sha256: str
    size: int
    mtime_ns: int
    parts: tuple[Part, ...] = ()
    settled: bool = True
    is_long: bool = False


def read_file(task: ReadTask) -> FileRead:
    """Read and check all recordings of a file; what cannot be read or checked is told, not raised.

    Raises
    ------
    ReadError
        A remote file that cannot be fetched.
    """
    with in_this_process():  # this is a worker with limits already
        return _read(task, whole=False)


def read_long_file(task: ReadTask) -> FileRead:
    """`read_file`, whatever the length: samples stay on disk where the format allows it."""
    with in_this_process():
        return _read(task, whole=True)


def _read(task: ReadTask, *, whole: bool) -> FileRead:
    with local_copy(task.path, task.spool_mib << 20) as file:
        before = _status(file)
        if task.known_sha256 and before != (-1, -1):
            try:
                if file_sha256(file) == task.known_sha256:
                    return FileRead(task.known_sha256, *before, settled=_status(file) == before)
            except OSError as error:
                raise ReadError(f"{task.path}: {error.strerror}", "Check the permission to read") from error
        parts = tuple(_parts(task, file, whole))
        is_long = not whole and any(part is _LONG for part in parts)
        sha256 = next((p.recording.content_sha256 for p in parts if isinstance(p.recording, Recording)), "")
        return FileRead(
            sha256 or _content(file, task.path),
            *before,
            parts=() if is_long else parts,
            settled=_status(file) == before,
            is_long=is_long,
        )


def _parts(task: ReadTask, file: Path, whole: bool) -> Iterator[Part]:
    total = 0
    entries = entries_of(task.entries, file)
    for entry, found in groupby(recordings(entries), key=lambda pair: pair[0]):
        for recording in of_channel([recording for _, recording in found], task.spec.channel):
            if isinstance(recording, CamvibError):
                yield Part(_named(recording, file, task.path), entry.group, entry.start_s or 0.0)
                continue
            total += len(recording.samples) * recording.samples.dtype.itemsize
            if total > MOST_SENT_BYTES and not whole:
                yield _LONG
                return
            yield _part(replace(recording, source=task.path), entry, task)


def _part(recording: Recording, entry: Entry, task: ReadTask) -> Part:
    name = recording.id
    try:
        level = level_db(recording)
        if task.allow_resample and recording.sampling_rate_hz != task.spec.sampling_rate_hz:
            recording = resample(recording, task.spec.sampling_rate_hz)
        findings = check(recording, task.spec)
    except CamvibError as error:
        return Part(_named(error, Path(recording.source), task.path), entry.group, recording.start_s)
    if len(recording.samples) * recording.samples.dtype.itemsize <= MOST_SENT_BYTES:
        recording = replace(recording, samples=np.ascontiguousarray(recording.samples))
    return Part(recording, entry.group, recording.start_s, name, findings, level)


def _named(error: CamvibError, file: Path, path: str) -> CamvibError:
    """The error with the file's own name where it names a copy of it."""
    if str(file) == path or str(file) not in error.message:
        return error
    return type(error)(error.message.replace(str(file), path), error.remedy)


def _status(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _content(file: Path, path: str) -> str:
    try:
        return file_sha256(file)
    except OSError:  # missing, a folder, or not ours to read
        return path


_LONG = Part(ReadError("long"))
