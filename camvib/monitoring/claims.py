"""Who works at which file: one table is the cache of discovery and the queue that processes share.

A file is claimed by a row's state and owner, for as long as a lease that is renewed. Claims save work; what prevents a
double is the unique key of the verdict. A dead owner's claims are taken over: at once where it was a process of this
machine, else when its lease has run out by the database's clock.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import uuid
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, case, delete, func, insert, or_, select, update

from camvib.errors import StoreError
from camvib.monitoring.database import Database, chunks
from camvib.monitoring.discovery import FoundFile
from camvib.monitoring.tables import DiagnosisRow, FileRow, OutcomeRow, RecordingRow, clean, clean_text

LEASE_S = 60.0
REGISTERED_AT_ONCE = 2000
SUSPECT_TRIES = 5  # so often begun and never finished: from now on alone, so that a culprit takes nobody along
MOST_TRIES = 10


class Claimed(NamedTuple):
    """A file that this process has to do."""

    id: int
    path: str
    size: int
    mtime_ns: int
    entries: str
    content_sha256: str
    tries: int


@dataclass(frozen=True)
class DoneFile:
    """A file as it was when it was read, and what its diagnoses rest on.

    Attributes
    ----------
    id : int
    size, mtime_ns : int
    content_sha256 : str
    assets : dict of str to str
        Digest of the baseline that was used, by asset; empty where there was none.
    """

    id: int
    size: int
    mtime_ns: int
    content_sha256: str
    assets: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Registered:
    """Numbers of the files that were found, in their order, and of those that are not done."""

    all: array[int] = field(default_factory=lambda: array("q"))
    todo: array[int] = field(default_factory=lambda: array("q"))


class Claims:
    """Files of one job: a model with its settings.

    Parameters
    ----------
    database : Database
    job : str
    lease_s : float
    """

    def __init__(self, database: Database, job: str, lease_s: float = LEASE_S) -> None:
        self.database, self.job, self.lease_s = database, job, lease_s
        self.owner = f"{_machine()}|{os.getpid()}|{_started(os.getpid())}|{uuid.uuid4().hex[:8]}"
        self._held: set[int] = set()
        self._lock = threading.Lock()

    # --- discovery

    def register(self, found: Iterable[FoundFile]) -> Registered:
        """Compare files with what is known of them; new and changed ones wait to be done."""
        registered = Registered()
        for some in chunks(found, REGISTERED_AT_ONCE):
            ids, todo = self._register(some)
            registered.all.extend(ids)
            registered.todo.extend(todo)
        return registered

    def _register(self, found: list[FoundFile]) -> tuple[list[int], list[int]]:
        known = self._known(found)
        names = [clean_text(file.path) for file in found]
        new = [self._new(file) for file, name in zip(found, names, strict=True) if name not in known]
        changed = [
            {"number": row.id, **self._new(file)}
            for file, name in zip(found, names, strict=True)
            if (row := known.get(name)) is not None and not _is_same(row, file)
        ]
        if new or changed:
            self.database.do(lambda connection: self._write(connection, new, changed))
            known = self._known(found)
        rows = [known[name] for name in dict.fromkeys(names)]
        return [row.id for row in rows], [row.id for row in rows if row.state != "done"]

    def _known(self, found: Sequence[FoundFile]) -> dict[str, Any]:
        columns = (FileRow.id, FileRow.path, FileRow.size, FileRow.mtime_ns, FileRow.inode, FileRow.declared)
        query = select(*columns, FileRow.state).where(
            FileRow.job == self.job, FileRow.path.in_([file.path for file in found])
        )
        return {row.path: row for row in self.database.rows(query)}

    def _new(self, file: FoundFile) -> dict[str, Any]:
        return {
            "job": self.job,
            "path": file.path,
            "size": file.size,
            "mtime_ns": file.mtime_ns,
            "inode": file.inode,
            "declared": file.declared,
            "entries": file.entries,
            "content_sha256": "",
            "assets": "{}",
            "state": "waiting",
            "owner": "",
            "deadline": 0.0,
            "tries": 0,
        }

    def _write(self, connection: Connection, new: list[dict[str, Any]], changed: list[dict[str, Any]]) -> None:
        if new:
            connection.execute(self.database.insert_into(FileRow).on_conflict_do_nothing(), new)
        for row in changed:
            values: dict[str, Any] = {name: row[name] for name in ("size", "mtime_ns", "inode", "entries")}
            # Where something else is declared, the same content is read anew.
            same = FileRow.declared == row["declared"]
            values["content_sha256"] = case((same, FileRow.content_sha256), else_="")
            mine = (FileRow.id == row["number"]) & (FileRow.state != "claimed")
            connection.execute(
                update(FileRow).where(mine).values(**values, declared=row["declared"], state="waiting", tries=0)
            )

    def renew_stale(self, baselines: Mapping[str, str]) -> None:
        """Let files wait again whose assets have another baseline now than their verdicts rest on.

        Parameters
        ----------
        baselines : mapping of str to str
            Digests of the baselines in force, by asset.
        """
        done = (FileRow.job == self.job) & (FileRow.state == "done")
        for (text,) in self.database.rows(select(FileRow.assets).where(done).distinct()):
            if any(baselines.get(asset, "") != used for asset, used in json.loads(text).items()):
                stale = update(FileRow).where(done, FileRow.assets == text)
                again = stale.values(state="waiting", content_sha256="", tries=0)
                self.database.do(lambda connection: connection.execute(again))  # noqa: B023

    def known_between(self, since: str, until: str) -> list[tuple[str, str]]:
        """Path and entries of files, of any job, whose recordings were observed from `since` on and before `until`."""
        query = (
            select(FileRow.path, FileRow.entries, func.max(FileRow.id))
            .join(OutcomeRow, OutcomeRow.file_id == FileRow.id)
            .join(DiagnosisRow, DiagnosisRow.id == OutcomeRow.diagnosis_id)
            .join(RecordingRow, RecordingRow.id == DiagnosisRow.recording_id)
            .where(RecordingRow.observed_at >= since)
            .group_by(FileRow.path, FileRow.entries)
            .order_by(FileRow.path, func.max(FileRow.id))
        )
        if until:
            query = query.where(RecordingRow.observed_at < until)
        return list({row[0]: (row[0], row[1]) for row in self.database.rows(query)}.values())

    # --- claims

    def take(self, ids: Sequence[int]) -> list[Claimed]:
        """Claim files of these that wait, or whose owner is gone."""
        if not ids:
            return []
        taken = self.database.do(lambda connection: self._take(connection, list(ids)))
        with self._lock:
            self._held.update(one.id for one in taken)
        return taken

    def _take(self, connection: Connection, ids: list[int]) -> list[Claimed]:
        now_s = self.database.now_s(connection)
        # A deadline further off than any lease was set before the clock was put back.
        over = (FileRow.deadline < now_s) | (FileRow.deadline > now_s + 10 * self.lease_s)
        owners = select(FileRow.owner).where(FileRow.id.in_(ids), FileRow.state == "claimed").distinct()
        dead = [owner for owner in connection.execute(owners).scalars() if _is_dead(owner)]
        free = or_(FileRow.state == "waiting", (FileRow.state == "claimed") & (over | FileRow.owner.in_(dead)))
        query = select(
            FileRow.id, FileRow.path, FileRow.size, FileRow.mtime_ns, FileRow.entries, FileRow.content_sha256,
            FileRow.tries,
        ).where(FileRow.id.in_(ids), free).order_by(FileRow.id)  # fmt: skip
        rows = connection.execute(query.with_for_update(skip_locked=True)).all()
        if rows:
            claimed = update(FileRow).where(FileRow.id.in_([row.id for row in rows]))
            connection.execute(
                claimed.values(
                    state="claimed", owner=self.owner, deadline=now_s + self.lease_s, tries=FileRow.tries + 1
                )
            )
        return [Claimed(*row) for row in rows]

    def renew(self) -> None:
        """Put off the deadline of what this process holds."""
        with self._lock:
            held = list(self._held)
        if held:
            self.database.do(lambda connection: self._renew(connection, held))

    def _renew(self, connection: Connection, held: list[int]) -> None:
        deadline = self.database.now_s(connection) + self.lease_s
        for some in chunks(held):
            mine = update(FileRow).where(FileRow.id.in_(some), FileRow.owner == self.owner)
            connection.execute(mine.values(deadline=deadline))

    def release(self, ids: Iterable[int] | None = None) -> None:
        """Give back what was claimed and is not done; by default all."""
        with self._lock:
            given = list(self._held if ids is None else ids)
            self._held.difference_update(given)
        for some in chunks(given):
            mine = update(FileRow).where(FileRow.id.in_(some), FileRow.owner == self.owner, FileRow.state == "claimed")
            waiting = mine.values(state="waiting", owner="", deadline=0.0, tries=FileRow.tries - 1)
            self.database.do(lambda connection: connection.execute(waiting))  # noqa: B023

    def still_mine(self, connection: Connection, ids: Sequence[int]) -> set[int]:
        """Those that nobody has taken over, held until the transaction ends."""
        mine = select(FileRow.id).where(FileRow.id.in_(ids), FileRow.owner == self.owner, FileRow.state == "claimed")
        return set(connection.execute(mine.with_for_update()).scalars())

    def finish(self, connection: Connection, done: Sequence[DoneFile], diagnoses: Mapping[int, Sequence[int]]) -> None:
        """End the claims of files, within the transaction that writes their verdicts.

        Parameters
        ----------
        connection : Connection
        done : sequence of DoneFile
        diagnoses : mapping of int to sequence of int
            Numbers of the diagnoses that came of each file; of a file that has not changed, none: it keeps its own.
        """
        anew = [file.id for file in done if diagnoses.get(file.id)]
        if anew:
            connection.execute(delete(OutcomeRow).where(OutcomeRow.file_id.in_(anew)))
            links = [{"file_id": file, "diagnosis_id": number} for file in anew for number in set(diagnoses[file])]
            connection.execute(insert(OutcomeRow), links)
        rows = [
            {
                "number": file.id,
                "size": file.size,
                "mtime_ns": file.mtime_ns,
                "content_sha256": file.content_sha256,
                "assets": json.dumps(clean(file.assets), sort_keys=True),
            }
            for file in done
        ]
        ended: dict[str, Any] = {name: bindparam(name) for name in ("size", "mtime_ns", "content_sha256", "assets")}
        ended |= {"state": "done", "owner": "", "deadline": 0.0, "tries": 0}
        table: Any = FileRow.__table__
        connection.execute(update(table).where(table.c.id == bindparam("number")).values(ended), rows)

    def forget(self, ids: Iterable[int]) -> None:
        """Hold files no more: they are done, or another process has taken them over."""
        with self._lock:
            self._held.difference_update(ids)

    def left(self, ids: Sequence[int]) -> list[int]:
        """Those of files that nobody has done yet."""
        found: list[int] = []
        for some in chunks(ids):
            query = select(FileRow.id).where(FileRow.id.in_(some), FileRow.state != "done").order_by(FileRow.id)
            found += [row[0] for row in self.database.rows(query)]
        return found

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Renew the claims from a thread, three times in a lease, until the end of the block."""
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(self.lease_s / 3):
                with contextlib.suppress(StoreError):  # told of where the verdicts are written
                    self.renew()

        thread = threading.Thread(target=renew, daemon=True, name="camvib-claims")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=5)


def _is_same(row: Any, file: FoundFile) -> bool:
    return (row.size, row.mtime_ns, row.inode, row.declared) == (
        file.size,
        file.mtime_ns,
        file.inode,
        file.declared,
    )


def _machine() -> str:
    """Name of this machine as far as process numbers reach: containers of one host count apart."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:13]
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115  no file, a name
    except OSError:
        boot, space = "", ""
    return f"{socket.gethostname()}|{boot}|{space}"


def _started(pid: int) -> str:
    """When a process started, in ticks: with its number it names a process for ever. Empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _is_dead(owner: str) -> bool:
    """Whether an owner was a process of this machine that is gone; False where that cannot be told."""
    machine, pid, started, _ = [*owner.rsplit("|", 3), "", "", ""][:4]
    return machine == _machine() and pid.isdigit() and started != "" and _started(int(pid)) != started
