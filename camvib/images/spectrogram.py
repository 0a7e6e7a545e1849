"""Waveform → log-magnitude image, as a torch module, so that it is a layer of the deployed model."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from camvib.errors import SettingsError, SignalError
from camvib.images.axes import Axes, frequency_edges
from camvib.records import Recording, Spectrogram
from camvib.settings import SpectrogramSettings

MAX_WINDOW_S = 4.0


def _filter_bank(edges_hz: NDArray[np.floating], bins_hz: NDArray[np.floating]) -> NDArray[np.floating]:
    """Triangles over the FFT bins, one a row, each of weight 1, none narrower than a bin."""
    centre = (edges_hz[1:] + edges_hz[:-1]) / 2
    half = np.maximum(np.diff(edges_hz), bins_hz[1] - bins_hz[0])[:, None]
    weights = np.maximum(0.0, 1.0 - np.abs(bins_hz[None, :] - centre[:, None]) / half)
    return weights / weights.sum(axis=1, keepdims=True)


def _time_bank(n: int, hop: int, frames: int, columns: int) -> NDArray[np.float64]:
    """Linear interpolation from frame centres to column centres, shape (frames, columns)."""
    position = np.clip((np.arange(columns) + 0.5) * n / columns / hop, 0, frames - 1)
    return np.maximum(0.0, 1.0 - np.abs(np.arange(frames)[:, None] - position[None, :]))


class SpectrogramLayer(nn.Module):
    """Short-time Fourier transform → filter bank → decibels, on a fixed image grid.

    Parameters
    ----------
    settings : SpectrogramSettings
        `window_s` must be set.
    sampling_rate_hz : float
    edges_hz : ndarray, shape (rows + 1,), optional
        Row edges that replace those of the settings' frequency axis.
    """

    taper: Tensor
    bank: Tensor
    time_bank: Tensor

    def __init__(
        self, settings: SpectrogramSettings, sampling_rate_hz: float, edges_hz: NDArray[np.floating] | None = None
    ) -> None:
        super().__init__()
        if settings.window_s is None:
            raise SettingsError("spectrogram.window_s is not set", "Training sets it; set it for a single picture")
        self.settings, self.sampling_rate_hz = settings, sampling_rate_hz
        self.n = round(settings.window_s * sampling_rate_hz)
        self.n_fft = max(16, round((settings.fft_s or settings.window_s / 16) * sampling_rate_hz) // 2 * 2)
        if self.n_fft > self.n:
            raise SettingsError(
                f"an FFT of {self.n_fft} samples does not fit a window of {self.n}",
                f"Set spectrogram.fft_s below {settings.window_s:g} s, or a longer spectrogram.window_s",
            )
        self.hop = max(1, self.n // settings.columns)
        frames = self.n // self.hop + 1
        bins_hz = np.fft.rfftfreq(self.n_fft, 1 / sampling_rate_hz)
        edges_hz = frequency_edges(settings, sampling_rate_hz) if edges_hz is None else edges_hz
        self.axes = Axes(edges_hz, np.linspace(0, self.n / sampling_rate_hz, settings.columns + 1))
        taper = torch.hann_window(self.n_fft, dtype=torch.float64)
        density = 2.0 / (sampling_rate_hz * taper.square().sum())  # one-sided power density
        bank = torch.from_numpy(_filter_bank(edges_hz, bins_hz)) * density
        self.register_buffer("taper", taper.float(), persistent=False)
        self.register_buffer("bank", bank.float(), persistent=False)
        time_bank = _time_bank(self.n, self.hop, frames, settings.columns)
        self.register_buffer("time_bank", torch.from_numpy(time_bank).float(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Turn waveforms into images.

        Parameters
        ----------
        waveform : Tensor, shape (batch, n)
            In the recording's unit. The mean is removed: an accelerometer's bias is not vibration.

        Returns
        -------
        Tensor, shape (batch, rows, columns)
            Decibels re 1 unit² / Hz; row 0 is the lowest frequency.
        """
        waveform = waveform - waveform.mean(dim=1, keepdim=True)
        mean_square = waveform.square().mean(dim=1)[:, None, None]
        # Scaled to unit level first: the square of a quiet displacement signal underflows float32.
        scale = mean_square.clamp_min(1e-30).sqrt()
        frames = torch.stft(
            waveform / scale[:, :, 0], self.n_fft, self.hop, window=self.taper, center=True, return_complex=True
        )
        power = frames.real.square() + frames.imag.square()
        image = torch.matmul(torch.matmul(self.bank, power), self.time_bank)
        floor = 10 ** (self.settings.floor_db / 10) / self.sampling_rate_hz
        return 10 * torch.log10(image + floor) + 20 * torch.log10(scale)


def window_length_s(durations_s: list[float]) -> float:
    """Choose the window: the shortest recording, at most 4 s; a few much shorter ones do not count."""
    typical = np.quantile(durations_s, 0.05, method="lower")
    return float(min(MAX_WINDOW_S, *(duration for duration in durations_s if duration >= 0.8 * typical)))


def spectrogram(recording: Recording, settings: SpectrogramSettings) -> Spectrogram:
    """Image of one recording, whole (a window is as long as the recording, unless `window_s` is set).

    Raises
    ------
    SignalError
        The recording is shorter than 16 samples or than the window.
    """
    if len(recording.samples) < 16:
        raise SignalError(f"{recording.source}: {len(recording.samples)} samples", "A spectrogram needs at least 16")
    window_s = settings.window_s or recording.duration_s
    layer = SpectrogramLayer(settings.model_copy(update={"window_s": window_s}), recording.sampling_rate_hz)
    if len(recording.samples) < layer.n:
        raise SignalError(
            f"{recording.source}: {recording.duration_s:.3g} s is shorter than the window of {window_s:g} s",
            "Record longer, or set a shorter spectrogram.window_s",
        )
    samples = torch.from_numpy(np.array(recording.samples[: layer.n], np.float32)[None])
    with torch.inference_mode():
        image = layer(samples)[0].numpy()
    centres = layer.axes.centres()
    return Spectrogram(image, centres.frequency_hz, centres.time_s + recording.start_s, recording.unit)
