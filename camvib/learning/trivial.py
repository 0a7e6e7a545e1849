"""What needs no network: the figures that a network's figures stand beside.

Where one of these is as good, nothing was learned that a spectrum does not say by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import hilbert, welch
from scipy.stats import kurtosis
from sklearn.base import ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from camvib.learning.data import TrainingData
from camvib.learning.windows import Rows, recording_means, window_starts

MOST_SAMPLES = 400_000  # of one recording: long spectra of many windows take longer than the networks
SPECTRUM_ROWS = 96
ENVELOPE_ROWS = 64
LEVEL_FLOOR = 1e-30

Features = dict[str, NDArray[np.floating]]


def window_features(
    windows: NDArray[np.floating], sampling_rate_hz: float, bands: Mapping[str, tuple[float, float]] = {}
) -> Features:
    """Features of windows, (n, samples), by the name of the classifier that uses them.

    Only ``rms`` knows the level. `bands` give one logarithmic spectrum each, on a fine grid.
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
    """Log probabilities of test windows, (n, classes), and the classes, by the classifier of that name."""
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


def trivial_figures(
    data: TrainingData, folds: Sequence[tuple[Rows, Rows]], bands: Mapping[str, tuple[float, float]] = {}
) -> dict[str, float]:
    """Macro-F1 of each classifier on the held-out recordings of all folds together.

    Parameters
    ----------
    data : TrainingData
    folds : sequence of (train, held)
        Recordings.
    bands : mapping, optional
        Name → lowest and highest frequency in Hz, for one more classifier each.
    """
    features, entry = _features(data, bands)
    labels = np.asarray(data.labels)
    truth = np.concatenate([labels[held] for _, held in folds])
    found = {}
    for name, values in features.items():
        guesses = []
        for train, held in folds:
            seen, unseen = (np.isin(entry, side) for side in (train, held))
            scores, classes = predict(name, values[seen], labels[entry[seen]], values[unseen])
            means = dict(zip(*recording_means(scores, entry[unseen]), strict=True))
            guesses += [classes[means[i].argmax()] for i in held]
        found[name] = float(f1_score(truth, guesses, labels=np.unique(truth), average="macro", zero_division=0))
    return found


def _features(data: TrainingData, bands: Mapping[str, tuple[float, float]]) -> tuple[Features, Rows]:
    """Features of a few windows of each recording, and whose they are."""
    n = round(data.window_s * data.sampling_rate_hz)
    most = max(1, min(16, MOST_SAMPLES // n))
    parts, entry = [], []
    for i, recording in enumerate(data.recordings):
        starts = window_starts(len(recording.samples), n, 0.0, most)
        cut = np.stack([np.asarray(recording.samples[start : start + n], np.float64) for start in starts])
        parts.append(window_features(cut, data.sampling_rate_hz, bands))
        entry.append(np.full(len(starts), i))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return joined, np.concatenate(entry)
