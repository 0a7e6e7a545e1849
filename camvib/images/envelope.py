"""Waveform → spectrograms of its envelopes in carrier bands: for bearings and whatever else strikes.

Impacts ring a resonance whose place says nothing about the fault, while the rate at which they repeat does. Each
carrier band gives one layer. Bands are cut out by complex filters, which are convolutions: the same in training, in
serving and in an exported file.

References
----------
.. [1] R. B. Randall, J. Antoni. Rolling element bearing diagnostics: a tutorial. Mechanical Systems and Signal
Processing
   25(2), 2011, section 5 (squared envelope spectrum).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import firwin, kaiserord
from torch import Tensor
from torch.nn import functional

from camvib.errors import SettingsError
from camvib.images.axes import USABLE_SHARE, Axes
from camvib.images.layer import ImageLayer
from camvib.images.spectrogram import SpectrogramLayer
from camvib.settings import ImageSettings

TOP_HZ = 500.0  # three to four strikes of the fastest usual bearing fault at shaft speeds around 30 Hz
LOW_HZ = 5.0
LEAST_CARRIER_HZ = 500.0
MOST_CARRIER_HZ = 6000.0
_USABLE_CARRIER_SHARE = 0.46
_STOP_DB = 50.0


def carrier_bands(sampling_rate_hz: float) -> list[tuple[float, float]]:
    """Overlapping bands of 1 kHz, or of a quarter of the usable range where that is less."""
    top = min(MOST_CARRIER_HZ, _USABLE_CARRIER_SHARE * sampling_rate_hz)
    low = min(LEAST_CARRIER_HZ, top / 8)
    width = min(1000.0, (top - low) / 4)
    return [(start, start + width) for start in np.arange(low, top - width + 1e-6, width / 2)]


class EnvelopeLayer(ImageLayer):
    """Squared envelopes in `carrier_bands` → one spectrogram each, on a linear axis unless told otherwise.

    Parameters
    ----------
    settings : ImageSettings
        `window_s` must be set. `low_hz` 0 is 5 Hz, `high_hz` None 500 Hz or what the rate allows.
    sampling_rate_hz : float

    Raises
    ------
    SettingsError
        The rate is too low for an envelope.
    """

    quantity = "envelope"
    carriers: Tensor
    smoother: Tensor

    def __init__(self, settings: ImageSettings, sampling_rate_hz: float) -> None:
        super().__init__()
        if settings.window_s is None:
            raise SettingsError("image.window_s is not set", "Training sets it; set it for a single drawing")
        self.settings, self.sampling_rate_hz = settings, sampling_rate_hz
        self.n = round(settings.window_s * sampling_rate_hz)
        self.bands = carrier_bands(sampling_rate_hz)
        width = self.bands[0][1] - self.bands[0][0]
        top = min(settings.high_hz or TOP_HZ, width / 2)
        step = max(1, int(sampling_rate_hz / (2.4 * top)))
        # In two steps: to a rate that still holds the band's squared magnitude, then to the envelope's own.
        self.first = max(
            d for d in range(1, step + 1) if step % d == 0 and (d == 1 or sampling_rate_hz / d > 2.5 * width)
        )
        self.second = step // self.first
        self.register_buffer("carriers", torch.from_numpy(_carriers(self.bands, sampling_rate_hz)), persistent=False)
        smoother = _low_pass(1.1 * top, 0.2 * top, sampling_rate_hz / self.first)
        self.register_buffer("smoother", torch.from_numpy(smoother.astype(np.float32)), persistent=False)
        rate, length = sampling_rate_hz / step, self.n // step
        if length < 16:
            raise SettingsError(
                f"a window of {settings.window_s:g} s at {sampling_rate_hz:g} Hz has {length} samples of an envelope",
                "Use the spectrogram, or record longer",
            )
        inner = settings.model_copy(
            update={
                "kind": "spectrogram",
                "window_s": length / rate,
                "fft_s": min(settings.fft_s, length / rate) if settings.fft_s else None,
                "frequency_axis": settings.frequency_axis if settings.frequency_axis == "geometric" else "linear",
                "low_hz": settings.low_hz or LOW_HZ,
                "high_hz": min(top, USABLE_SHARE * rate),
            }
        )
        self.spectrogram = SpectrogramLayer(inner, rate)
        self.n_fft = self.spectrogram.n_fft * step
        time_s = np.linspace(0, self.n / sampling_rate_hz, settings.columns + 1)
        self.axes = Axes(self.spectrogram.axes.frequency_hz, time_s)

    def layers_db(self, waveform: Tensor, speed: Tensor | None = None) -> Tensor:
        """Turn waveforms, (batch, n), into layers, (batch, bands, rows, columns): the envelopes' level is taken out."""
        waveform = waveform - waveform.mean(dim=1, keepdim=True)
        waveform = waveform / waveform.square().mean(dim=1, keepdim=True).clamp_min(1e-30).sqrt()
        parts = functional.conv1d(
            waveform[:, None], self.carriers, stride=self.first, padding=self.carriers.shape[-1] // 2
        )
        bands = len(self.bands)
        squared = parts[:, :bands].square() + parts[:, bands:].square()
        smooth = functional.conv1d(
            squared.flatten(0, 1)[:, None], self.smoother[None, None], stride=self.second,
            padding=len(self.smoother) // 2,
        )[:, 0, : self.spectrogram.n]  # fmt: skip
        smooth = smooth / smooth.mean(dim=1, keepdim=True).clamp_min(1e-30)
        if speed is not None:
            speed = speed.repeat_interleave(bands)
        return self.spectrogram.layers_db(smooth, speed).unflatten(0, (waveform.shape[0], bands))[:, :, 0]


LAYER = EnvelopeLayer


def _carriers(bands: list[tuple[float, float]], sampling_rate_hz: float) -> NDArray[np.float32]:
    """Real, then imaginary parts of one complex band pass a band, shape (2 × bands, 1, taps)."""
    width = bands[0][1] - bands[0][0]
    low = _low_pass(width / 2, width / 4, sampling_rate_hz)
    turn = np.arange(len(low)) - len(low) // 2
    kernels = [low * np.exp(2j * np.pi * (a + b) / 2 / sampling_rate_hz * turn) for a, b in bands]
    return np.concatenate([np.real(kernels), np.imag(kernels)]).astype(np.float32)[:, None]


def _low_pass(cut_hz: float, transition_hz: float, sampling_rate_hz: float) -> NDArray[np.float64]:
    """Symmetric filter of an odd number of taps; nothing to filter where the cut lies above half the rate."""
    if cut_hz + transition_hz >= sampling_rate_hz / 2:
        return np.ones(1)
    taps, beta = kaiserord(_STOP_DB, transition_hz / (sampling_rate_hz / 2))
    filter_: NDArray[np.float64] = firwin(taps | 1, cut_hz, window=("kaiser", beta), fs=sampling_rate_hz)
    return filter_
