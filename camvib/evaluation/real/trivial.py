"""What needs no network: the figures that a network's figures stand beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import hilbert, welch
from scipy.stats import kurtosis
from sklearn.base import ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from camvib.evaluation.real.protocols import Plan
from camvib.evaluation.real.sets import Read, RealSet
from camvib.evaluation.real.windows import Pick, Windows
from camvib.images.envelope import ImageRecipe

SPECTRUM_ROWS = 96
ENVELOPE_ROWS = 64
LEVEL_FLOOR = 1e-30

Features = dict[str, NDArray[np.floating]]


def window_features(
    windows: NDArray[np.floating], sampling_rate_hz: float, bands: Mapping[str, tuple[float, float]]
) -> Features:
    """Features of windows, (n, samples), by the name of the trivial classifier that uses them.

    Only ``rms`` knows the level. Bands of the catalog give one logarithmic spectrum each, on a fine grid.
    """
    windows = np.asarray(windows, np.float64)
    windows = windows - windows.mean(axis=1, keepdims=True)
    level = np.sqrt(np.square(windows).mean(axis=1, keepdims=True))
    unit = windows / np.maximum(level, LEVEL_FLOOR)
    length = min(windows.shape[1], max(64, windows.shape[1] // 2))
    hz, power = welch(unit, sampling_rate_hz, nperseg=length, nfft=4 * length, axis=1)
    edges = np.geomspace(2 * sampling_rate_hz / length, 0.45 * sampling_rate_hz, SPECTRUM_ROWS + 1)
    spectrum = _db(_resampled(power, hz, edges))
    envelope = np.abs(hilbert(unit, axis=1)) ** 2
    envelope_hz, envelope_power = welch(
        envelope - envelope.mean(axis=1, keepdims=True), sampling_rate_hz, nperseg=length, axis=1
    )
    top = min(500.0, 0.45 * sampling_rate_hz)
    lines = _db(_resampled(envelope_power, envelope_hz, np.linspace(0, top, ENVELOPE_ROWS + 1)))
    shape = np.stack([kurtosis(unit, axis=1), np.abs(unit).max(axis=1)], axis=1)
    found = {
        "random_forest": np.concatenate([spectrum, lines, shape], axis=1),
        "logistic_regression": spectrum,
        "rms": 20 * np.log10(np.maximum(level, LEVEL_FLOOR)),
        "majority": np.zeros((len(windows), 1)),
    }
    for name, (low, high) in bands.items():
        inside = _db(power[:, (hz >= low) & (hz <= high)])
        if inside.shape[1]:
            found[f"logistic_regression_{name}"] = inside - inside.mean(axis=1, keepdims=True)
    return found


def predict(
    name: str, train: NDArray[np.floating], labels: NDArray[np.str_], test: NDArray[np.floating], seed: int = 0
) -> tuple[NDArray[np.floating], NDArray[np.str_]]:
    """Log probabilities of test windows, (n, classes), and the classes, by the trivial classifier of that name."""
    model = clone(_model(name, seed)).fit(train, labels)
    return np.log(np.maximum(model.predict_proba(test), 1e-6)), model.classes_


def _model(name: str, seed: int) -> ClassifierMixin:
    if name == "majority":
        return DummyClassifier(strategy="prior")
    if name == "rms":
        return DecisionTreeClassifier(max_depth=4, min_samples_leaf=3, random_state=seed)
    if name.startswith("random_forest"):
        return RandomForestClassifier(300, min_samples_leaf=2, class_weight="balanced", random_state=seed)
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=3000, class_weight="balanced"))


def _resampled(
    power: NDArray[np.floating], hz: NDArray[np.floating], edges: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Mean power between edges; between two bins of the spectrum it is interpolated."""
    total = np.concatenate([np.zeros((len(power), 1)), np.cumsum(power, axis=1)], axis=1)
    at = np.interp(edges, hz, np.arange(len(hz))) + 0.5
    bins = np.arange(total.shape[1])
    area = np.stack([np.interp(at, bins, row) for row in total])
    return np.diff(area, axis=1) / np.diff(at)


def _db(power: NDArray[np.floating]) -> NDArray[np.floating]:
    return 10 * np.log10(np.maximum(power, LEVEL_FLOOR))


MOST_FEATURE_SAMPLES = 400_000  # of one recording: long spectra of many windows take longer than the networks


class Table(NamedTuple):
    """Features of windows, (windows, features), with their cases and labels as in `Windows`."""

    features: NDArray[np.floating]
    case: Pick
    label: NDArray[np.str_]


def trivial_tables(real: RealSet, read: Read, made: Mapping[ImageRecipe, Windows], plan: Plan) -> dict[str, Table]:
    """What each classifier sees: features of the first recipe's windows, and every envelope image's mean spectrum."""
    tables = _feature_tables(real, read, next(iter(made.values())), plan)
    for recipe, windows in made.items():
        if recipe.envelope:
            name = "random_forest_envelope" + ("" if recipe.shaft_axis else "_hz")
            tables[name] = Table(windows.layers_db.max(axis=1).mean(axis=2), windows.case, windows.label)
    return tables


def _feature_tables(real: RealSet, read: Read, windows: Windows, plan: Plan) -> dict[str, Table]:
    """Of long windows a few of each recording, evenly spread."""
    bands = dict(real.known.bands) if real.known else {}
    rate = read.recordings[0].sampling_rate_hz
    length = round(float(np.ptp(windows.axes.time_s)) * rate)
    most = len(windows.case) if plan.by_window else max(1, MOST_FEATURE_SAMPLES // length)
    parts, chosen = [], []
    for number, recording in enumerate(read.recordings):
        own = np.flatnonzero(windows.owner == number)
        own = own[np.unique(np.linspace(0, len(own) - 1, min(most, len(own))).round().astype(int))]
        first = np.minimum(np.round(windows.start_s[own] * rate).astype(int), len(recording.samples) - length)
        cut = np.stack([recording.samples[start : start + length] for start in first])
        parts.append(window_features(cut, rate, bands))
        chosen.append(own)
    rows = np.concatenate(chosen)
    return {
        name: Table(np.concatenate([part[name] for part in parts]), windows.case[rows], windows.label[rows])
        for name in parts[0]
    }
