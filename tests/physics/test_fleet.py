"""The labelled folder that `camvib simulate` writes."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import welch

from camvib.errors import SettingsError
from camvib.recordings.folder import LabelledSet
from camvib.simulation.fleet import LABEL_COLUMNS, OTHER_RIG, FleetPlan, simulate_batch, write_fleet


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fleet(tmp_path_factory.mktemp("fleet"), 20, 7, progress=False)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_it_is_a_labelled_folder(fleet: Path) -> None:
    rows = rows_of(fleet / "labels.csv")
    assert tuple(rows[0]) == LABEL_COLUMNS
    assert len(rows) == 20
    for specimen in {row["group"] for row in rows}:
        labels = sorted(row["label"] for row in rows if row["group"] == specimen)
        assert labels == sorted(["healthy", "crack", "loose_clamp", "impact", "tip_mass"] * 2)


def test_its_recordings_are_read_with_rate_and_unit(fleet: Path) -> None:
    entries = LabelledSet.load(fleet).entries
    assert len(entries) == 20
    recording = entries[3].load()
    assert (recording.sampling_rate_hz, recording.unit, recording.duration_s) == (4096.0, "m/s2", 4.0)
    assert recording.asset == entries[3].group == "beam-7-0000"
    with np.load(fleet / "recordings" / entries[3].file.name) as stored:
        np.testing.assert_array_equal(recording.samples, stored["acceleration"])


def test_evidence_is_visible_where_there_is_a_fault_and_nowhere_else(fleet: Path) -> None:
    shares: dict[str, list[float]] = {}
    for row in rows_of(fleet / "truth.csv"):
        with np.load(fleet / "masks" / Path(row["file"]).name) as stored:
            mask = stored["evidence"]
            assert mask.shape == (len(stored["frequency_hz"]), len(stored["time_s"])) == (128, 128)
        assert np.mean(mask != 0) == pytest.approx(float(row["evidence_share"]), abs=1e-6)
        shares.setdefault(row["label"], []).append(float(row["evidence_share"]))
    assert max(shares.pop("healthy")) == 0
    for label, values in shares.items():
        assert 0.002 < np.median(values) < 0.4, label


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    folders = [
        write_fleet(tmp_path / name, 6, 3, duration_s=0.5, progress=False, workers=w)
        for name, w in (("a", 1), ("b", 2))
    ]
    first, second = ({p.relative_to(f): p.read_bytes() for p in f.rglob("*.*")} for f in folders)
    assert len(first) == 6 * 3 + 2
    assert first == second
    other = write_fleet(tmp_path / "c", 6, 4, duration_s=0.5, progress=False)
    assert (other / "labels.csv").read_bytes() != (folders[0] / "labels.csv").read_bytes()


def test_a_larger_fleet_starts_with_the_smaller_one() -> None:
    small = simulate_batch(FleetPlan(3, 9, recordings_per_specimen=5, duration_s=0.25))
    large = simulate_batch(FleetPlan(6, 9, recordings_per_specimen=5, duration_s=0.25))
    np.testing.assert_array_equal(small.acceleration, large.acceleration[:3])
    assert list(small.labels) == list(large.labels[:3])


def test_specimens_differ_and_recordings_of_one_do_not_repeat() -> None:
    plan = FleetPlan(30, 1)
    first = np.array([plan.spec(i).specimen.beam.natural_frequencies_hz(1)[0] for i in (0, 1, 10, 20)])
    assert first[0] == first[1]
    assert len(set(first)) == 3
    assert first.std() / first.mean() > 0.005
    batch = simulate_batch(FleetPlan(4, 1, duration_s=0.25))
    assert np.abs(np.corrcoef(batch.twin) - np.eye(4)).max() < 0.9


def test_resonances_stand_where_the_beam_has_them() -> None:
    batch = simulate_batch(FleetPlan(4, 2, duration_s=4.0))
    for twin, spec in zip(batch.twin, batch.specs, strict=True):
        frequency, density = welch(twin, 4096.0, nperseg=4096)
        for mode_hz in spec.beam.natural_frequencies_hz(4)[2:]:
            near = np.abs(frequency - mode_hz) < 0.15 * mode_hz
            peak = frequency[near][np.argmax(density[near])]
            assert peak == pytest.approx(mode_hz, rel=0.02)


def test_another_rig_can_be_simulated() -> None:
    batch = simulate_batch(FleetPlan(5, 0, recordings_per_specimen=5, duration_s=0.5, family=OTHER_RIG))
    assert len(set(batch.labels)) == 5
    assert np.isfinite(batch.acceleration).all()


def test_a_folder_with_another_fleet_is_left_alone(tmp_path: Path) -> None:
    write_fleet(tmp_path, 2, 0, duration_s=0.25, twins=False, progress=False)
    with pytest.raises(SettingsError, match="another fleet"):
        write_fleet(tmp_path, 2, 1, duration_s=0.25, twins=False, progress=False)
    assert not (tmp_path / "twins").exists()


@pytest.mark.parametrize("wrong", [{"recordings": 0}, {"seed": -1}, {"duration_s": 0.0}, {"sampling_rate_hz": 10.0}])
def test_an_impossible_fleet_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        FleetPlan(**{"recordings": 1, "seed": 0, **wrong})
