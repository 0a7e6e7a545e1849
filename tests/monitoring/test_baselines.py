"""A model that compares with the asset's healthy baseline: learned, kept, asked for, renewed."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from camvib.cli import app
from camvib.diagnosis.verdict import judge
from camvib.errors import LabelsError, ModelError, SettingsError, SignalError
from camvib.images.baseline import Baseline
from camvib.model.calibration import Calibration
from camvib.model.diagnoser import Diagnoser
from camvib.model.folder import _sha256, load_model
from camvib.model.model import Model
from camvib.monitoring.baselines import learn_baselines
from camvib.monitoring.batch import Options, diagnose
from camvib.monitoring.ledger import Store
from camvib.networks.change_cnn import ChangeNetwork
from camvib.readers import read
from camvib.recordings.quality import InputSpec
from camvib.settings import Settings

INLINE = Options(workers=0)
RATE, SECONDS = 512.0, 2.0
SETTINGS = Settings.model_validate(
    {
        "image": {"window_s": SECONDS, "rows": 32, "columns": 32},
        "model": {"name": "change_cnn", "widths": (8, 12, 16)},
    }
)


def wave(seed: int, seconds: float = SECONDS) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    return (np.sin(2 * np.pi * 40 * t + rng.uniform(0, 6)) + 0.3 * rng.standard_normal(len(t))).astype(np.float32)


def write(path: Path, samples: np.ndarray, **changes: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{"a": samples, "sampling_rate_hz": RATE, "unit": "m/s2", **changes})
    return path


def plant(folder: Path, healthy: dict[str, int], **columns: object) -> Path:
    """A labelled folder: so many healthy recordings of each asset, and one faulty one each."""
    rows = []
    for number, (asset, count) in enumerate(healthy.items()):
        for k, label in enumerate(["healthy"] * count + ["crack"]):
            write(folder / f"{asset}_{k}.npz", wave(100 * number + k))
            rows.append({"file": f"{asset}_{k}.npz", "label": label, "group": "site", "asset": asset})
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def model() -> Model:
    """Random weights that see some change: what it says is of no account here, that it adds up is."""
    torch.manual_seed(3)
    diagnoser = Diagnoser(3, SETTINGS, RATE)
    network = diagnoser.network
    assert isinstance(network, ChangeNetwork)
    with torch.no_grad():
        network.change.twin.out.weight.mul_(40)
        network.change.classes.bias.copy_(torch.tensor([1.0, -0.5, 0.25]))
    known = Calibration(1.3, np.zeros((1, 48), np.float32), np.eye(48, dtype=np.float32), 1e6)
    spec = InputSpec(RATE, "m/s2", SECONDS, "a")
    return Model(diagnoser.eval(), ("healthy", "crack", "loose_clamp"), "healthy", spec, SETTINGS, known)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.db")


def test_a_folder_keeps_the_model_and_its_answers(model: Model, tmp_path: Path) -> None:
    again = load_model(model.save(tmp_path / "model"))
    assert again.digest == model.digest
    assert again.needs_baseline
    images = np.stack([wave(seed) for seed in range(4)])
    baseline = Baseline.of(model.images(images))
    one, other = model.predict(images, baseline), again.predict(images, baseline)
    assert np.array_equal(one.maps, other.maps)
    assert one.change is not None
    assert one.change.shape == (4, 32, 32)
    assert np.abs(one.change).max() <= 1
    assert (one.change < 0).any() or (one.change > 0).any()
    # One baseline for all, or the same one each.
    each = Baseline(*(np.tile(v, (4, 1)) for v in (baseline.mean_db, baseline.spread_db)), baseline.recordings)
    assert np.array_equal(model.predict(images, each).logits, one.logits)


def test_a_missing_or_foreign_baseline_is_refused_in_words(model: Model) -> None:
    with pytest.raises(SignalError, match="none is given"):
        model.predict(wave(0)[None])
    with pytest.raises(SignalError, match="32 rows"):
        model.predict(wave(0)[None], Baseline(np.zeros(16, np.float32), np.ones(16, np.float32), 3))


def test_without_a_baseline_refused_with_it_judged_renewed_judged_anew(
    model: Model, store: Store, tmp_path: Path
) -> None:
    folder = plant(tmp_path / "plant", {"pump 1": 4, "fan": 4})
    paths = sorted(folder.glob("pump*.npz"))
    first = diagnose(paths, model, store, INLINE, progress=False)
    assert {d.verdict for d in first.diagnoses} == {"refused"}
    assert "no healthy baseline of asset pump 1" in first.diagnoses[0].reason
    assert "camvib baseline" in first.diagnoses[0].remedy
    assert "--asset 'pump 1'" in first.diagnoses[0].remedy
    assert diagnose(paths, model, store, INLINE, progress=False).new == 0

    learned = learn_baselines([folder], model, store, asset="pump 1", progress=False)
    assert [(one.asset, len(one.recording_ids), one.error) for one in learned] == [("pump 1", 4, "")]
    second = diagnose([folder], model, store, INLINE, progress=False)
    verdicts = {d.asset: d.verdict for d in second.diagnoses}
    assert verdicts["fan"] == "refused"
    assert verdicts["pump 1"] in ("healthy", "fault")
    assert diagnose([folder], model, store, INLINE, progress=False).new == 0

    learn_baselines([write(tmp_path / f"new{k}.npz", wave(50 + k)) for k in range(3)], model, store, asset="pump 1")
    third = diagnose(paths, model, store, INLINE, progress=False)
    assert third.new == len(paths)
    assert third.diagnoses[0].settings_digest != second.diagnoses[0].settings_digest


def test_verdict_map_and_change_of_a_long_recording_fit_together(model: Model, tmp_path: Path) -> None:
    (recording,) = read(write(tmp_path / "long.npz", wave(7, 3.2 * SECONDS)))
    baseline = Baseline.of(model.images(np.stack([wave(seed) for seed in range(3)])))
    diagnosis, evidence = judge(recording, model, baseline)
    assert evidence is not None
    odds = np.log(diagnosis.probabilities[evidence.contrast.label] / diagnosis.probabilities["healthy"])
    assert evidence.contrast.logit == pytest.approx(odds, abs=1e-3)
    assert evidence.change is not None
    assert evidence.change.values.shape == evidence.spectrogram.values_db.shape == (32, 3 * 32)
    assert evidence.change.time_s == pytest.approx(evidence.spectrogram.time_s)
    assert evidence.change.frequency_hz == pytest.approx(evidence.spectrogram.frequency_hz)
    assert evidence.contrast.values.shape == (32, 3 * 32)


def test_what_is_unfit_is_left_out_and_too_few_fail_alone(model: Model, store: Store, tmp_path: Path) -> None:
    folder = plant(tmp_path / "plant", {"pump": 4, "fan": 3})
    write(folder / "pump_0.npz", np.zeros(1024, np.float32))
    write(folder / "fan_1.npz", wave(9)[:100])
    found = {one.asset: one for one in learn_baselines([folder], model, store, progress=False)}
    assert len(found["pump"].recording_ids) == 3
    assert [Path(item["file"]).name for item in found["pump"].left_out] == ["pump_0.npz"]
    assert "2 healthy recordings are fit" in found["fan"].error
    assert store.baseline("fan", model.image_digest) is None
    kept = store.baseline("pump", model.image_digest)
    assert kept is not None
    assert kept.recording_ids == found["pump"].recording_ids
    expected = Baseline.of(model.images(np.stack([wave(k) for k in (1, 2, 3)])))
    assert kept.baseline.mean_db == pytest.approx(expected.mean_db, abs=1e-4)
    assert kept.baseline.digest == expected.digest


def test_where_no_asset_is_named_the_group_is_the_asset(model: Model, store: Store, tmp_path: Path) -> None:
    folder = plant(tmp_path / "plant", {"pump": 3, "fan": 3})
    table = pd.read_csv(folder / "labels.csv")
    table.assign(group=table.asset).drop(columns="asset").to_csv(folder / "labels.csv", index=False)
    learned = learn_baselines([folder], model, store, progress=False)
    assert sorted(one.asset for one in learned) == ["fan", "pump"]
    found = diagnose([folder], model, store, INLINE, progress=False)
    assert {d.asset for d in found.diagnoses} == {"fan", "pump"}
    assert "refused" not in found.counts


def test_no_healthy_recording_is_said(model: Model, store: Store, tmp_path: Path) -> None:
    folder = plant(tmp_path / "plant", {"pump": 0})
    with pytest.raises(LabelsError, match="no recording labelled 'healthy'"):
        learn_baselines([folder], model, store, progress=False)


def test_the_command_learns_and_exits_with_2_where_an_asset_failed(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    folder, ledger = plant(tmp_path / "plant", {"pump": 3, "fan": 2}), tmp_path / "s.db"
    arguments = ["--model", str(tmp_path / "model"), "--store", str(ledger), "-q"]
    both = CliRunner().invoke(app, ["baseline", str(folder), *arguments])
    assert both.exit_code == 2, both.output
    assert "asset fan: 2 healthy recordings" in both.output
    one = CliRunner().invoke(app, ["baseline", str(folder), "--asset", "pump", *arguments])
    assert one.exit_code == 0, one.output
    told = CliRunner().invoke(app, ["diagnose", str(folder / "fan_0.npz"), *arguments])
    assert f"--store {ledger}" in told.output
    assert "--asset fan" in told.output


def test_a_plain_model_learns_no_baseline(store: Store, tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {"image": {"window_s": SECONDS}, "model": {"name": "gap_cnn", "channels": (4, 4)}}
    )
    known = Calibration(1.0, np.zeros((1, 4)), np.eye(4), 1.0)
    spec = InputSpec(RATE, "m/s2", SECONDS, "a")
    plain = Model(Diagnoser(2, settings, RATE), ("healthy", "crack"), "healthy", spec, settings, known)
    with pytest.raises(ModelError, match="compares with no baseline"):
        learn_baselines([tmp_path], plain, store)
    assert plain.predict(wave(0)[None]).change is None


def test_settings_that_a_twin_cannot_work_with_are_refused() -> None:
    for stages, word in (
        ({"model": {"name": "change_cnn", "head": "sigmoid"}}, "sigmoid"),
        ({"model": {"name": "change_cnn"}, "spectrogram": {"keep_level": True}}, "keep_level"),
        ({"model": {"name": "change_cnn"}, "spectrogram": {"rows": 100}}, "divide by 8"),
    ):
        with pytest.raises(SettingsError, match=word):
            Settings.load(None, **stages)


def test_a_model_from_before_a_setting_existed_keeps_its_name(model: Model, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "model")
    described = json.loads((folder / "model.json").read_text())
    del described["members"][0]["settings"]["diagnosis"]["max_regions"], described["sha256"]
    with np.load(folder / "weights.npz") as stored:
        described["sha256"] = _sha256(described, dict(stored))
    (folder / "model.json").write_text(json.dumps(described))
    again = load_model(folder)
    assert again.sha256 == described["sha256"] != model.sha256
    assert again.settings.diagnosis.max_regions == 5
