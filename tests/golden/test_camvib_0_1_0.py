"""What camvib 0.1.0 wrote is read today, with the same answers: model folders, settings, a store, command lines.

tests/golden/0.1.0 was written by camvib 0.1.0 itself (commit 8c20d24): two networks trained for a few steps on 28 made
recordings, a store with four baselines and two diagnoses, and what that camvib said of waveform.npz.
"""

import json
import shlex
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from typer.main import get_command

from camvib.cli import app
from camvib.images.baseline import Baseline
from camvib.model.folder import load_model
from camvib.model.model import Model
from camvib.monitoring.ledger import Store
from camvib.readers import read
from camvib.settings import Settings

OLD = Path(__file__).parent / "0.1.0"
ANSWERS: dict[str, Any] = json.loads((OLD / "answers.json").read_text())
NETWORKS = ("gap_cnn", "change_cnn")


@pytest.fixture(scope="module", params=NETWORKS)
def model(request: pytest.FixtureRequest) -> Model:
    return load_model(OLD / str(request.param))


def said_then(model: Model) -> dict[str, Any]:
    found: dict[str, Any] = ANSWERS[model.settings.model.name]
    return found


def baseline(model: Model) -> Baseline | None:
    kept = said_then(model).get("baseline")
    if kept is None:
        return None
    return Baseline(np.array(kept["mean_db"], np.float32), np.array(kept["spread_db"], np.float32), 4)


def test_a_model_folder_keeps_its_name_and_its_images_theirs(model: Model) -> None:
    """Diagnoses are kept under the one, baselines under the other."""
    assert model.digest == said_then(model)["digest"]
    assert model.image_digest == said_then(model)["image_digest"]


def test_a_model_folder_says_what_it_said(model: Model) -> None:
    (recording,) = read(OLD / "waveform.npz")
    then = said_then(model)
    now = model.predict(np.asarray(recording.samples, np.float32)[None], baseline(model))
    assert now.logits[0] == pytest.approx(np.array(then["logits"]), abs=1e-5)
    assert now.maps[0].mean(axis=2) == pytest.approx(np.array(then["map_sums"]), abs=1e-4)
    assert now.embedding[0] == pytest.approx(np.array(then["embedding"]), abs=1e-4)
    if then.get("change"):
        assert now.change is not None
        assert now.change[0].mean(axis=1) == pytest.approx(np.array(then["change"]), abs=1e-4)
    bias = model.diagnoser.bias
    assert bias is not None
    assert now.maps.mean(axis=(2, 3)) + bias.detach().numpy() == pytest.approx(now.logits, abs=1e-4)


def test_an_old_model_saved_again_says_the_same_in_todays_folder(model: Model, tmp_path: Path) -> None:
    again = load_model(model.save(tmp_path / "model"))
    assert json.loads((tmp_path / "model" / "model.json").read_text())["schema"] == 2
    wave = np.load(OLD / "waveform.npz")["a"][None]
    assert np.array_equal(model.predict(wave, baseline(model)).logits, again.predict(wave, baseline(again)).logits)
    assert again.image_digest == model.image_digest


@pytest.mark.parametrize("name", NETWORKS)
def test_a_settings_file_is_accepted_and_means_the_same(name: str) -> None:
    settings = Settings.load(OLD / f"{name}.toml")
    assert settings.model.name == name
    assert (settings.image.rows, settings.image.columns) == (64, 64)
    if name == "gap_cnn":
        assert (settings.model.head, settings.model.channels) == ("softmax", (8, 8, 8))
        assert settings.training.augmentation.floor_db == (15.0, 50.0)
    else:
        assert settings.model.widths == (8, 8, 8)
        assert (settings.twin.source, settings.twin.class_epochs) == ("synthetic", 2)


def test_the_settings_that_a_run_folder_kept_are_accepted() -> None:
    for name in NETWORKS:
        kept = Settings.model_validate_json((OLD / name / "settings.json").read_text())
        assert kept.model.name == name


@pytest.fixture
def store(tmp_path: Path) -> Store:
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.executescript((OLD / "store.sql").read_text())
    shutil.copytree(OLD / "evidence", tmp_path / "evidence")
    return Store(tmp_path / "store.db")


def test_a_stores_baselines_are_still_those_of_the_model(store: Store) -> None:
    model = load_model(OLD / "change_cnn")
    for asset in range(4):
        kept = store.baseline(f"machine-{asset}", model.image_digest)
        assert kept is not None
        assert len(kept.recording_ids) == 4
        assert kept.baseline.mean_db.shape == (64,)


def test_a_stores_diagnoses_and_their_evidence_are_still_there(store: Store) -> None:
    then = {one["recording_id"]: one for one in ANSWERS["diagnoses"]}
    found = {one.recording_id: one for one in store.all()}
    assert found.keys() == then.keys()
    for identity, one in found.items():
        assert (one.verdict, one.label) == (then[identity]["verdict"], then[identity]["label"])
        assert one.probabilities == then[identity]["probabilities"]
        if one.verdict != "refused":
            evidence = store.evidence(one)
            assert evidence is not None
            assert evidence.change is not None


COMMANDS = (OLD / "commands.txt").read_text().splitlines()


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_line_of_the_documentation_still_parses(line: str) -> None:
    """Parsed by the command's own parser, and not run."""
    _, *words = shlex.split(line, comments=True)
    command: click.Command = get_command(app)
    context = click.Context(command, info_name="camvib")
    while isinstance(command, click.Group):
        name, *words = words
        found = command.get_command(context, name)
        assert found is not None, f"camvib {name} is gone"
        command = found
        context = click.Context(command, parent=context, info_name=name)
    with command.make_context(str(context.info_name), words, parent=context.parent) as parsed:
        assert parsed.params
