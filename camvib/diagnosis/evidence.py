"""What stands behind a verdict, at the size of a drawing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from camvib.images.axes import Axes
from camvib.model.model import Model, Prediction
from camvib.recordings.long_signals import extremes, power_density
from camvib.records import ActivationMap, ChangeMap, Evidence, Recording, Spectrogram

WAVEFORM_POINTS = 800
SPECTRUM_POINTS = 800
SPECTROGRAM_COLUMNS = 512


def mean_of_columns(images: NDArray[np.floating], fold: int) -> NDArray[np.floating]:
    """Average every `fold` neighbouring columns."""
    return images.reshape(*images.shape[:-1], -1, fold).mean(axis=-1)


def columns_to_fold(columns: int) -> int:
    """How many neighbouring columns of a long recording's picture become one: a power of two."""
    return int(2 ** np.clip(np.ceil(np.log2(columns / SPECTROGRAM_COLUMNS)), 0, 5))


def evidence_of(
    recording: Recording, model: Model, predicted: Prediction, activation: ActivationMap, axes: Axes, speed: float = 1.0
) -> Evidence:
    """Image, map, waveform and spectrum of a recording, no finer than people can see."""
    image = np.concatenate(list(predicted.image_db), axis=-1)
    centres = model.map_axes(predicted.image_db, speed).centres()
    edges_s = np.linspace(axes.time_s[0], axes.time_s[-1], image.shape[-1] + 1)
    seconds = (edges_s[1:] + edges_s[:-1]) / 2
    change = None if predicted.change is None else np.concatenate(list(predicted.change), axis=-1)
    samples = recording.samples
    low, high = extremes(samples, min(WAVEFORM_POINTS, len(samples)))
    segment = min(len(samples), model.diagnoser.image.n_fft * 2)
    hz, density = power_density(samples, recording.sampling_rate_hz, segment)
    bins = np.linspace(0, len(hz), min(SPECTRUM_POINTS, len(hz)) + 1).astype(int)[:-1]
    return Evidence(
        spectrogram=Spectrogram(image, centres.frequency_hz, seconds, recording.unit),
        contrast=_folded(activation),
        waveform_low=low,
        waveform_high=high,
        spectrum_hz=hz[bins],
        # The largest of the bins that fall together: a line must not vanish from the picture.
        spectrum_db=10 * np.log10(np.maximum.reduceat(density, bins) + 1e-30),
        change=None if change is None else ChangeMap(change, centres.frequency_hz, seconds),
    )


def _folded(activation: ActivationMap) -> ActivationMap:
    """Map of a long recording, with neighbouring columns averaged: its mean, and so its sum, stays."""
    columns = activation.values.shape[1]
    fold = min(columns_to_fold(columns), columns & -columns)
    values = mean_of_columns(activation.values, fold)
    return replace(activation, values=values, time_s=activation.time_s.reshape(-1, fold).mean(axis=-1))
