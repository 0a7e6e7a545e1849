"""Answers → a labelled folder: labels by answer, groups by machine, recordings as they were judged."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from invented_plant import NOW, RATE_HZ, history, outcomes, wave

from camvib.errors import CamvibError
from camvib.monitoring.ledger import Store
from camvib.readers import read
from camvib.recordings.folder import LabelledSet
from camvib.review.answers import take
from camvib.review.labels import write_labels


@pytest.fixture
def filled(tmp_path) -> Store:
    """A ledger whose last six recordings of two machines lie on the disk."""
    store = Store(tmp_path / "s.db")
    for asset, kind in (("P-113", "loose_clamp"), ("G-204", "impact")):
        for n, one in enumerate(outcomes(history(asset, kind))[-6:]):
            file = tmp_path / f"{asset}-{n}.npz"
            np.savez(file, acceleration=wave(kind, n) + n * 1e-3, sampling_rate_hz=RATE_HZ)
            (found,) = read(file, unit="m/s2")
            diagnosis = replace(
                one.diagnosis,
                recording=str(file),
                recording_id=found.id,
                channel=found.channel,
                duration_s=found.duration_s,
            )
            store.keep([replace(one, diagnosis=diagnosis)])
    store.update_cases()
    return store


def say(store: Store, asset: str, kind: str, key: str, **more) -> None:
    case = next(c for c in store.cases() if c.asset == asset)
    at = NOW.isoformat()
    item = {"key": key, "kind": kind, "author": "MR", "at": at, "asset": asset, "case_id": case.id, **more}
    assert take(store, [item]).refused == ()


def test_confirmed_corrected_and_false_alarms_become_labels(filled, tmp_path):
    say(filled, "P-113", "corrected", "a", label="crack")
    say(filled, "G-204", "nothing_found", "b")
    done = write_labels(filled, tmp_path / "out")
    assert done.labels == {"crack": 5, "healthy": 5}  # one of six was judged otherwise
    assert done.missing == ()
    rows = list(csv.DictReader((tmp_path / "out" / "labels.csv").open()))
    assert {(row["group"], row["label"]) for row in rows} == {("P-113", "crack"), ("G-204", "healthy")}


def test_the_folder_is_one_that_camvib_trains_on(filled, tmp_path):
    say(filled, "P-113", "confirmed", "a")
    say(filled, "G-204", "nothing_found", "b")
    write_labels(filled, tmp_path / "out")
    labelled = LabelledSet.load(tmp_path / "out")
    assert set(zip(labelled.labels, labelled.groups, strict=True)) == {("loose_clamp", "P-113"), ("healthy", "G-204")}
    judged = {d.recording_id for d in filled.all()}
    for _, recording in labelled.recordings():
        assert recording.unit == "m/s2"
        assert recording.id in judged


def test_the_newest_answer_counts_and_the_conflict_is_named(filled, tmp_path):
    say(filled, "P-113", "confirmed", "a")
    case = next(c for c in filled.cases() if c.asset == "P-113")
    later = {"key": "b", "kind": "corrected", "author": "AB", "at": "2099-01-01T00:00:00Z", "asset": "P-113",
             "case_id": case.id, "label": "tip_mass"}  # fmt: skip
    take(filled, [later])
    done = write_labels(filled, tmp_path / "out")
    assert set(done.labels) == {"tip_mass"}
    assert len(done.conflicts) == 1


def test_a_recording_that_is_gone_is_named_and_the_rest_is_written(filled, tmp_path):
    say(filled, "P-113", "confirmed", "a")
    (tmp_path / "P-113-5.npz").unlink()
    done = write_labels(filled, tmp_path / "out")
    assert done.rows == 4
    assert "no longer there" in done.missing[0][1]


def test_a_folder_that_holds_something_is_left_alone(filled, tmp_path):
    with pytest.raises(CamvibError, match="holds something already"):
        write_labels(filled, tmp_path)
