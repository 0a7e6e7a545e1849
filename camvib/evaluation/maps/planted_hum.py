"""A shortcut planted on purpose: mains hum in one class's recordings. A map that is worth having gives it away."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from camvib.diagnosis.regions import regions
from camvib.evaluation.maps.answers import explain
from camvib.evaluation.maps.data import CLASSES, MapData, from_batch, image_axes
from camvib.evaluation.maps.training import MapTraining, train_classes
from camvib.networks.change_cnn import ChangeCnn
from camvib.records import ActivationMap
from camvib.simulation.fleet import Batch, FleetPlan, simulate_batch
from camvib.simulation.sensors import MainsHum

HUM = MainsHum(mains_hz=50.0, power=0.5, decay=0.5)
PLANTED = "impact"


def planted_hum(network: ChangeCnn, *, train_seed: int, seed: int, recordings: int = 400) -> dict[str, float]:
    """Teach the classifier a shortcut, then see whether its maps point at it.

    The classifier is trained on, over the same twin, with hum in every recording of one class. Then hum is put into
    healthy recordings of unseen specimens.

    Returns
    -------
    dict
        `fooled`: share of the healthy recordings with hum that are called the planted class; `found`: share of
        these whose strongest region holds a mains harmonic, as the report would show it; `before`: share called
        the planted class without hum.
    """
    train = simulate_batch(FleetPlan(recordings, train_seed))
    data = _with_hum(train, train.labels == PLANTED)
    settings = MapTraining(epochs=12, cell_weight=0.0, bfloat16=False)
    taught = train_classes(copy.deepcopy(network.twin), data, settings)
    test = simulate_batch(FleetPlan(recordings // 2, seed))
    healthy = np.flatnonzero(test.labels == CLASSES[0])
    planted = np.full(len(healthy), CLASSES.index(PLANTED))
    clean = _with_hum(test, np.zeros(len(test.labels), bool)).select(healthy)
    hummed = _with_hum(test, np.ones(len(test.labels), bool)).select(healthy)
    answer = explain(taught, hummed, planted)
    fooled = answer.logits.argmax(axis=1) == planted
    found = [_points_at_hum(values) for values in answer.class_map[fooled]]
    return {
        "fooled": float(fooled.mean()),
        "found": float(np.mean(found)) if found else float("nan"),
        "before": float((explain(taught, clean, planted).logits.argmax(axis=1) == planted).mean()),
        "recordings": len(healthy),
    }


def _with_hum(batch: Batch, rows: np.ndarray) -> MapData:
    rng = np.random.default_rng(0)
    signals = batch.acceleration.copy()
    for row in np.flatnonzero(rows):
        signals[row] = HUM.apply(signals[row], batch.sampling_rate_hz, rng)
    return from_batch(replace(batch, acceleration=signals))


def _points_at_hum(values: np.ndarray) -> bool:
    axes = image_axes()
    centres = axes.centres()
    shown = ActivationMap(values, centres.frequency_hz, centres.time_s, PLANTED, CLASSES[0], bias=0.0)
    found = regions(shown, axes)
    return bool(found) and any(found[0].low_hz <= k * HUM.mains_hz <= found[0].high_hz for k in (1, 2, 3))
