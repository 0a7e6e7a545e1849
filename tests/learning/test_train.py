"""Training is repeatable, survives a kill, splits by group and says what it left out."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from camvib.errors import LabelsError
from camvib.learning.run_folder import TrainingResult
from camvib.learning.train import train
from camvib.model.folder import load_model
from camvib.records import Declared
from camvib.settings import Settings

RATE = 512.0
Write = Callable[..., Path]


def settings(epochs: int = 4, **training: object) -> Settings:
    return Settings.model_validate(
        {
            "training": {"epochs": epochs, "batch_size": 8, **training},
            "model": {"name": "gap_cnn", "channels": (8, 8, 8)},
            "image": {"rows": 64, "columns": 32},
        }
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, write_lines: Write) -> TrainingResult:
    base = tmp_path_factory.mktemp("trained")
    return train(write_lines(base / "set"), base / "run", settings(15), progress=False)


def test_it_learns_a_line_and_says_so_on_unseen_groups(trained: TrainingResult) -> None:
    assert trained.accuracy >= 0.9
    assert not set(trained.train_groups) & set(trained.test_groups)
    sides = pd.read_csv(trained.folder / "split.csv").groupby("group").side.nunique()
    assert (sides == 1).all()


def test_the_run_folder_holds_what_a_reader_needs(trained: TrainingResult) -> None:
    for name in ("settings.json", "data.json", "split.csv", "history.csv", "metrics.json", "environment.txt"):
        assert (trained.folder / name).stat().st_size > 0, name
    assert (trained.folder / "figures" / "confusion_matrix.png").is_file()
    assert len(list((trained.folder / "spectrograms").glob("*.png"))) == 6
    assert len(pd.read_csv(trained.folder / "history.csv")) <= 15


def test_same_seed_same_model_other_seed_other_model(
    trained: TrainingResult, tmp_path: Path, write_lines: Write
) -> None:
    data = write_lines(tmp_path / "set")
    again = train(data, tmp_path / "again", settings(15), progress=False)
    assert load_model(again.folder).digest == load_model(trained.folder).digest
    other = train(data, tmp_path / "other", settings(1, seed=1), progress=False)
    assert load_model(other.folder).digest != load_model(trained.folder).digest


def test_a_finished_training_is_not_done_again(trained: TrainingResult) -> None:
    before = (trained.folder / "model" / "weights.npz").stat().st_mtime_ns
    again = train(trained.folder.parent / "set", trained.folder, settings(15), progress=False)
    assert again.metrics == trained.metrics
    assert (trained.folder / "model" / "weights.npz").stat().st_mtime_ns == before


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_train import settings
from camvib.learning.train import train
def die(epoch, metrics):
    if epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)
train(Path(sys.argv[1]), Path(sys.argv[2]), settings(5), on_epoch=die, progress=False)
"""


def test_a_killed_training_goes_on_and_ends_where_an_unbroken_one_does(tmp_path: Path, write_lines: Write) -> None:
    data = write_lines(tmp_path / "set")
    arguments = [str(data), str(tmp_path / "killed"), str(Path(__file__).parent)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, capture_output=True, env=os.environ)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    seen: list[int] = []
    resumed = train(
        data, tmp_path / "killed", settings(5), on_epoch=lambda epoch, _: seen.append(epoch), progress=False
    )
    unbroken = train(data, tmp_path / "unbroken", settings(5), progress=False)
    assert seen
    assert seen[0] > 0
    assert load_model(resumed.folder).digest == load_model(unbroken.folder).digest
    history = pd.read_csv(resumed.folder / "history.csv")
    assert history.epoch.tolist() == list(range(5))


def test_a_broken_file_is_left_out_with_its_reason(tmp_path: Path, write_lines: Write) -> None:
    data = write_lines(tmp_path / "set")
    (data / "g0_0.npz").write_bytes(b"")
    result = train(data, tmp_path / "run", settings(1), progress=False)
    left_out = json.loads((result.folder / "data.json").read_text())["left_out"]
    assert [item["file"] for item in left_out] == ["g0_0.npz"]
    assert left_out[0]["reason"]


