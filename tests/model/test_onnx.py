"""One ONNX file says what the model says, for any number of windows, and how to read it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from camvib.cli import app
from camvib.errors import CamvibError
from camvib.images.baseline import Baseline
from camvib.model.calibration import Calibration
from camvib.model.diagnoser import Diagnoser
from camvib.model.model import Model
from camvib.model.onnx import export_onnx
from camvib.networks.change_cnn import ChangeNetwork
from camvib.recordings.quality import InputSpec
from camvib.settings import Settings

runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
RATE = 1024.0


@pytest.fixture(scope="module", params=["gap_cnn", "change_cnn"])
def model(request: pytest.FixtureRequest) -> Model:
    settings = Settings.model_validate(
        {"spectrogram": {"window_s": 1.0}, "model": {"name": request.param}, "twin": {"widths": (8, 12, 16)}}
    )
    torch.manual_seed(1)
    diagnoser = Diagnoser(3, settings, RATE).eval()
    if isinstance(diagnoser.network, ChangeNetwork):
        with torch.no_grad():  # a fresh net sees no change; this one sees some
            diagnoser.network.change.twin.out.weight.mul_(40)
    else:
        diagnoser.fit_standardisation(10 * torch.randn(4, 128, 128))
    known = Calibration(1.7, np.zeros((1, 48)), np.eye(48), 5.0)
    return Model(
        diagnoser, ("healthy", "crack", "impact"), "healthy", InputSpec(RATE, "m/s2", 1.0, "a"), settings, known
    )


@pytest.fixture(scope="module")
def session(model: Model, tmp_path_factory: pytest.TempPathFactory) -> "runtime.InferenceSession":
    folder = tmp_path_factory.mktemp("onnx")
    model.save(folder / "run" / "model")
    arguments = ["export", "--model", str(folder / "run"), "--out", str(folder / "deep" / "model.onnx")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return runtime.InferenceSession(folder / "deep" / "model.onnx")


def waves(n: int) -> np.ndarray:
    rng = np.random.default_rng(n)
    t = np.arange(int(RATE)) / RATE
    return (np.sin(2 * np.pi * 80 * t) + 0.3 * rng.standard_normal((n, len(t)))).astype(np.float32)


@pytest.mark.parametrize("n", [1, 5])
def test_it_says_what_the_model_says(model: Model, session: "runtime.InferenceSession", n: int) -> None:
    given, baseline = {"waveform": waves(n)}, None
    if model.needs_baseline:
        rng = np.random.default_rng(0)
        mean, spread = 5 * rng.standard_normal((n, 128)), 4 + rng.random((n, 128))
        baseline = Baseline(mean.astype(np.float32), spread.astype(np.float32), 3)
        given |= {"baseline_db": baseline.mean_db, "spread_db": baseline.spread_db}
    expected = model.predict(waves(n), baseline)
    found = dict(zip([o.name for o in session.get_outputs()], session.run(None, given), strict=True))
    assert found["logits"] == pytest.approx(expected.logits, abs=1e-4)
    assert found["maps"] == pytest.approx(expected.maps, abs=1e-4 * max(1.0, float(np.abs(expected.maps).max())))
    assert np.ptp(found["maps"]) > 0.01
    assert ("change" in found) == model.needs_baseline
    if expected.change is not None:
        assert found["change"] == pytest.approx(expected.change, abs=1e-4)


def test_the_file_says_how_to_read_it(model: Model, session: "runtime.InferenceSession") -> None:
    about = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    assert about["classes"] == ["healthy", "crack", "impact"]
    assert (about["healthy"], about["unit"], about["sampling_rate_hz"]) == ("healthy", "m/s2", RATE)
    assert about["temperature"] == 1.7
    assert len(about["image_frequency_edges_hz"]) == 129
    assert about["image_time_edges_s"][-1] == 1.0
    given = {i.name: np.ones((1, *i.shape[1:]), np.float32) for i in session.get_inputs()}
    logits, maps = session.run(["logits", "maps"], {**given, "waveform": waves(1)})
    assert maps.mean(axis=(2, 3)) + np.array(about["bias"]) == pytest.approx(logits, abs=1e-3)


def test_without_the_package_it_says_how_to_get_it(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CamvibError, match=r"pip install camvib\[onnx\]"):
        export_onnx(model, Path("never.onnx"))
