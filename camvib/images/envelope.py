"""Windows of real recordings as images: the spectrogram of the signal, or of its envelopes in carrier bands.

The envelope image is for bearings: impacts ring a resonance whose place says nothing about the fault, while the
rate at which they repeat does. Each carrier band gives one layer; the network sees the largest of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import ndimage
from scipy.signal import butter, hilbert, resample_poly, sosfiltfilt

from camvib.errors import SignalError
from camvib.images.axes import Axes
from camvib.images.spectrogram import SpectrogramLayer
from camvib.records import Recording
from camvib.settings import SpectrogramSettings

ENVELOPE_TOP_HZ = 500.0  # three to four strikes of the fastest usual bearing fault at shaft speeds around 30 Hz
LEAST_CARRIER_HZ = 500.0
MOST_CARRIER_HZ = 6000.0
MOST_ENVELOPE_S = 60.0  # of a longer recording the rest is not looked at


class ImageRecipe(BaseModel):
    """How a window becomes an image.

    `window_s` None takes nine tenths of the shortest recording, at most 4 s, and `fft_s` None a share of the window.
    `envelope` takes the envelope in carrier bands first; with `shaft_axis` its frequencies are brought to one shaft
    speed where the set names it. `whiten` removes each column's running median over that many rows, so that lines
    remain and slopes do not; 0 leaves the image as it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_s: float | None = None
    overlap: float = 0.5
    rows: int = 128
    columns: int = 16
    fft_s: float | None = None
    fft_share: float = 0.25
    low_hz: float | None = None
    envelope: bool = False
    shaft_axis: bool = True
    whiten: int = 0


class Images(NamedTuple):
    """Images of windows.

    Attributes
    ----------
    values_db : ndarray, shape (windows, layers, rows, columns)
        One layer, or one a carrier band.
    start_s : ndarray, shape (windows,)
        Within the recording.
    axes : Axes
        Edges of the cells; for envelopes the frequency is that of the envelope.
    """

    values_db: NDArray[np.float32]
    start_s: NDArray[np.floating]
    axes: Axes


def images(recording: Recording, recipe: ImageRecipe, window_s: float, most: int, speed: float = 1.0) -> Images:
    """Cut a recording into at most `most` windows, evenly spread, and make their images.

    Parameters
    ----------
    recording : Recording
    recipe : ImageRecipe
    window_s : float
    most : int
    speed : float
        Shaft speed relative to the reference speed that the frequency axis is written for: lines that go with the
        shaft then stand in the same row at every speed.
    """
    rate, layers = _waveforms(recording, recipe)
    layer = _layer(recipe, window_s, rate / speed)
    last = layers.shape[1] - layer.n
    if last < 0:
        raise SignalError(
            f"{recording.source}: {recording.duration_s:g} s at {speed:.3g} of the reference speed does not fill a "
            f"window of {window_s:g} s",
            "Record longer",
        )
    count = max(1, min(most, 1 + int(last / max(1.0, (1 - recipe.overlap) * layer.n))))
    starts = np.linspace(0, last, count).round().astype(int) if count > 1 else np.zeros(1, int)
    cut = np.stack([layers[:, start : start + layer.n] for start in starts]).reshape(-1, layer.n)
    with torch.inference_mode():
        values = np.concatenate([layer(part).numpy() for part in torch.from_numpy(cut).split(64)])
    values = values.reshape(len(starts), layers.shape[0], *values.shape[1:])
    if recipe.whiten:
        values = values - ndimage.median_filter(values, size=(1, 1, recipe.whiten, 1))
    return Images(values.astype(np.float32), starts / rate, layer.axes)


def carrier_bands(sampling_rate_hz: float) -> list[tuple[float, float]]:
    """Overlapping bands of 1 kHz, or of an eighth of the usable range where that is less."""
    top = min(MOST_CARRIER_HZ, 0.46 * sampling_rate_hz)
    low = min(LEAST_CARRIER_HZ, top / 8)
    width = min(1000.0, (top - low) / 4)
    return [(start, start + width) for start in np.arange(low, top - width + 1e-6, width / 2)]


def _waveforms(recording: Recording, recipe: ImageRecipe) -> tuple[float, NDArray[np.float32]]:
    rate = recording.sampling_rate_hz
    if not recipe.envelope:
        return rate, np.asarray(recording.samples, np.float32)[None]
    samples = np.asarray(recording.samples[: round(MOST_ENVELOPE_S * rate)], np.float64)
    coarse = max(1, int(rate / (2.5 * MOST_CARRIER_HZ)))  # no carrier band reaches higher
    samples, rate = resample_poly(samples, 1, coarse), rate / coarse
    step = max(1, int(rate / (2.4 * ENVELOPE_TOP_HZ)))
    found = []
    for band in carrier_bands(rate):
        filtered = sosfiltfilt(butter(4, band, "bandpass", fs=rate, output="sos"), samples)
        squared = np.abs(hilbert(filtered)) ** 2
        found.append(resample_poly(squared / squared.mean(), 1, step))
    return rate / step, np.stack(found).astype(np.float32)


def _layer(recipe: ImageRecipe, window_s: float, rate: float) -> SpectrogramLayer:
    fft_s = min(recipe.fft_s or recipe.fft_share * window_s, window_s)
    settings = SpectrogramSettings(window_s=window_s, rows=recipe.rows, columns=recipe.columns, fft_s=fft_s)
    if recipe.envelope:
        top = min(ENVELOPE_TOP_HZ, 0.45 * rate)
        edges = np.linspace(recipe.low_hz or 5.0, top, recipe.rows + 1)
    else:
        # A pure logarithm from two cycles a frame: machines' low lines get as many rows an octave as their noise.
        edges = np.geomspace(recipe.low_hz or 2 / fft_s, 0.45 * rate, recipe.rows + 1)
    return SpectrogramLayer(settings, rate, edges)
