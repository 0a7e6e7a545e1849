"""Networks go from a run to the benchmark and from the benchmark to a model folder, and stay the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from camvib.errors import ModelError
from camvib.evaluation.maps import attributions as att
from camvib.evaluation.maps.answers import tensors
from camvib.evaluation.maps.data import CLASSES, MapData, simulated
from camvib.evaluation.maps.deployment import deployable
from camvib.evaluation.maps.models import load_map_models
from camvib.images.baseline import Baseline
from camvib.model.calibration import Calibration
from camvib.model.diagnoser import Diagnoser
from camvib.model.folder import load_model
from camvib.model.model import Model
from camvib.networks.change_cnn import ChangeNetwork
from camvib.recordings.quality import InputSpec
from camvib.settings import Settings
from camvib.simulation.fleet import FleetPlan, simulate_batch

WIDTHS = (4, 4, 4)
ORDER = ("healthy", "crack", "impact", "loose_clamp", "tip_mass")  # as training sorts them


@pytest.fixture(scope="module")
def data() -> MapData:
    return simulated(FleetPlan(10, seed=81))


def saved(folder: Path, twin: str, rows: int = 128) -> Path:
    settings = Settings.model_validate(
        {
            "spectrogram": {"window_s": 4.0, "rows": rows},
            "model": {"name": "change_cnn"},
            "twin": {"widths": WIDTHS, "source": twin},
        }
    )
    torch.manual_seed(0)
    diagnoser = Diagnoser(5, settings, 4096.0)
    assert isinstance(diagnoser.network, ChangeNetwork)
    with torch.no_grad():
        diagnoser.network.change.twin.out.weight.mul_(40)
        diagnoser.network.change.classes.bias.copy_(torch.arange(5.0))
    known = Calibration(1.0, np.zeros((1, 48)), np.eye(48), 5.0)
    spec = InputSpec(4096.0, "m/s2", 4.0)
    return Model(diagnoser.eval(), ORDER, "healthy", spec, settings, known, card={"twin": twin}).save(folder)


@pytest.mark.parametrize("twin", ["simulated", "synthetic"])
def test_a_run_is_judged_with_its_classes_in_the_benchmark_s_order(twin: str, data: MapData, tmp_path: Path) -> None:
    models = load_map_models(saved(tmp_path / "model", twin))
    assert models.plain is None
    network = models.change if twin == "simulated" else models.change_no_twins
    assert network is not None
    assert (models.change is None) == (twin == "synthetic")
    rows = np.arange(4)
    image, baseline, spread = tensors(data, rows)
    theirs = load_model(tmp_path / "model").diagnoser.explain(image, baseline, spread)
    ours = network(image, baseline, spread)
    place = [ORDER.index(name) for name in CLASSES]
    assert torch.allclose(ours.logits, theirs.logits[:, place], atol=1e-4)
    assert torch.allclose(ours.maps, theirs.maps[:, place], atol=1e-4)


def test_attributions_run_on_the_change_network_where_there_is_no_plain_one(data: MapData, tmp_path: Path) -> None:
    models = load_map_models(saved(tmp_path / "model", "simulated"))
    rows = np.arange(2)
    image = tensors(data, rows)[0]
    net = models.explainable(data, rows)
    classes = torch.tensor([1, 2])
    for values in (
        att.grad_cam(net, image, classes),
        att.integrated_gradients(net, image, classes, image - 5, steps=2),
        att.occlusion(net, image, classes, image - 5, size=64, stride=64),
    ):
        assert values.shape == image.shape
        assert values.abs().max() > 0


def test_a_run_on_other_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not those of the benchmark"):
        load_map_models(saved(tmp_path / "model", "simulated", rows=64))


def test_a_benchmark_network_becomes_a_model_folder(data: MapData, tmp_path: Path) -> None:
    network = load_map_models(saved(tmp_path / "run", "simulated")).change
    assert network is not None
    batch = simulate_batch(FleetPlan(10, seed=81))
    model = load_model(deployable(network, batch, batch, {"twin": "simulated"}).save(tmp_path / "deployed"))
    assert model.classes == CLASSES
    assert {"macro_f1", "twin"} <= set(model.card)
    rows = np.arange(3)
    image, baseline, spread = tensors(data, rows)
    found = model.predict(batch.acceleration[:3], Baseline(baseline.numpy(), spread.numpy(), 5))
    with torch.inference_mode():
        expected = network(image, baseline, spread).logits.numpy()
    assert found.logits == pytest.approx(expected, abs=0.05)  # the benchmark keeps its images in half precision
