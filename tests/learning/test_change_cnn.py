"""change_cnn is trained from a folder: with simulated twins, or from what a plant has."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from camvib.errors import LabelsError, SettingsError
from camvib.images.baseline import Baseline
from camvib.learning.train import train
from camvib.model.folder import load_model
from camvib.model.model import Model
from camvib.settings import Settings

RATE = 512.0


def settings(epochs: int = 2, **twin: object) -> Settings:
    return Settings.model_validate(
        {
            "image": {"rows": 32, "columns": 32},
            "model": {"name": "change_cnn", "widths": (8, 12, 16)},
            "twin": {"epochs": epochs, "class_epochs": epochs, "start": "nothing", **twin},
            "training": {"batch_size": 8},
        }
    )


def write_set(folder: Path, healthy: tuple[int, ...], faulty: int = 2, *, twins: bool = False) -> Path:
    """Assets with a tone of their own and so many healthy recordings; faulty ones have a second line at 150 Hz."""
    rng = np.random.default_rng(0)
    t = np.arange(round(2 * RATE)) / RATE
    rows = []
    (folder / "twins").mkdir(parents=True)
    for asset, count in enumerate(healthy):
        for number in range(count + faulty):
            label = "healthy" if number < count else "line"
            twin = np.sin(2 * np.pi * (40 + 3 * asset) * t + rng.uniform(0, 6)) + 0.3 * rng.standard_normal(len(t))
            wave = twin + (label == "line") * np.sin(2 * np.pi * 150 * t)
            for place, samples in ((folder, wave), (folder / "twins", twin))[: 2 if twins else 1]:
                np.savez(place / f"{asset}_{number}.npz", a=samples, sampling_rate_hz=RATE, unit="m/s2")
            rows.append({"file": f"{asset}_{number}.npz", "label": label, "group": f"machine-{asset}"})
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder


def change_of(model: Model, data: Path, file: str) -> np.ndarray:
    """Change map of a recording against the first four healthy ones of its asset."""

    def wave(name: str) -> np.ndarray:
        return np.load(data / name)["a"].astype(np.float32)

    asset = file.split("_")[0]
    baseline = Baseline.of(model.images(np.stack([wave(f"{asset}_{k}.npz") for k in range(4)])))
    change = model.predict(wave(file)[None], baseline).change
    assert change is not None
    return change[0]


def test_with_twins_it_learns_where_the_fault_is_on_machines_it_never_saw(tmp_path: Path) -> None:
    data = write_set(tmp_path / "set", (4,) * 8, 4, twins=True)
    result = train(data, tmp_path / "run", settings(12), progress=False)
    model = load_model(result.folder)
    asset = result.test_groups[0].removeprefix("machine-")
    change = change_of(model, data, f"{asset}_6.npz")
    row = int(np.searchsorted(model.axes.frequency_hz, 150)) - 1
    assert change[row].mean() > 0.3
    assert np.abs(change[: row - 4]).mean() < 0.5 * change[row].mean()
    assert result.accuracy > 0.6
    history = pd.read_csv(result.folder / "history.csv")
    assert history.epoch.tolist() == 2 * list(range(12))
    assert history.change_loss.count() == history.class_loss.count() == 12


def test_twins_stand_in_where_no_asset_was_recorded_healthy_often_enough(tmp_path: Path) -> None:
    """As `camvib simulate` writes them: two healthy recordings a specimen, and a twin of every other."""
    data = write_set(tmp_path / "set", (2,) * 6, 4, twins=True)
    result = train(data, tmp_path / "run", settings(1), progress=False)
    assert result.metrics["test_recordings"] == 6 * len(result.test_groups)


def test_a_plant_trains_on_its_healthy_recordings_and_hears_what_is_missing(tmp_path: Path) -> None:
    data = write_set(tmp_path / "set", (5, 5, 5, 5, 2))
    result = train(data, tmp_path / "run", settings(1), progress=False)
    assert load_model(result.folder).needs_baseline
    left_out = json.loads((result.folder / "data.json").read_text())["left_out"]
    assert {item["file"] for item in left_out} == {f"4_{k}.npz" for k in range(4)}
    assert result.metrics["left_out"] == 4
    assert "asset machine-4 has 1 other healthy recordings" in left_out[0]["reason"]


def test_too_few_healthy_recordings_anywhere_ask_for_more(tmp_path: Path) -> None:
    data = write_set(tmp_path / "set", (2, 2, 2))
    with pytest.raises(LabelsError, match="1 other healthy") as caught:
        train(data, tmp_path / "run", settings(), progress=False)
    assert "Record each asset healthy 4 times" in caught.value.remedy
    with pytest.raises(SettingsError, match="have no twin"):
        train(data, tmp_path / "run", settings(source="simulated"), progress=False)


def test_an_asset_with_just_enough_serves_its_faulty_recordings(tmp_path: Path) -> None:
    """Three healthy recordings make the faulty ones' baseline; each of the three alone has too few others."""
    data = write_set(tmp_path / "set", (5, 5, 5, 3), 3)
    result = train(data, tmp_path / "run", settings(1), progress=False)
    left_out = {item["file"] for item in json.loads((result.folder / "data.json").read_text())["left_out"]}
    assert left_out == {"3_0.npz", "3_1.npz", "3_2.npz"}


def test_a_killed_training_goes_on_from_its_last_epoch(tmp_path: Path) -> None:
    data = write_set(tmp_path / "set", (4, 4, 4, 4))

    def die(epoch: int, metrics: dict[str, float]) -> None:
        if "class_loss" in metrics:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        train(data, tmp_path / "killed", settings(), on_epoch=die, progress=False)
    seen: list[int] = []
    resumed = train(data, tmp_path / "killed", settings(), on_epoch=lambda epoch, _: seen.append(epoch), progress=False)
    unbroken = train(data, tmp_path / "unbroken", settings(), progress=False)
    assert seen == [0, 1]  # the class maps' two: those of the twin are not done again
    assert load_model(resumed.folder).digest == load_model(unbroken.folder).digest


def test_without_a_healthy_label_it_asks_for_its_name(tmp_path: Path) -> None:
    data = write_set(tmp_path / "set", (4, 4, 4))
    table = (data / "labels.csv").read_text().replace("healthy", "as_new")
    (data / "labels.csv").write_text(table)
    with pytest.raises(LabelsError, match="means healthy"):
        train(data, tmp_path / "run", settings(), progress=False)
