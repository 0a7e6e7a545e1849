import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from camvib.errors import CamvibError
from camvib.learning.run_folder import TrainingResult
from camvib.registry.tracking import mlflow_client, open_run, require_mlflow, run_of
from camvib.settings import Settings


@pytest.fixture(scope="module")
def mlflow_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMVIB_HOME", str(home))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield home


@pytest.fixture
def run_folder(tmp_path: Path) -> TrainingResult:
    """What a training leaves behind, by hand."""
    out = tmp_path / "run"
    (out / "figures").mkdir(parents=True)
    (out / "spectrograms").mkdir()
    (out / "figures" / "confusion.png").write_bytes(b"\x89PNG")
    (out / "spectrograms" / "tip_mass.png").write_bytes(b"\x89PNG")
    (out / "settings.json").write_text(Settings().model_dump_json())
    (out / "data.json").write_text(json.dumps({"digest": "d" * 64, "folder": "rig"}))
    (out / "history.csv").write_text("epoch,train_loss,val_loss\n0,1.5,\n1,0.5,0.75\n")
    for name in ("split.csv", "metrics.json", "environment.txt"):
        (out / name).write_text("x")
    metrics = {"accuracy": 0.9, "macro_f1": 0.8, "recall": {"tip mass (5 g)": 0.7}, "confusion": [[1, 0], [0, 1]]}
    metrics |= {
        "classes": ["a", "b"], "train_groups": ["1"], "test_groups": ["2"], "data_digest": "d" * 64,
        "network": "gap_cnn", "image": "spectrogram", "learned": True, "trivial": {"rms": 0.5},
        "compared": [{"image": "spectrogram", "network": "gap_cnn", "macro_f1": 0.75}],
    }  # fmt: skip
    return TrainingResult.of(out, metrics)


def test_a_run_folder_is_in_mlflow_as_a_whole(mlflow_home: Path, run_folder: TrainingResult) -> None:
    with open_run("train") as run:
        run.log_epoch(0, {"train_loss": 1.5})
        run.log_run_folder(run_folder)
    client = mlflow_client()
    logged = client.get_run(run.run_id)
    assert logged.info.status == "FINISHED"
    assert logged.data.params["training.epochs"] == str(Settings().training.epochs)
    assert logged.data.metrics["test/recall.tip mass _5 g_"] == 0.7
    assert logged.data.tags["camvib.data_digest"] == "d" * 64
    losses = [(point.step, point.value) for point in client.get_metric_history(run.run_id, "train_loss")]
    assert losses == [(0, 1.5), (1, 0.5)]
    assert logged.inputs.dataset_inputs[0].dataset.digest == "d" * 36
    assert {file.path for file in client.list_artifacts(run.run_id, "figures")} == {"figures/confusion.png"}
    top = {file.path for file in client.list_artifacts(run.run_id)}
    assert top >= {"spectrograms", "settings.json", "split.csv", "history.csv", "environment.txt"}
    assert logged.info.artifact_uri.startswith((mlflow_home / "mlartifacts").as_uri())


def test_a_failed_training_goes_on_in_the_same_run_and_repeats_no_epoch(mlflow_home: Path, tmp_path: Path) -> None:
    def train(losses: dict[int, float], run_id: str) -> None:
        with open_run("train", run_id=run_id) as run:
            for epoch, loss in losses.items():
                run.log_epoch(epoch, {"loss": loss})
            assert len(losses) == 3, "killed"

    client = mlflow_client()
    run_id = run_of(tmp_path, tmp_path, Settings())
    with pytest.raises(AssertionError, match="killed"):
        train({0: 2.0, 1: 1.0}, run_id)
    assert client.get_run(run_id).info.status == "FAILED"
    train({0: 2.5, 1: 1.25, 2: 0.5}, run_id)
    assert client.get_run(run_id).info.status == "FINISHED"
    history = [(point.step, point.value) for point in client.get_metric_history(run_id, "loss")]
    assert history == [(0, 2.0), (1, 1.0), (2, 0.5)]


def test_one_run_a_training(mlflow_home: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "rig", tmp_path / "run"
    data.mkdir()
    (data / "labels.csv").write_text("file,label,group\n")
    first = run_of(out, data, Settings())
    assert run_of(out, data, Settings()) == first
    (data / "labels.csv").write_text("file,label,group\na.npy,ok,1\n")
    assert run_of(out, data, Settings()) != first


def test_an_unknown_run_is_refused(mlflow_home: Path) -> None:
    with pytest.raises(CamvibError, match="MLFLOW_TRACKING_URI"), open_run("train", run_id="0" * 32):
        pass


def test_processes_may_open_a_fresh_database_together(tmp_path: Path) -> None:
    environment = {**os.environ, "CAMVIB_HOME": str(tmp_path)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    code = "from camvib.registry.tracking import ensure_database; print(ensure_database())"
    command = [sys.executable, "-c", code]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    answers = {process.communicate(timeout=120)[0].strip() for process in started}
    assert [process.returncode for process in started] == [0, 0]
    assert len(answers) == 1
    assert (tmp_path / "mlflow.db").is_file()


def test_missing_mlflow_is_said_and_not_an_empty_namespace_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(CamvibError, match="pip install"):
        require_mlflow()
