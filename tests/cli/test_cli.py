"""The command line keeps its contract: light help, clear errors, JSON for programs."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from camvib.cli import app

RATE = 512.0


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMVIB_HOME", str(tmp_path / "home"))


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + str(result.exception)
    return result.output


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fleet") / "set"
    run("simulate", "--out", folder, "--recordings", 24, "--per-specimen", 4, "--seed", 3, "--no-twins", "-q")
    return folder


@pytest.fixture(scope="module")
def model(fleet: Path) -> Path:
    out = fleet.parent / "run"
    settings = fleet.parent / "settings.toml"
    settings.write_text('[training]\nepochs = 2\n[model]\nname = "gap_cnn"\nchannels = [4, 8]\n')
    arguments = ["train", fleet, "--out", out, "--settings", settings, "--rig", "cantilever", "-q", "--no-tracking"]
    run(*arguments, "--json", fleet.parent / "train.json")
    return out


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from camvib.cli import app; app(['--help'], standalone_mode=False); "
    code += "print(*sys.modules, file=sys.stderr)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "diagnose" in loaded.stdout
    heavy = {"torch", "numpy", "pandas", "prefect", "mlflow", "scipy", "matplotlib", "sklearn"}
    assert not heavy & set(loaded.stderr.split())


def test_train_writes_the_contract(model: Path) -> None:
    found = json.loads((model.parent / "train.json").read_text())
    keys = {"accuracy", "macro_f1", "classes", "train_groups", "test_groups", "run_id", "model"}
    assert keys <= set(found)
    assert not set(found["train_groups"]) & set(found["test_groups"])
    assert Path(found["model"]).is_dir()


def test_diagnose_writes_the_contract_and_a_report(model: Path, fleet: Path, tmp_path: Path) -> None:
    files = sorted((fleet / "recordings").glob("*.npz"))[:3]
    (tmp_path / "broken.csv").write_text("")
    out = tmp_path / "diagnoses.json"
    page = tmp_path / "report.html"
    said = run("diagnose", *files, tmp_path / "broken.csv", "--model", model, "--json", out, "--report", page, "-q")
    assert "4 new" in said
    found = json.loads(out.read_text())
    assert [item["verdict"] == "refused" for item in found] == [False, False, False, True]
    judged = [item for item in found if item["verdict"] != "refused"]
    assert all(sum(item["probabilities"].values()) == pytest.approx(1) for item in judged)
    assert "broken.csv" in page.read_text()
    assert "0 new" in run("diagnose", *files, tmp_path / "broken.csv", "--model", model, "-q")
    run("report", "--out", tmp_path / "all.html", "-q")
    assert (tmp_path / "all.html").stat().st_size > 10_000


def test_a_spectrogram_has_its_axes_and_a_folder_gives_one_each(fleet: Path, tmp_path: Path) -> None:
    files = sorted((fleet / "recordings").glob("*.npz"))[:3]
    run("spectrogram", files[0], "--out", tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "some").mkdir()
    for file in files[:3]:
        shutil.copy(file, tmp_path / "some")
    run("spectrogram", tmp_path / "some", "--out", tmp_path / "all", "-q")
    assert len(list((tmp_path / "all").glob("*.png"))) == 3


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (None, "labels.csv"),
        ("", "labels.csv"),
        ("file,label,group\n", "labels.csv"),
        ("file,label,group\na.npz,healthy,m1\nb.npz,crack,m2\n", "a.npz"),
        ("file,lable,group\na.npz,healthy,m1\n", "label"),
        ("file,label,group,chanel\na.npz,healthy,m1,red\n", "chanel"),
        ("file,label\na.npz,healthy\n", "group"),
    ],
)
def test_bad_labels_are_a_clear_error(tmp_path: Path, labels: str | None, words: str) -> None:
    if labels is not None:
        (tmp_path / "labels.csv").write_text(labels)
    said = run("train", tmp_path, "--out", tmp_path / "run", "--json", tmp_path / "error.json", code=2)
    assert words in said
    assert "→" in said
    assert json.loads((tmp_path / "error.json").read_text())["remedy"]


def test_one_group_only_is_a_clear_error(tmp_path: Path) -> None:
    rows = []
    for number, label in enumerate(("healthy", "crack") * 2):
        samples = np.random.default_rng(number).standard_normal(1024)
        np.savez(tmp_path / f"{number}.npz", a=samples, sampling_rate_hz=RATE, unit="m/s2")
        rows.append({"file": f"{number}.npz", "label": label, "group": "the only one"})
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    assert "group" in run("train", tmp_path, "--out", tmp_path / "run", code=2)


def test_unknown_settings_and_values_are_clear_errors(fleet: Path, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("[training]\nepoch = 3\n")
    assert "epoch" in run("train", fleet, "--settings", tmp_path / "s.toml", "--out", tmp_path / "r", code=2)
    assert "head" in run("train", fleet, "--head", "magic", "--out", tmp_path / "r", code=2)
    assert "model.json" in run("diagnose", fleet, "--model", tmp_path, code=2)


def test_read_describes_a_file_or_says_why_not(fleet: Path, tmp_path: Path) -> None:
    file = sorted((fleet / "recordings").glob("*.npz"))[0]
    run("read", file, "--json", tmp_path / "a.json")
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["sampling_rate_hz"] == 4096
    assert found["duration_s"] == pytest.approx(4.0)
    (tmp_path / "x.csv").write_text("")
    run("read", tmp_path / "x.csv", "--json", tmp_path / "b.json", code=2)
    assert set(json.loads((tmp_path / "b.json").read_text())) == {"error", "remedy"}


def test_the_catalog_is_listed() -> None:
    assert "dropbear8" in run("data", "list")
