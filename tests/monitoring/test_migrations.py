"""A store that camvib 0.1 wrote opens, with the same verdicts, baselines and evidence."""

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from camvib.monitoring.ledger import Store

SCHEMA_1 = Path(__file__).parent / "schema1"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of the old store; five files: one bare of its unit, refused and judged later; one empty."""
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.executescript((SCHEMA_1 / "store.sql").read_text())
    shutil.copytree(SCHEMA_1 / "evidence", tmp_path / "evidence")
    return tmp_path / "store.db"


def test_an_old_store_gives_the_same_verdicts_baselines_and_evidence(old: Path) -> None:
    with sqlite3.connect(old) as connection:
        records = [json.loads(row[0]) for row in connection.execute("SELECT record FROM diagnoses ORDER BY id")]
    store = Store(old)
    kept = {one.recording_id: one for one in store.all()}
    # The one that was refused for want of a unit was judged later: it is history now.
    assert [record["recording_id"] for record in records if record["recording_id"] not in kept] == [
        records[0]["recording_id"]
    ]
    for record in records:
        (one,) = store.history(record["recording_id"])
        assert (one.verdict, one.label, one.reason, one.asset) == tuple(
            record[name] for name in ("verdict", "label", "reason", "asset")
        )
        assert one.probabilities == record["probabilities"]
        assert [vars(region) for region in one.regions] == record["regions"]
    states = [store.evidence_state(kept[record["recording_id"]]) for record in records[1:]]
    assert states.count("kept") == 1  # only one evidence file came with the fixture
    assert states == ["none", *("kept" if r["recording_id"].startswith("0c") else "missing" for r in records[2:])]
    shown = next(one for one in kept.values() if one.recording_id.startswith("0c"))
    evidence = store.evidence(shown)
    assert evidence is not None
    odds = np.log(shown.probabilities[evidence.contrast.label] / shown.probabilities["healthy"])
    assert evidence.contrast.logit == pytest.approx(odds, abs=1e-3)
    baseline = store.baseline("pump", "image0")
    assert baseline is not None
    assert baseline.baseline.mean_db.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert baseline.learned_at.startswith("2026-11-25")
    assert store.update_cases() == []  # what was known before raises no alarm now
    with sqlite3.connect(old) as connection:
        assert not [row for row in connection.execute("SELECT name FROM sqlite_master") if "old_" in row[0]]


def test_a_store_from_before_baselines_opens_too(old: Path) -> None:
    with sqlite3.connect(old) as connection:
        connection.execute("DROP TABLE baselines")
    assert Store(old).baseline("pump", "image0") is None
    assert len(Store(old).all()) == 5


def test_a_migration_that_is_killed_has_not_begun(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(op, "drop_table", killed)
    with pytest.raises(KeyboardInterrupt):
        Store(old)
    monkeypatch.undo()
    with sqlite3.connect(old) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"schema_version", "diagnoses", "baselines"}
    assert len(Store(old).all()) == 5


def test_an_old_schema_on_postgresql_is_taken_over_as_well(fresh_database: str, tmp_path: Path, old: Path) -> None:
    import psycopg

    with sqlite3.connect(old) as connection:
        diagnoses = connection.execute("SELECT * FROM diagnoses").fetchall()
    with psycopg.connect(fresh_database, autocommit=True) as server:
        server.execute("CREATE TABLE schema_version (version SERIAL PRIMARY KEY)")
        server.execute("INSERT INTO schema_version VALUES (1)")
        server.execute(
            "CREATE TABLE diagnoses (id SERIAL PRIMARY KEY, recording_id VARCHAR(64), model VARCHAR(64),"
            " settings_digest VARCHAR(64), asset VARCHAR(255), verdict VARCHAR(16), label VARCHAR(255), record JSON,"
            " UNIQUE (recording_id, model, settings_digest))"
        )
        server.execute("CREATE INDEX ix_diagnoses_asset ON diagnoses (asset)")
        for row in diagnoses:
            server.execute(
                "INSERT INTO diagnoses VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [*row[:-1], row[-1].replace("NaN", "null")],
            )
    store = Store(fresh_database, tmp_path / "evidence")
    assert {one.recording_id for one in store.all()} == {one.recording_id for one in Store(old).all()}
    from dataclasses import replace

    store.save(replace(store.all()[0], recording_id="new"))  # numbered after those that were copied
    assert store.all()[-1].recording_id == "new"
