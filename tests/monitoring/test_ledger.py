"""The ledger on SQLite and on PostgreSQL: nothing twice, nothing lost, history kept, evidence checked."""

import math
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from camvib.errors import StoreError
from camvib.images.baseline import Baseline
from camvib.monitoring.database import Database
from camvib.monitoring.kept_baselines import KeptBaseline
from camvib.monitoring.ledger import Store
from camvib.monitoring.outcomes import Outcome
from camvib.monitoring.tables import Table
from camvib.records import ActivationMap, Answer, ChangeMap, Diagnosis, Evidence, Finding, Region, Spectrogram


def verdict(recording_id: str = "a" * 20, **changes: object) -> Diagnosis:
    plain = Diagnosis(
        recording_id, f"/in/{recording_id}.wav", "a", "pump", "fault", "crack", {"healthy": 0.1, "crack": 0.9},
        reason="r", regions=(Region(0, 1, 10, 20, 0.5, 1, "1st mode"),), reference="healthy", duration_s=1.0,
        sampling_rate_hz=512.0, unit="m/s2", model="m" * 12, settings_digest="s",
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def pictures(seed: int = 0) -> Evidence:
    rng = np.random.default_rng(seed)
    cells = rng.normal(size=(16, 24))
    hz, seconds = np.linspace(5, 245, 16), np.linspace(0, 4, 24)
    return Evidence(
        Spectrogram(20 * cells.astype(np.float32) - 60, hz, seconds, "m/s2"),
        ActivationMap(cells.astype(np.float32), hz, seconds, "crack", "healthy", 0.3),
        -np.abs(rng.normal(size=80)).astype(np.float32),
        np.abs(rng.normal(size=80)).astype(np.float32),
        np.arange(100) * 2.5,
        rng.normal(size=100).astype(np.float32),
        ChangeMap(np.tanh(cells).astype(np.float32), hz, seconds),
    )


def outcome(diagnosis: Diagnosis, at: str = "", evidence: Evidence | None = None) -> Outcome:
    return Outcome(diagnosis, evidence, "c" * 64, at)


def test_what_is_kept_comes_back_and_is_kept_once(store: Store) -> None:
    diagnosis, evidence = verdict(findings=(Finding("gap", False, "m", "r"),)), pictures()
    store.save(diagnosis, evidence)
    store.save(replace(diagnosis, label="another"), pictures(1))
    kept = store.all()
    assert [replace(one, findings=()) for one in kept] == [replace(diagnosis, findings=())]
    assert math.isnan(kept[0].findings[0].value)
    assert store.find([diagnosis.recording_id, "absent"], diagnosis.model, "s") == {diagnosis.recording_id: kept[0]}
    back = store.evidence(diagnosis)
    assert back is not None
    assert back.contrast.logit == pytest.approx(evidence.contrast.logit, abs=1e-6)
    assert len(list(store.folder.rglob("*.cve"))) == 1
    assert [point.has_evidence for point in store.points("pump")] == [True]


def test_evidence_is_packed_to_half_a_step_of_eight_bits(store: Store) -> None:
    evidence = pictures()
    store.save(verdict(), evidence)
    back = store.evidence(verdict())
    assert back is not None
    assert back.change is not None
    assert evidence.change is not None
    for one, other in (
        (back.spectrogram.values_db, evidence.spectrogram.values_db),
        (back.contrast.values, evidence.contrast.values),
        (back.change.values, evidence.change.values),
        (back.spectrum_db, evidence.spectrum_db),
        (back.waveform_low, evidence.waveform_low),
    ):
        assert np.abs(one - other).max() <= np.ptp(other) / 255
    for one, other in (
        (back.spectrogram.frequency_hz, evidence.spectrogram.frequency_hz),
        (back.contrast.time_s, evidence.contrast.time_s),
        (back.spectrum_hz, evidence.spectrum_hz),
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)
    assert (back.contrast.label, back.contrast.reference, back.spectrogram.unit) == ("crack", "healthy", "m/s2")


def test_the_newest_verdict_counts_and_the_older_are_history(store: Store) -> None:
    store.save(verdict(verdict="refused", label="", probabilities={}))
    store.save(verdict(model="n" * 12), pictures())
    assert [one.model for one in store.all()] == ["n" * 12]
    assert [one.verdict for one in store.history("a" * 20)] == ["refused", "fault"]
    store.keep([Outcome(verdict(model="o" * 12))], current=False)
    assert [one.model for one in store.all()] == ["n" * 12]
    store.save(verdict(model="o" * 12))  # what stood beside is now the one that counts
    assert [one.model for one in store.all()] == ["o" * 12]
    assert len(store.history("a" * 20)) == 3


def test_a_file_that_could_not_be_read_and_now_can_is_no_longer_refused(store: Store) -> None:
    store.save(verdict("b" * 20, recording="/in/x.wav", channel="", verdict="refused", reason="no unit"))
    store.save(verdict("d" * 20, recording="/in/y.wav", channel="", verdict="refused", reason="no unit"))
    store.save(verdict(recording="/in/x.wav"))
    assert [one.recording for one in store.all()] == ["/in/y.wav", "/in/x.wav"]


def test_names_as_they_come_are_kept_on_both(store: Store) -> None:
    long = "é" * 600
    strange = "bad\udcff\x00name"
    store.save(verdict(asset=long, label="l" * 700, recording=strange, reason="\ud800"))
    (kept,) = store.all()
    assert kept.asset == long
    assert kept.recording == "bad\\xff\N{REPLACEMENT CHARACTER}name"
    kept.reason.encode()
    assert store.assets() == [long]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_refused_before_it_is_written(store: Store, bad: float) -> None:
    with pytest.raises(StoreError, match="no finite number"):
        store.save(verdict(probabilities={"crack": bad}))
    with pytest.raises(StoreError, match="no finite number"):
        store.keep([replace(Outcome(verdict()), change_db=bad)])
    assert store.all() == []


def test_damaged_swapped_missing_and_pruned_evidence_is_noticed_and_made_again(store: Store) -> None:
    first, second = verdict(), verdict("b" * 20)
    store.save(first, pictures(0))
    store.save(second, pictures(1))
    one, other = sorted(store.folder.rglob("*.cve"))
    assert store.evidence_state(first) == "kept"
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    assert (store.evidence(first), store.evidence_state(first)) == (None, "damaged")
    one.write_bytes(content[:100])
    assert (store.evidence(first), store.evidence_state(first)) == (None, "damaged")
    one.unlink()
    assert (store.evidence(first), store.evidence_state(first)) == (None, "missing")
    store.renew_evidence(first, pictures(0))
    assert store.evidence_state(first) == "kept"
    files, freed = store.prune(timedelta(seconds=-1))
    assert (files, freed > 0) == (2, True)
    assert store.evidence_state(first) == "pruned"
    assert store.all() == [first, second]
    assert store.evidence_state(verdict("z" * 20)) == "none"


def test_prune_keeps_what_is_young(store: Store) -> None:
    store.save(verdict(), pictures())
    assert store.prune(timedelta(days=90)) == (0, 0)
    assert store.evidence_state(verdict()) == "kept"


def test_baselines_are_replaced_and_kept_as_history(store: Store) -> None:
    for level in (0.0, 1.0):
        baseline = Baseline(np.full(4, level, np.float32), np.ones(4, np.float32), 3)
        store.save_baseline(KeptBaseline("pump", "image", baseline, ("a", "b", "c")))
    kept = store.baseline("pump", "image")
    assert kept is not None
    assert kept.baseline.mean_db.tolist() == [1.0] * 4
    assert [bool(one.replaced_at) for one in store.baselines("pump")] == [False, True]
    assert store.baseline_digests("image") == {"pump": kept.baseline.digest}
    assert store.baseline("pump", "other") is None


def test_histories_tell_assets_in_the_order_of_time(store: Store) -> None:
    times = ["2026-01-03T00:00:00.000+00:00", "2026-01-01T00:00:00.000+00:00", "2026-01-02T00:00:00.000+00:00"]
    store.keep([outcome(verdict(f"{k:020d}"), at) for k, at in enumerate(times)])
    store.keep([outcome(verdict("f" * 20, asset="fan"), times[0])])
    histories = {history.asset: history for history in store.histories()}
    assert list(histories) == ["fan", "pump"]
    assert [point.at for point in histories["pump"].points] == sorted(times)
    (only,) = store.histories(["pump"], since="2026-01-02", until="2026-01-03")
    assert [point.recording_id for point in only.points] == [f"{2:020d}"]
    assert only.points[0].probability == 0.9
    assert store.diagnosis(only.points[0].diagnosis_id).recording_id == only.points[0].recording_id


def hours(count: int, chance: float, first: int = 0, asset: str = "pump") -> list[Outcome]:
    return [
        outcome(
            verdict(f"{asset}{first + k:016d}", asset=asset, probabilities={"healthy": 1 - chance, "crack": chance}),
            f"2026-01-01T{first + k:02d}:00:00.000+00:00",
        )
        for k in range(count)
    ]


def test_a_case_opens_once_is_told_once_and_lives_through_what_people_do(store: Store) -> None:
    store.keep(hours(1, 0.9))
    assert store.update_cases() == []
    store.keep(hours(2, 0.9, first=1))
    (opened,) = store.update_cases()
    assert (opened.asset, opened.family, opened.state, opened.hits) == ("pump", "crack", "open", 2)
    assert store.update_cases() == []
    ((case, event),) = store.take_alerts()
    assert (case.id, event.kind) == (opened.id, "opened")
    assert store.take_alerts() == []
    (case,) = store.cases()
    assert case.hits == 3
    assert case.severity == pytest.approx(0.9)
    assert store.act(case.id, "acknowledged", "ann", "on my list").state == "acknowledged"
    with pytest.raises(StoreError, match="cannot be acknowledged"):
        store.act(case.id, "acknowledged", "bob")
    store.keep(hours(6, 0.05, first=3))
    assert store.update_cases() == []
    assert store.cases() == []
    (ended,) = store.cases(closed=True)
    assert [event.kind for event in ended.events] == ["opened", "acknowledged", "cleared"]
    store.keep(hours(3, 0.95, first=12))
    (again,) = store.update_cases()
    assert again.id != ended.id
    with pytest.raises(StoreError, match="another case"):
        store.act(ended.id, "reopened", "ann")
    with pytest.raises(StoreError, match="no case"):
        store.act(999, "closed", "ann")


def test_late_recordings_take_their_place_in_time(store: Store) -> None:
    store.keep(hours(1, 0.9, first=10))
    store.update_cases()
    store.keep([*hours(1, 0.1, first=9), *hours(1, 0.9, first=8)])
    (opened,) = store.update_cases()
    assert opened.since == "2026-01-01T08:00:00.000+00:00"


def test_answers_are_added_once_and_never_changed(store: Store) -> None:
    answer = Answer("k1", "corrected", "ann", "2026-01-01T10:00:00+01:00", asset="pump", label="loose_clamp")
    assert store.add_answers([answer, replace(answer, key="k2", region={"start_s": 0.0})]) == 2
    assert store.add_answers([replace(answer, label="crack")]) == 0
    kept = store.answers(asset="pump")
    assert [one.label for one in kept] == ["loose_clamp", "loose_clamp"]
    assert kept[0].at == "2026-01-01T09:00:00.000+00:00"
    assert kept[1].region == {"start_s": 0.0}
    assert store.answers(asset="fan") == []


def test_the_migrations_make_the_tables_that_the_code_knows(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "camvib_schema", "compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


OPEN = """
import sys
from pathlib import Path
from camvib.monitoring.ledger import Store
print("ready", flush=True)
sys.stdin.readline()
Store(sys.argv[1], Path(sys.argv[2])).note_model("m", "", {})
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_any_number_may_open_a_fresh_store_together(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = str(tmp_path / "s.db") if kind == "sqlite" else request.getfixturevalue("fresh_database")
    command = [sys.executable, "-c", OPEN, url, str(tmp_path / "e")]
    together = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    for process in together:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in together:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate()[1] for process in together]
    assert [process.returncode for process in together] == [0] * 6, told
    assert Store(url, tmp_path / "e").all() == []


def test_a_store_that_is_newer_foreign_or_of_no_kind_is_refused_in_words(tmp_path: Path) -> None:
    Store(tmp_path / "new.db")
    with sqlite3.connect(tmp_path / "new.db") as connection:
        connection.execute("UPDATE camvib_schema SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer camvib"):
        Store(tmp_path / "new.db")
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE recipes (id INTEGER)")
    with pytest.raises(StoreError, match="another program"):
        Store(tmp_path / "other.db")
    with pytest.raises(StoreError, match="SQLite or PostgreSQL"):
        Store("mysql://somewhere/x", tmp_path)
    with pytest.raises(StoreError, match="no database URL"):
        Store("postgresql:://x", tmp_path)


def test_a_server_that_is_not_there_is_an_error_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camvib.monitoring.database.PATIENCE_S", 0.2)
    with pytest.raises(StoreError) as found:
        Database(f"postgresql://ann:secret@/x?host={tmp_path}", tmp_path)
    assert "secret" not in str(found.value)
    assert not (tmp_path / "postgresql:").exists()
