"""A shortcut planted on purpose: mains hum in one class's recordings. A map that is worth having gives it away."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from camvib.augmentation.mains_hum import line_rows
from camvib.augmentation.samples import ChangeData, HumLines
from camvib.diagnosis.regions import regions
from camvib.evaluation.maps.answers import answer_waveforms
from camvib.evaluation.maps.data import image_axes
from camvib.images.baseline import USUAL_RECORDINGS, Baseline, leave_one_out
from camvib.images.layer import layer_images
from camvib.learning.change_cnn import train_classes
from camvib.model.diagnoser import Diagnoser
from camvib.model.model import Model
from camvib.networks.change_cnn import ChangeNetwork
from camvib.records import ActivationMap
from camvib.settings import ChangeTraining
from camvib.simulation.fleet import Batch, FleetPlan, simulate_batch
from camvib.simulation.sensors import MainsHum

HUM = MainsHum(mains_hz=50.0, power=0.5, decay=0.5)
PLANTED = "impact"


def planted_hum(
    model: Model, *, train_seed: int, seed: int, recordings: int = 400, epochs: int = 12
) -> dict[str, float] | None:
    """Teach the model's class maps a shortcut, then see whether they point at it.

    Class maps are trained anew over the change network of the model, with hum in every recording of one class. Then
    hum is put into healthy recordings of unseen specimens.

    Returns
    -------
    dict or None
        `fooled`: share of the healthy recordings with hum that are called the planted class; `found`: share of
        these whose strongest region holds a mains harmonic, as the report would show it; `before`: share called
        the planted class without hum. None where no member of the model compares with a healthy twin.
    """
    members = [member for member in model.members if isinstance(member.network, ChangeNetwork)]
    if not members:
        return None
    train, test = (simulate_batch(FleetPlan(n, s)) for n, s in ((recordings, train_seed), (recordings // 2, seed)))
    taught = _taught(model, members[0], train, epochs)
    healthy = np.flatnonzero(test.labels == model.healthy)
    labels = np.full(len(healthy), PLANTED)
    baseline = _baseline(members[0], test, healthy)
    clean, hummed = test.acceleration[healthy], _with_hum(test, healthy)[healthy]
    found = answer_waveforms(taught, hummed, labels, baseline)
    planted = model.classes.index(PLANTED)
    fooled = found.logits.argmax(axis=1) == planted
    shown = [_points_at_hum(values, model.healthy) for values in found.class_map[fooled]]
    before = answer_waveforms(taught, clean, labels, baseline).logits.argmax(axis=1) == planted
    return {
        "fooled": float(fooled.mean()),
        "found": float(np.mean(shown)) if shown else float("nan"),
        "before": float(before.mean()),
        "recordings": len(healthy),
    }


def _taught(model: Model, member: Diagnoser, batch: Batch, epochs: int) -> Model:
    """The model with class maps that learned from hummed recordings of one class."""
    network, layer = member.network, member.image
    assert isinstance(network, ChangeNetwork)
    everything = np.arange(len(batch.labels))
    baseline = _baseline(member, batch, everything)
    images = layer_images(layer, _with_hum(batch, np.flatnonzero(batch.labels == PLANTED))).astype(np.float16)
    known = ChangeData(
        images_db=images,
        healthy_db=images,
        difference_db=None,
        targets=(batch.labels[:, None] == np.array(model.classes)[None]).astype(np.float32),
        baselines_db=baseline.mean_db[None],
        spreads_db=baseline.spread_db[None],
        lines=HumLines(line_rows(layer), np.diff(layer.axes.frequency_hz)),
    )
    settings = ChangeTraining(epochs=epochs, batch_size=min(32, len(everything)), cell_weight=0.0, bfloat16=False)
    taught = Diagnoser(len(model.classes), member.settings, layer.sampling_rate_hz)
    assert isinstance(taught.network, ChangeNetwork)
    taught.network.change = train_classes(copy.deepcopy(network.change.twin), known, settings)
    return replace(model, diagnoser=taught.eval(), settings=member.settings)


def _baseline(member: Diagnoser, batch: Batch, rows: NDArray[np.integer]) -> Baseline:
    mean, spread = leave_one_out(layer_images(member.image, batch.twin), batch.groups)
    return Baseline(mean[rows], spread[rows], USUAL_RECORDINGS)


def _with_hum(batch: Batch, rows: NDArray[np.integer]) -> NDArray[np.float32]:
    """All recordings; those of `rows` with mains hum."""
    rng = np.random.default_rng(0)
    signals = batch.acceleration.copy()
    for row in rows:
        signals[row] = HUM.apply(signals[row], batch.sampling_rate_hz, rng)
    return signals


def _points_at_hum(values: NDArray[np.floating], healthy: str) -> bool:
    axes = image_axes()
    centres = axes.centres()
    shown = ActivationMap(values, centres.frequency_hz, centres.time_s, PLANTED, healthy, bias=0.0)
    found = regions(shown, axes)
    return bool(found) and any(found[0].low_hz <= k * HUM.mains_hz <= found[0].high_hz for k in (1, 2, 3))
