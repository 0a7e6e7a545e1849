"""Whatever is killed, shared, locked or damaged: every recording has one verdict or one reason in the end."""

import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from sqlalchemy import event

from camvib.errors import StoreError
from camvib.model.folder import load_model
from camvib.monitoring import batch as batch_module
from camvib.monitoring.batch import Options, Run, diagnose
from camvib.monitoring.ledger import Store
from camvib.monitoring.remake import evidence_again
from camvib.monitoring.workers import Limits, Workers

INLINE = Options(workers=0)
Fill = Callable[[Path, int], Path]


class Child(Protocol):
    """See conftest.py."""

    def kill(self, how: signal.Signals = ...) -> None: ...
    def is_through(self) -> bool: ...
    def wait(self) -> int: ...


Start = Callable[[Path, str], Child]


def each_once(store: Store, count: int) -> None:
    """Every recording has exactly one verdict, in force, with its evidence whole."""
    kept = store.all()
    assert len({one.recording_id for one in kept}) == len(kept) == count
    assert all(len(store.history(one.recording_id)) == 1 for one in kept)
    assert Counter(store.evidence_state(one) for one in kept) == {"kept": count}
    assert len(list(store.folder.rglob("*.cve"))) == count


def test_killed_at_random_and_run_again_nothing_is_lost_or_doubled(start: Start, fill: Fill, tmp_path: Path) -> None:
    inbox, path = fill(tmp_path / "inbox", 120), tmp_path / "s.db"
    rng, kills = random.Random(0), 0
    while kills < 5 and done(path) < 120:
        child = start(inbox, str(path))
        wait_for_progress(child, path)
        time.sleep(rng.uniform(0, 0.1))  # where in its work it is hit is left to chance
        kills += not child.is_through()
        child.kill()
        child.wait()
    assert kills
    before = done(path)
    assert start(inbox, str(path)).wait() == 120 - before
    each_once(Store(path, tmp_path / "evidence"), 120)
    assert not list((tmp_path / "evidence").rglob("*.tmp"))
    assert start(inbox, str(path)).wait() == 0


