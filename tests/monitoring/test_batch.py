"""One bad recording never stops a batch; what is done stays done; every verdict shows its evidence."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from camvib.diagnosis.verdict import judge
from camvib.errors import CamvibError, ModelError, StoreError
from camvib.learning.train import train
from camvib.model.calibration import Calibration
from camvib.model.folder import load_model
from camvib.model.model import Model
from camvib.monitoring.batch import Options, diagnose
from camvib.monitoring.discovery import Discovery
from camvib.monitoring.ledger import Store
from camvib.readers import read
from camvib.records import Declared, Recording, as_json
from camvib.settings import Settings

INLINE = Options(workers=0)
RATE = 512.0


def wave(label: str, seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    samples = np.sin(2 * np.pi * 40 * t + rng.uniform(0, 6)) + 0.3 * rng.standard_normal(len(t))
    return (samples + (label != "healthy") * np.sin(2 * np.pi * 120 * t)).astype(np.float32)


def write(path: Path, samples: np.ndarray, **changes: object) -> Path:
    np.savez(path, **{"a": samples, "sampling_rate_hz": RATE, "unit": "m/s2", **changes})
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("set")
    rows = []
    for group in range(5):
        for number, label in enumerate(("healthy", "crack") * 3):
            name = f"g{group}_{number}.npz"
            write(folder / name, wave(label, seed=100 * group + number))
            rows.append({"file": name, "label": label, "group": f"machine-{group}"})
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    (folder / "rig.toml").write_text('[rig]\nname = "bench"\ntolerance = 0.1\n[modes]\n"gear mesh" = 120.0\n')
    settings = Settings.model_validate(
        {"training": {"epochs": 20, "batch_size": 8}, "model": {"name": "gap_cnn", "channels": (8, 16, 16)}}
    )
    return load_model(train(folder, folder.parent / "run", settings, progress=False).folder)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.db")


def recording(samples: np.ndarray, **changes: object) -> Recording:
    plain = Recording(samples, RATE, "m/s2", "a", "x.npz", "0" * 64, asset="pump")
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_a_fault_is_told_from_healthy_with_its_log_odds(model: Model) -> None:
    fault, evidence = judge(recording(wave("crack", seed=9)), model)
    assert (fault.verdict, fault.label, fault.reference) == ("fault", "crack", "healthy")
    assert evidence is not None
    odds = np.log(fault.probabilities["crack"] / fault.probabilities["healthy"])
    assert evidence.contrast.logit == pytest.approx(odds, abs=1e-3)
    well, evidence = judge(recording(wave("healthy", seed=9)), model)
    assert well.verdict == "healthy"
    assert evidence is not None
    assert evidence.contrast.label == "crack"
    assert evidence.contrast.logit < 0


def test_a_long_recording_is_judged_whole_and_its_map_still_adds_up(model: Model) -> None:
    long = np.concatenate([wave("crack", seed=s) for s in range(40)])
    verdict, evidence = judge(recording(long, start_s=100.0), model)
    assert evidence is not None
    assert verdict.verdict == "fault"
    odds = np.log(verdict.probabilities["crack"] / verdict.probabilities["healthy"])
    assert evidence.contrast.logit == pytest.approx(odds, abs=1e-3)
    assert 100 < evidence.contrast.time_s[0] < evidence.contrast.time_s[-1] < 180
    assert evidence.spectrogram.values_db.shape[1] <= 512
    assert all(100 <= region.start_s < region.end_s <= 180.001 for region in verdict.regions)


def test_regions_carry_the_rigs_names(model: Model) -> None:
    assert model.modes == (("gear mesh", 120.0),)
    verdict, _ = judge(recording(wave("crack", seed=3)), model)
    covering = [region for region in verdict.regions if region.low_hz <= 120 <= region.high_hz]
    assert covering
    assert all(region.name == "gear mesh, 120 Hz" for region in covering)


def test_what_is_like_nothing_known_is_unknown(model: Model) -> None:
    known = model.calibration
    strict = replace(model, calibration=Calibration(known.temperature, known.means, known.precision, 1e-6))
    verdict, evidence = judge(recording(wave("crack", seed=3)), strict)
    assert verdict.verdict == "unknown"
    assert "distance" in verdict.reason
    assert evidence is not None


@pytest.mark.parametrize(
    ("changes", "samples", "words"),
    [
        ({"sampling_rate_hz": 1024.0}, wave("healthy"), "1024"),
        ({"unit": "V"}, wave("healthy"), "unit V"),
        ({}, wave("healthy", seconds=0.5), "shorter"),
        ({}, np.zeros(1024, np.float32), ""),
        ({}, np.where(np.arange(1024) % 7 == 0, np.nan, wave("healthy")), ""),
    ],
)
def test_what_cannot_be_judged_is_refused_with_a_remedy(
    model: Model, changes: dict[str, object], samples: np.ndarray, words: str
) -> None:
    verdict, evidence = judge(recording(samples, **changes), model)
    assert (verdict.verdict, evidence) == ("refused", None)
    assert words in verdict.reason
    assert verdict.remedy
    assert verdict.probabilities == {}


def test_resampling_is_done_when_asked_and_written_down(model: Model) -> None:
    fine = np.repeat(wave("crack", seed=4), 2)
    verdict, _ = judge(recording(fine, sampling_rate_hz=1024.0), model, allow_resample=True)
    assert verdict.verdict in ("fault", "unknown")
    assert any("512" in step for step in verdict.warnings)


BAD = {
    "empty.csv": b"",
    "text.csv": b"time,acceleration\nhello,world\n",
    "one.csv": b"time_s,a (m/s2)\n0.0,1.0\n",
    "cut.npz": b"PK\x03\x04 this was a file once",
    "strange.xyz": bytes(range(256)),
}


def test_a_batch_refuses_the_bad_and_judges_the_rest(model: Model, store: Store, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name, content in BAD.items():
        (inbox / name).write_bytes(content)
    write(inbox / "nan.npz", np.full(1024, np.nan, np.float32))
    write(inbox / "good.npz", wave("crack", seed=2))
    write(inbox / "other_rate.npz", wave("crack", seed=2), sampling_rate_hz=500.0)
    batch = diagnose([inbox, tmp_path / "missing.wav"], model, store, INLINE, progress=False)
    verdicts = {Path(d.recording).name: d for d in batch.diagnoses}
    assert verdicts["good.npz"].verdict == "fault"
    refused = {name for name, d in verdicts.items() if d.verdict == "refused"}
    assert refused == {*BAD, "nan.npz", "other_rate.npz"}
    assert [Path(source).name for source, _ in batch.missing] == ["missing.wav"]
    assert all(verdicts[name].reason and verdicts[name].remedy for name in refused)
    assert len(store.all()) == len(batch.diagnoses) == batch.new


def test_a_second_run_finds_nothing_new(model: Model, store: Store, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number in range(3):
        write(inbox / f"r{number}.npz", wave("healthy", seed=number))
    (inbox / "bad.csv").write_bytes(b"")
    first = diagnose([inbox], model, store, INLINE, progress=False)
    again = diagnose([inbox], model, store, INLINE, progress=False)
    assert (first.new, again.new) == (4, 0)
    assert again.diagnoses == first.diagnoses
    write(inbox / "r3.npz", wave("healthy", seed=3))
    assert diagnose([inbox], model, store, INLINE, progress=False).new == 1


def test_a_refused_file_is_tried_again_once_its_rate_is_declared(model: Model, store: Store, tmp_path: Path) -> None:
    np.save(tmp_path / "bare.npy", wave("crack", seed=5))
    first = diagnose([tmp_path / "bare.npy"], model, store, INLINE, progress=False)
    assert first.diagnoses[0].verdict == "refused"
    declared = diagnose(
        [tmp_path / "bare.npy"],
        model,
        store,
        Options(Discovery(Declared(unit="m/s2", sampling_rate_hz=RATE)), workers=0),
        progress=False,
    )
    assert declared.diagnoses[0].verdict == "fault"


def test_a_lone_bad_folder_is_an_error(model: Model, store: Store, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(CamvibError, match="nothing"):
        diagnose([tmp_path / "nothing"], model, store, INLINE, progress=False)


def test_the_store_gives_back_what_it_was_given(model: Model, store: Store) -> None:
    diagnosis, evidence = judge(recording(wave("crack", seed=6)), model)
    assert evidence is not None
    store.save(diagnosis, evidence)
    store.save(replace(diagnosis, label="another"), evidence)
    kept = store.all()
    assert kept == [diagnosis]
    back = store.evidence(diagnosis)
    assert back is not None
    np.testing.assert_allclose(
        back.contrast.values, evidence.contrast.values, atol=np.ptp(evidence.contrast.values) / 60000
    )
    assert back.contrast.logit == pytest.approx(evidence.contrast.logit, abs=1e-5)
    np.testing.assert_allclose(back.spectrogram.values_db, evidence.spectrogram.values_db, atol=0.2)


def test_a_store_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_bytes(b"this is not a database, it is a text" * 100)
    with pytest.raises(StoreError, match=r"notes\.db"):
        Store(tmp_path / "notes.db")


def test_the_json_is_the_contract(model: Model) -> None:
    verdict, _ = judge(recording(wave("crack", seed=6)), model)
    found = json.loads(json.dumps(as_json(verdict)))
    keys = {"recording", "asset", "verdict", "label", "probabilities", "reason", "remedy", "regions"}
    assert keys <= set(found)
    assert set(found["regions"][0]) == {"start_s", "end_s", "low_hz", "high_hz", "share", "sign", "name"}


def test_a_model_folder_that_was_changed_is_refused(model: Model, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "model")
    assert load_model(folder).digest == model.digest
    text = (folder / "model.json").read_text()
    (folder / "model.json").write_text(text.replace('"crack"', '"crack!"'))
    with pytest.raises(ModelError, match="changed"):
        load_model(folder)
    (folder / "weights.npz").write_bytes(b"PK")
    with pytest.raises(ModelError, match="damaged"):
        load_model(folder)
    with pytest.raises(ModelError, match="no model"):
        load_model(tmp_path / "elsewhere")


def test_the_reader_and_the_judge_agree_on_the_id(model: Model, store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", wave("healthy"))
    batch = diagnose([path], model, store, INLINE, progress=False)
    assert batch.diagnoses[0].recording_id == next(read(path)).id