def test_mixed_rates_are_refused_until_resampled(tmp_path: Path, write_lines: Write) -> None:
    data = write_lines(tmp_path / "set")
    fast = np.random.default_rng(0).standard_normal(2048).astype(np.float32)
    np.savez(data / "g0_0.npz", a=fast, sampling_rate_hz=2 * RATE, unit="m/s2")
    with pytest.raises(LabelsError, match=r"sampling_rate_hz.*1024") as caught:
        train(data, tmp_path / "run", settings(1), progress=False)
    assert "--resample" in caught.value.remedy
    assert train(data, tmp_path / "run", settings(1), declared=Declared(resample_hz=RATE), progress=False).classes


def test_faults_that_come_together_get_a_probability_each(tmp_path: Path, write_lines: Write) -> None:
    data = write_lines(tmp_path / "set")
    table = pd.read_csv(data / "labels.csv")
    table.loc[3::4, "label"] = "line_120+hum"
    table.to_csv(data / "labels.csv", index=False)
    chosen = settings(2).model_dump()
    chosen["model"]["head"] = "sigmoid"
    result = train(data, tmp_path / "run", Settings.model_validate(chosen), progress=False)
    assert result.classes == ("hum", "line_120")
    model = load_model(result.folder)
    chances = model.probabilities(np.array([2.0, 2.0]))
    assert chances.sum() > 1.5


def test_the_black_box_trains_too(tmp_path: Path, write_lines: Write) -> None:
    chosen = settings(1).model_dump()
    chosen["model"]["name"] = "cnn_fc"
    result = train(write_lines(tmp_path / "set"), tmp_path / "run", Settings.model_validate(chosen), progress=False)
    predicted = load_model(result.folder).predict(np.zeros((1, 1024), np.float32))
    assert not predicted.maps.any()


def test_training_needs_neither_prefect_nor_mlflow() -> None:
    code = "import sys, camvib.learning.train, camvib.learning.scores; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in loaded
    assert not {"prefect", "mlflow"} & set(loaded)


def test_few_groups_are_held_out_in_turn_and_the_model_sees_them_all(tmp_path: Path, write_lines: Write) -> None:
    tiny = Settings.model_validate(
        {
            "image": {"rows": 32, "columns": 8},
            "model": {"name": "row_linear"},
            "training": {"epochs": 3, "patience": None, "batch_size": 4, "learning_rate": 0.1},
        }
    )
    result = train(write_lines(tmp_path / "set", 3), tmp_path / "run", tiny, progress=False)
    assert len(result.test_groups) == len(result.train_groups) == 3
    assert result.metrics["test_recordings"] == 12
    assert result.metrics["measured_on"].startswith("every group held out in turn")
    assert result.network == "row_linear"
    table = pd.read_csv(result.folder / "split.csv")
    assert table.groupby("group").fold.nunique().eq(1).all()
    assert set(table.side) == {"train"}
    model = load_model(result.folder)
    assert model.card["measured_on"] == result.metrics["measured_on"]
    assert {entry["network"] for entry in model.card["compared"]} == {"row_linear"}
    assert set(result.trivial) == {"random_forest", "logistic_regression", "rms", "majority"}


def test_where_nothing_can_be_learned_it_says_so(tmp_path: Path, write_lines: Write) -> None:
    """Labels by lot: no better than what needs no network, and so nothing to release."""
    data = write_lines(tmp_path / "set", 6, 6)
    table = pd.read_csv(data / "labels.csv")
    table["label"] = np.random.default_rng(1).permutation(table.label)
    table.to_csv(data / "labels.csv", index=False)
    result = train(data, tmp_path / "run", settings(2), progress=False)
    assert result.learned == (result.macro_f1 > max(result.trivial.values()))
    assert result.macro_f1 < 0.9