def done(path: Path) -> int:
    """How many verdicts a store holds; 0 where there is none yet."""
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as connection:
            return int(connection.execute("SELECT count(*) FROM diagnoses").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def wait_for_progress(child: Child, path: Path) -> None:
    before = done(path)
    wait_for(lambda: done(path) > before or child.is_through())


def wait_for(true: Callable[[], bool], limit_s: float = 240.0) -> None:
    ends = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_share_an_inbox_and_a_fresh_store_share_the_work(
    kind: str, start: Start, fill: Fill, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    inbox = fill(tmp_path / "inbox", 150)
    url = str(tmp_path / "s.db") if kind == "sqlite" else request.getfixturevalue("fresh_database")
    together = [start(inbox, url) for _ in range(4 if kind == "sqlite" else 2)]
    assert sum(child.wait() for child in together) == 150
    each_once(Store(url, tmp_path / "evidence"), 150)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_told_to_stop_gives_its_claims_back(
    how: signal.Signals, start: Start, fill: Fill, tmp_path: Path
) -> None:
    inbox, path = fill(tmp_path / "inbox", 400), tmp_path / "s.db"
    child = start(inbox, str(path))
    wait_for_progress(child, path)
    child.kill(how)
    assert child.wait() == -1
    with sqlite3.connect(path) as connection:
        states = dict(connection.execute("SELECT state, count(*) FROM files GROUP BY state").fetchall())
    assert "claimed" not in states
    assert states["waiting"] > 0


def test_a_store_that_is_locked_is_waited_for(model_folder: Path, fill: Fill, tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    inbox = fill(tmp_path / "inbox", 5)
    locked = sqlite3.connect(tmp_path / "s.db", isolation_level=None, check_same_thread=False)
    locked.execute("BEGIN IMMEDIATE")
    threading.Timer(1.5, locked.execute, ("ROLLBACK",)).start()
    assert diagnose([inbox], model_folder, store, INLINE, progress=False).new == 5


def test_a_store_that_goes_away_in_mid_run_is_waited_for(
    model_folder: Path, fill: Fill, tmp_path: Path, postgresql: str
) -> None:
    """Every connection of the server is cut while the run is under way."""
    import psycopg

    name = f"away{os.getpid()}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = postgresql.replace("/postgres?", f"/{name}?")
    store = Store(url, tmp_path / "evidence")
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    ended = threading.Event()

    def cut_often() -> None:
        with psycopg.connect(postgresql, autocommit=True) as connection:
            for _ in range(4):
                if ended.wait(1.0):
                    return
                connection.execute(cut, (name,))

    thread = threading.Thread(target=cut_often)
    thread.start()
    try:
        found = diagnose([fill(tmp_path / "inbox", 150)], model_folder, store, INLINE, progress=False)
    finally:
        ended.set()
        thread.join()
    assert found.new == 150
    each_once(store, 150)


def test_a_store_that_may_not_be_written_is_an_error_in_words(model_folder: Path, fill: Fill, tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    store.database.engine.dispose()
    # What a read-only file says, also to root.
    event.listen(store.database.engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON"))
    with pytest.raises(StoreError, match="readonly") as found:
        diagnose([fill(tmp_path / "inbox", 2)], model_folder, store, INLINE, progress=False)
    assert "permission" in found.value.remedy


def test_a_disk_that_is_full_stops_the_run_and_the_next_goes_on(model_folder: Path, fill: Fill, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", str(small)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small tmpfs cannot be mounted here")
    try:
        inbox = fill(tmp_path / "inbox", 200)
        store = Store(tmp_path / "s.db", small / "evidence")
        with pytest.raises(StoreError, match="No space left"):
            diagnose([inbox], model_folder, store, INLINE, progress=False)
        before = len(store.all())
        assert 0 < before < 200
        subprocess.run([*mount[:3], "-o", "remount,size=20m", "tmpfs", str(small)], check=True, capture_output=True)
        diagnose([inbox], model_folder, store, INLINE, progress=False)
        each_once(store, 200)
    finally:
        subprocess.run(["umount", str(small)], check=False, capture_output=True)


def test_files_that_vanish_change_grow_or_break_in_mid_run(model_folder: Path, fill: Fill, tmp_path: Path) -> None:
    inbox, store = fill(tmp_path / "inbox", 6), Store(tmp_path / "s.db")
    run = Run(load_model(model_folder), store, INLINE)
    registered, listing = run.find([inbox])
    gone, changed, grown, broken, *_ = sorted(inbox.iterdir())
    gone.unlink()
    changed.write_bytes(sorted(inbox.iterdir())[-1].read_bytes())
    with grown.open("ab") as handle:
        handle.write(b"more")
    broken.write_bytes(b"PK\x03\x04 this was a recording")
    fresh = run.work(registered.todo)
    batch = run.batch(registered, listing, fresh)
    reasons = {Path(one.recording).name: one.reason for one in batch.diagnoses if one.verdict == "refused"}
    assert "No such file" in reasons[gone.name]
    assert broken.name in reasons
    assert set(reasons) <= {gone.name, broken.name, grown.name}
    # What was written over while the run went on is as it was read: the next run finds nothing new.
    assert diagnose([inbox], model_folder, store, INLINE, progress=False).new == 0


def test_a_file_that_changes_while_it_is_read_is_left_to_the_next_run(
    model_folder: Path, fill: Fill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from camvib.monitoring import reading

    inbox, store = fill(tmp_path / "inbox", 2), Store(tmp_path / "s.db")
    first = min(inbox.iterdir())
    parts = reading._parts

    def written_meanwhile(task: reading.ReadTask, file: Path, whole: bool) -> object:
        found = list(parts(task, file, whole))
        if file == first:
            os.utime(first, ns=(1, first.stat().st_mtime_ns + 1_000_000))
        return iter(found)

    monkeypatch.setattr(reading, "_parts", written_meanwhile)
    found = diagnose([inbox], model_folder, store, INLINE, progress=False)
    assert (found.new, found.unsettled) == (1, 1)
    monkeypatch.undo()
    assert diagnose([inbox], model_folder, store, INLINE, progress=False).new == 1


EVIL = """
import os, time
from camvib.monitoring.reading import read_file as read

def read_file(task):
    name = os.path.basename(task.path)
    if "hang" in name:
        time.sleep(3600)
    if "crash" in name:
        os.abort()
    if "eat" in name:
        [bytearray(1 << 26) for _ in range(1000)]
    if "raise" in name:
        raise ValueError("a plugin's own mistake")
    return read(task)
"""


@pytest.mark.slow
def test_a_reader_that_raises_hangs_crashes_or_eats_memory_costs_its_own_recording_only(
    model_folder: Path, fill: Fill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil_reader.py").write_text(EVIL)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(batch_module, "READ", "evil_reader:read_file")
    inbox, store = fill(tmp_path / "inbox", 8), Store(tmp_path / "s.db")
    for name in ("hang", "crash", "eat", "raise"):
        (inbox / f"{name}.npz").write_bytes((inbox / "r0000.npz").read_bytes())
    options = Options(workers=2, limits=Limits(time_s=5.0, memory_mib=300))
    found = diagnose([inbox], model_folder, store, options, progress=False)
    reasons = {Path(one.recording).stem: one.reason for one in found.diagnoses if one.verdict == "refused"}
    assert set(reasons) == {"hang", "crash", "eat", "raise"}
    assert "longer than 5 s" in reasons["hang"]
    assert "ended the reading process" in reasons["crash"]
    assert "MemoryError" in reasons["eat"] or "ended the reading process" in reasons["eat"]
    assert "a plugin's own mistake" in reasons["raise"]
    assert found.counts["refused"] == 4
    assert sum(found.counts.values()) == 12


def test_workers_that_are_closed_while_busy_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sleeper.py").write_text("import time\ndef sleep(task):\n    time.sleep(3600)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    workers = Workers("sleeper:sleep", 1, Limits())
    workers.submit(1, "x")
    assert workers.result(0.5) is None
    workers.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("camvib-worker")]


def claimed_by(store: Store, owner: str, deadline: float, tries: int = 1) -> None:
    with store.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE files SET state = 'claimed', owner = ?, deadline = ?, tries = ?", (owner, deadline, tries)
        )


def test_the_claims_of_the_dead_are_taken_over(model_folder: Path, fill: Fill, tmp_path: Path) -> None:
    inbox, store = fill(tmp_path / "inbox", 3), Store(tmp_path / "s.db")
    run = Run(load_model(model_folder), store, INLINE)
    registered, _ = run.find([inbox])
    now = time.time()
    ours = run.claims.owner.rsplit("|", 3)[0]
    for owner, deadline in (
        (f"{ours}|999999999|1|x", now + 30),  # a process of this machine that is gone
        ("elsewhere||||1|1|x", now - 1),  # another machine's, and its lease is over
        ("elsewhere||||1|1|x", now + 1e6),  # claimed before the clock was put back
    ):
        claimed_by(store, owner, deadline)
        taken = run.claims.take(registered.todo)
        assert len(taken) == 3
        run.claims.release()
    claimed_by(store, "elsewhere||||1|1|x", now + 30)
    assert run.claims.take(registered.todo) == []
    claimed_by(store, run.claims.owner, now + 30)  # this very process lives
    assert Run(load_model(model_folder), store, INLINE).claims.take(registered.todo) == []


def test_a_file_that_ends_process_after_process_is_given_up(model_folder: Path, fill: Fill, tmp_path: Path) -> None:
    inbox, store = fill(tmp_path / "inbox", 2), Store(tmp_path / "s.db")
    run = Run(load_model(model_folder), store, INLINE)
    registered, listing = run.find([inbox])
    claimed_by(store, "elsewhere||||1|1|x", 0.0, tries=10)
    found = run.batch(registered, listing, run.work(registered.todo))
    assert found.counts == {"refused": 2}
    assert "10 times" in found.diagnoses[0].reason


def test_an_owner_that_lost_its_claim_writes_nothing(model_folder: Path, fill: Fill, tmp_path: Path) -> None:
    """Two runs do the same files, because the first was thought dead: the second's verdicts stand."""
    inbox, store = fill(tmp_path / "inbox", 4), Store(tmp_path / "s.db")
    slow = Run(load_model(model_folder), store, INLINE)
    registered, _ = slow.find([inbox])
    slow.claims.take(registered.todo)
    claimed_by(store, "elsewhere||||1|1|x", 0.0)
    assert diagnose([inbox], model_folder, store, INLINE, progress=False).new == 4
    with store.database.write() as connection:
        assert slow.claims.still_mine(connection, list(registered.todo)) == set()
    each_once(store, 4)


def test_evidence_that_is_lost_later_is_made_again_on_demand(model_folder: Path, fill: Fill, tmp_path: Path) -> None:
    inbox, store, model = fill(tmp_path / "inbox", 2), Store(tmp_path / "s.db"), load_model(model_folder)
    diagnose([inbox], model, store, INLINE, progress=False)
    one, other = store.all()
    before = store.evidence(one)
    for file in store.folder.rglob("*.cve"):
        file.unlink()
    again = evidence_again(store, one, model)
    assert again is not None
    assert before is not None
    np.testing.assert_allclose(again.contrast.values, before.contrast.values, atol=1e-3)
    assert store.evidence_state(one) == "kept"
    Path(other.recording).unlink()
    with pytest.raises(StoreError, match="gone"):
        evidence_again(store, other, model)
