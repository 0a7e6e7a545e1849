"""Notched regions change a verdict that rests on them, and no other."""

import numpy as np
import torch

from camvib.evaluation.maps.data import RATE_HZ, MapData, from_batch
from camvib.evaluation.maps.notch import changed_share
from camvib.model.model import Model
from camvib.simulation.fleet import Batch, FleetPlan

TONE_HZ = 700.0


def whistling() -> MapData:
    """Assets whose recordings all whistle, and whose healthy twins do not."""
    plan = FleetPlan(5, seed=5)
    rng = np.random.default_rng(0)
    samples = round(plan.duration_s * RATE_HZ)
    twin = rng.normal(size=(plan.recordings, samples)).astype(np.float32)
    tone = 5 * np.sin(2 * np.pi * TONE_HZ * np.arange(samples) / RATE_HZ)
    specs = tuple(plan.spec(i) for i in range(plan.recordings))
    wave = (twin + tone).astype(np.float32)
    return from_batch(Batch(wave, twin, wave[:, None], np.full(plan.recordings, 1e-3), specs, RATE_HZ))


def listening(make_model, hz: float, bias: float) -> Model:
    """A model that calls crack what is loud around `hz`."""
    model = make_model("row_linear")
    network, row = model.diagnoser.network, int(np.searchsorted(model.axes.frequency_hz, hz)) - 1
    with torch.no_grad():
        network.weight[1, row] = 10.0
        network.bias[1] = bias
        network.bias[2:] = -50.0
    return model


def test_a_verdict_falls_with_the_regions_that_it_rests_on(make_model) -> None:
    data = whistling()
    found = changed_share(listening(make_model, TONE_HZ, -3.0), data)
    assert found["verdicts"] == len(data)
    assert found["changed_share"] == 1.0
    assert found["share_of_cells"] < 0.1


def test_a_verdict_that_rests_on_its_bias_stays(make_model) -> None:
    found = changed_share(listening(make_model, TONE_HZ, 50.0), whistling())
    assert found["changed_share"] == 0.0


def test_healthy_verdicts_are_not_counted(make_model) -> None:
    found = changed_share(listening(make_model, TONE_HZ, -50.0), whistling())
    assert found["verdicts"] == 0
    assert np.isnan(found["changed_share"])
