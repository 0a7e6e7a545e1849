"""What changed within one recording: each moment against the recording's own first seconds, without a network.

The map is signed and in decibels: gain (+) where a line is stronger than it was, LOSS (−) where it is gone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from camvib.diagnosis.regions import regions
from camvib.errors import SignalError
from camvib.images.axes import Axes
from camvib.images.spectrogram import SpectrogramLayer
from camvib.records import ActivationMap, Recording, Region
from camvib.settings import ImageSettings

FFT_S = 0.25
COLUMN_S = 0.05
LEAST_CHANGE_DB = 6.0  # as in the evidence masks of the simulated recordings
SPREADS = 5.0  # a row that fluctuates by itself must change by more than this many of its own spreads
DYNAMICS_DB = 20.0  # what is this far below the strongest line carries no power that could be missed


def change_map(recording: Recording, reference_s: tuple[float, float]) -> tuple[ActivationMap, Axes]:
    """Signed change of every cell against the reference stretch; 0 where it is within the usual fluctuation.

    Parameters
    ----------
    recording : Recording
    reference_s : (float, float)
        Start and end of the stretch that counts as usual, in s of the recording.

    Returns
    -------
    ActivationMap
        Decibels. Row 0 is the lowest frequency.
    Axes
        Cell edges.

    Raises
    ------
    SignalError
        The reference stretch holds fewer than ten columns.
    """
    level_db, axes = _level(recording)
    centres = axes.centres()
    usual = (centres.time_s >= reference_s[0] + FFT_S / 2) & (centres.time_s <= reference_s[1] - FFT_S / 2)
    if usual.sum() < 10:
        raise SignalError(
            f"{recording.source}: {usual.sum()} columns lie in the reference stretch {reference_s}",
            f"Take a stretch of at least {10 * COLUMN_S + FFT_S:g} s within the recording",
        )
    median = np.median(level_db[:, usual], axis=1, keepdims=True)
    spread = 1.4826 * np.median(np.abs(level_db[:, usual] - median), axis=1, keepdims=True)
    change = level_db - median
    heard = np.maximum(level_db, median) > level_db[:, usual].max() - DYNAMICS_DB
    real = np.abs(change) > np.maximum(LEAST_CHANGE_DB, SPREADS * spread)
    # At both ends the transform sees the recording mirrored: what it shows there was not measured.
    inner = (axes.time_s[:-1] >= axes.time_s[0] + FFT_S / 2) & (axes.time_s[1:] <= axes.time_s[-1] - FFT_S / 2)
    values = np.where(heard & real & inner, change, 0.0)
    return ActivationMap(values, centres.frequency_hz, centres.time_s, "change", "own first seconds"), axes


def changes(recording: Recording, reference_s: tuple[float, float]) -> tuple[Region, ...]:
    """Boxes of what changed after the reference stretch, strongest first; empty when nothing did."""
    found, axes = change_map(recording, reference_s)
    later = np.where(found.time_s > reference_s[1], found.values, 0.0)
    after = ActivationMap(later, found.frequency_hz, found.time_s, found.label, found.reference)
    return regions(after, axes)


def as_dict(recording: str, region: Region) -> dict[str, Any]:
    """A region as it stands in a results file."""
    return {
        "recording": recording,
        "start_s": round(region.start_s, 3),
        "end_s": round(region.end_s, 3),
        "low_hz": round(region.low_hz, 2),
        "high_hz": round(region.high_hz, 2),
        "share": round(region.share, 4),
        "sign": region.sign,
        "name": "LOSS" if region.sign < 0 else "gain",
    }


def _level(recording: Recording) -> tuple[NDArray[np.floating], Axes]:
    rate = recording.sampling_rate_hz
    columns = max(8, round(recording.duration_s / COLUMN_S))
    rows = max(8, min(1024, round(0.45 * rate * FFT_S)))
    settings = ImageSettings.model_validate(
        {
            "window_s": recording.duration_s, "rows": rows, "columns": min(columns, 1024), "fft_s": FFT_S,
            "frequency_axis": "linear",
        }
    )  # fmt: skip
    layer = SpectrogramLayer(settings, rate)
    with torch.inference_mode():
        image = layer(torch.from_numpy(np.array(recording.samples[: layer.n], np.float32)[None]))[0].numpy()
    power = ndimage.uniform_filter(10 ** (image.astype(np.float64) / 10), (1, 3))
    return 10 * np.log10(power + 1e-300), Axes(layer.axes.frequency_hz, layer.axes.time_s + recording.start_s)
