"""Classifiers that need no network: if one of them is good, the task is too easy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from camvib.evaluation.maps.data import MapData

BANDS = 16


def trivial_classifiers(train: MapData, test: MapData) -> dict[str, float]:
    """Macro-F1 on `test` of classifiers fitted on `train`."""
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    forest = RandomForestClassifier(300, random_state=0)
    given: dict[str, tuple[ClassifierMixin, NDArray[np.floating], NDArray[np.floating]]] = {
        "level": (linear, _level(train), _level(test)),
        "mean_spectrum_logistic_regression": (linear, _spectrum(train), _spectrum(test)),
        "band_energies_random_forest": (forest, _bands(train), _bands(test)),
        "baseline_difference_logistic_regression": (linear, _difference(train), _difference(test)),
    }
    return {
        name: float(f1_score(test.labels, model.fit(x, train.labels).predict(y), average="macro"))
        for name, (model, x, y) in given.items()
    }


def _level(data: MapData) -> NDArray[np.floating]:
    return data.images_db.astype(np.float32).mean(axis=(1, 2))[:, None]


def _spectrum(data: MapData) -> NDArray[np.floating]:
    spectrum = data.images_db.astype(np.float32).mean(axis=2)
    return spectrum - spectrum.mean(axis=1, keepdims=True)


def _bands(data: MapData) -> NDArray[np.floating]:
    """Mean, spread and highest value of the level-free image in bands; the highest tells of bursts."""
    image = data.images_db.astype(np.float32)
    image = image - image.mean(axis=(1, 2), keepdims=True)
    bands = image.reshape(len(image), BANDS, -1, image.shape[2]).mean(axis=2)
    return np.concatenate([bands.mean(axis=2), bands.std(axis=2), bands.max(axis=2)], axis=1)


def _difference(data: MapData) -> NDArray[np.floating]:
    """Mean, spread and 95th percentile over time of the difference to the asset's baseline."""
    image = data.images_db.astype(np.float32)
    difference = image - image.mean(axis=(1, 2), keepdims=True) - data.baselines_db[:, :, None]
    parts = [difference.mean(axis=2), difference.std(axis=2), np.quantile(difference, 0.95, axis=2)]
    return np.concatenate(parts, axis=1)


def trivial_maps(data: MapData, template_db: NDArray[np.floating]) -> Mapping[str, NDArray[np.floating]]:
    """Maps that need no network; `template_db`, (rows,), is the level-free mean healthy spectrum of all assets."""
    image = data.images_db.astype(np.float32)
    flat = image - image.mean(axis=(1, 2), keepdims=True)
    evidence = np.abs(data.evidence).astype(np.float32)
    n, rows, columns = evidence.shape
    pooled = evidence.reshape(n, rows // 4, 4, columns // 4, 4).mean(axis=(2, 4))
    return {
        "uniform": np.zeros_like(image),
        "energy": image,
        # Smoothed as scored best in trials: a trivial map deserves its best form.
        "template_difference": _smooth(np.abs(flat - template_db[:, None])),
        "baseline_difference": _smooth(np.abs(flat - data.baselines_db[:, :, None])),
        "ceiling": pooled.repeat(4, axis=1).repeat(4, axis=2),
    }


def _smooth(maps: NDArray[np.floating]) -> NDArray[np.floating]:
    return ndimage.gaussian_filter(maps, (0, 2, 2))
