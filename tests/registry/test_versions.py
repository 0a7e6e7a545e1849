import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from camvib.errors import ModelError, SignalError
from camvib.images.baseline import Baseline
from camvib.model.calibration import Calibration
from camvib.model.diagnoser import Diagnoser
from camvib.model.folder import load_model
from camvib.model.model import Model
from camvib.recordings.quality import InputSpec
from camvib.registry.tracking import open_run
from camvib.registry.versions import promote, register, release, resolve
from camvib.settings import Settings

RATE_HZ, WINDOW_S = 1000.0, 0.5
SETTINGS = Settings.model_validate(
    {"spectrogram": {"window_s": WINDOW_S, "rows": 16, "columns": 16}, "model": {"name": "gap_cnn", "channels": [4, 8]}}
)


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMVIB_HOME", str(home))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield home


def new_version(folder: Path, name: str, macro_f1: float, data_digest: str = "data-1") -> tuple[str, str]:
    """Register an untrained model under a card of our choice; give version and run id."""
    torch.manual_seed(int(macro_f1 * 100))
    diagnoser = Diagnoser(2, SETTINGS, RATE_HZ)
    known = Calibration(1.0, np.zeros((2, 8), np.float32), np.eye(8, dtype=np.float32), np.inf)
    card = {"macro_f1": macro_f1, "data_digest": data_digest}
    spec = InputSpec(RATE_HZ, "m/s2", WINDOW_S, "")
    Model(diagnoser, ("healthy", "crack"), "healthy", spec, SETTINGS, known, card=card).save(folder)
    with open_run(name) as run:
        pass
    return register(run.run_id, folder, name), run.run_id


def test_policy_and_rollback(tmp_path: Path) -> None:
    first, _ = new_version(tmp_path / "1", "policy", 0.70)
    assert release(first, "policy") == "champion"
    worse, _ = new_version(tmp_path / "2", "policy", 0.60)
    assert release(worse, "policy") == "challenger"
    other_data, _ = new_version(tmp_path / "3", "policy", 0.95, "data-2")
    assert release(other_data, "policy") == "challenger"
    better, _ = new_version(tmp_path / "4", "policy", 0.75)
    assert release(better, "policy") == "champion"
    assert load_model(resolve("models:/policy@previous")).card["macro_f1"] == 0.70
    promote(first, name="policy")
    assert load_model(resolve("models:/policy@champion")).card["macro_f1"] == 0.70
    promote(other_data, name="policy")
    with pytest.raises(ModelError, match="challenger"):
        resolve("models:/policy@challenger")


def test_every_name_of_a_model_leads_to_the_same_folder(tmp_path: Path, home: Path) -> None:
    run_folder = tmp_path / "run"
    version, run_id = new_version(run_folder / "model", "names", 0.5)
    release(version, "names")
    assert resolve(run_folder) == resolve(str(run_folder / "model")) == run_folder / "model"
    by_version = resolve(f"models:/names/{version}")
    assert resolve("models:/names@champion") == resolve(f"runs:/{run_id}") == by_version
    assert by_version.is_relative_to(home / "models")
    assert load_model(by_version).digest == load_model(run_folder).digest
    shutil.rmtree(home / "models")
    assert resolve("models:/names@champion").is_dir()


@pytest.mark.parametrize("uri", ["models:/absent@champion", "models:/absent/1", "runs:/0123", "no/such/folder"])
def test_what_is_not_there_is_said(uri: str) -> None:
    with pytest.raises(ModelError, match="camvib train"):
        resolve(uri)


def test_registering_again_gives_the_same_version(tmp_path: Path) -> None:
    version, run_id = new_version(tmp_path / "model", "again", 0.5)
    assert register(run_id, tmp_path / "model", "again") == version


def test_the_artefact_serves_waveforms_without_pickle(tmp_path: Path, home: Path) -> None:
    version, _ = new_version(tmp_path / "model", "serve", 0.5)
    assert not [path for path in home.rglob("*") if path.suffix in {".pkl", ".pickle", ".pt", ".pth"}]

    import mlflow
    from camvib.registry.tracking import tracking_uri

    mlflow.set_tracking_uri(tracking_uri())
    loaded = mlflow.pyfunc.load_model(f"models:/serve/{version}")
    waveforms = np.random.default_rng(0).normal(size=(3, int(RATE_HZ * WINDOW_S))).astype(np.float32)
    answer = loaded.predict(waveforms)
    direct = load_model(tmp_path / "model").predict(waveforms)
    np.testing.assert_array_equal(answer["logits"], direct.logits)
    np.testing.assert_array_equal(answer["maps"], direct.maps)
    np.testing.assert_allclose(answer["probabilities"].sum(axis=1), 1, rtol=1e-6)
    waveforms[1, 7] = np.nan
    with pytest.raises(Exception, match="not finite"):
        loaded.predict(waveforms)


def test_a_model_with_baselines_is_served_with_them(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "spectrogram": {"window_s": WINDOW_S, "rows": 16, "columns": 16},
            "model": {"name": "change_cnn"},
            "twin": {"widths": (4, 4, 4)},
        }
    )
    known = Calibration(1.0, np.zeros((2, 48), np.float32), np.eye(48, dtype=np.float32), np.inf)
    spec, card = InputSpec(RATE_HZ, "m/s2", WINDOW_S, ""), {"macro_f1": 0.5, "data_digest": "data-1"}
    model = Model(Diagnoser(2, settings, RATE_HZ), ("healthy", "crack"), "healthy", spec, settings, known, card=card)
    model.save(tmp_path / "model")
    with open_run("baselines") as run:
        pass
    version = register(run.run_id, tmp_path / "model", "baselines")

    import mlflow
    from camvib.registry.tracking import tracking_uri

    mlflow.set_tracking_uri(tracking_uri())
    loaded = mlflow.pyfunc.load_model(f"models:/baselines/{version}")
    waveform = np.random.default_rng(0).normal(size=(3, int(RATE_HZ * WINDOW_S))).astype(np.float32)
    mean, spread = np.zeros((3, 16), np.float32), np.ones((3, 16), np.float32)
    answer = loaded.predict({"waveform": waveform, "baseline_db": mean, "spread_db": spread})
    direct = model.predict(waveform, Baseline(mean, spread, 3))
    np.testing.assert_allclose(answer["change"], direct.change, atol=1e-6)
    np.testing.assert_allclose(answer["logits"], direct.logits, atol=1e-5)
    with pytest.raises(Exception, match="baseline"):
        loaded.predict({"waveform": waveform})
    with pytest.raises(SignalError, match="none is given"):
        loaded.unwrap_python_model().predict(None, waveform)
