"""Waveform → log-magnitude image: short-time Fourier transform, filter bank, decibels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camvib.errors import SettingsError, SignalError
from camvib.images.axes import Axes, frequency_edges
from camvib.images.layer import ImageLayer, make_layer
from camvib.records import Recording, Spectrogram
from camvib.settings import ImageSettings

MAX_WINDOW_S = 4.0
USUAL_SAMPLES = 1024  # of slow signals a window is longer
_LEAST_FFT = 16


def _filter_bank(edges_hz: Tensor, bins_hz: Tensor, step_hz: float) -> Tensor:
    """Triangles over the FFT bins, one a row, each of weight 1, none narrower than a bin: (..., rows, bins)."""
    centre = (edges_hz[..., 1:] + edges_hz[..., :-1]) / 2
    half = torch.clamp_min(edges_hz[..., 1:] - edges_hz[..., :-1], step_hz)[..., None]
    weights = torch.clamp_min(1.0 - (bins_hz - centre[..., None]).abs() / half, 0.0)
    # A row above the last bin holds nothing; no division by its 0.
    return weights / weights.sum(dim=-1, keepdim=True).clamp_min(1e-12)


def _time_bank(n: int, hop: int, frames: int, columns: int) -> NDArray[np.float64]:
    """Linear interpolation from frame centres to column centres, shape (frames, columns)."""
    position = np.clip((np.arange(columns) + 0.5) * n / columns / hop, 0, frames - 1)
    return np.maximum(0.0, 1.0 - np.abs(np.arange(frames)[:, None] - position[None, :]))


class SpectrogramLayer(ImageLayer):
    """Short-time Fourier transform → filter bank → decibels, on a fixed image grid.

    Parameters
    ----------
    settings : ImageSettings
        `window_s` must be set.
    sampling_rate_hz : float
    """

    taper: Tensor
    bank: Tensor
    time_bank: Tensor
    edges: Tensor
    bins: Tensor

    def __init__(self, settings: ImageSettings, sampling_rate_hz: float) -> None:
        super().__init__()
        if settings.window_s is None:
            raise SettingsError("image.window_s is not set", "Training sets it; set it for a single drawing")
        self.settings, self.sampling_rate_hz = settings, sampling_rate_hz
        self.n = round(settings.window_s * sampling_rate_hz)
        fft_s = settings.fft_s or settings.fft_share * settings.window_s
        self.n_fft = max(_LEAST_FFT, round(fft_s * sampling_rate_hz) // 2 * 2)
        if self.n_fft > self.n:
            raise SettingsError(
                f"an FFT of {self.n_fft} samples does not fit a window of {self.n}",
                f"Set image.fft_s below {settings.window_s:g} s, or a longer image.window_s",
            )
        self.hop = max(1, self.n // settings.columns)
        frames = self.n // self.hop + 1
        edges_hz = frequency_edges(settings, sampling_rate_hz, fft_s)
        self.axes = Axes(edges_hz, np.linspace(0, self.n / sampling_rate_hz, settings.columns + 1))
        taper = torch.hann_window(self.n_fft, dtype=torch.float64)
        self.density = float(2.0 / (sampling_rate_hz * taper.square().sum()))  # one-sided power density
        self.step_hz = sampling_rate_hz / self.n_fft
        bins = torch.from_numpy(np.fft.rfftfreq(self.n_fft, 1 / sampling_rate_hz))
        edges = torch.from_numpy(edges_hz)
        time_bank = torch.from_numpy(_time_bank(self.n, self.hop, frames, settings.columns))
        for name, value in (
            ("taper", taper),
            ("bank", _filter_bank(edges, bins, self.step_hz) * self.density),
            ("time_bank", time_bank),
            ("edges", edges),
            ("bins", bins),
        ):
            self.register_buffer(name, value.float(), persistent=False)

    def layers_db(self, waveform: Tensor, speed: Tensor | None = None) -> Tensor:
        """Turn waveforms into one layer, (batch, 1, rows, columns), in decibels re 1 unit² / Hz.

        Parameters
        ----------
        waveform : Tensor, shape (batch, n)
            In the recording's unit. The mean is removed: an accelerometer's bias is not vibration.
        speed : Tensor, shape (batch,), optional
            See `ImageLayer.layers_db`.
        """
        waveform = waveform - waveform.mean(dim=1, keepdim=True)
        mean_square = waveform.square().mean(dim=1)[:, None, None]
        # Scaled to unit level first: the square of a quiet displacement signal underflows float32.
        scale = mean_square.clamp_min(1e-30).sqrt()
        frames = torch.stft(
            waveform / scale[:, :, 0], self.n_fft, self.hop, window=self.taper, center=True, return_complex=True
        )
        power = frames.real.square() + frames.imag.square()
        bank = self.bank
        if speed is not None and self.settings.at_shaft_speed:
            bank = _filter_bank(self.edges * speed[:, None], self.bins, self.step_hz) * self.density
        image = torch.matmul(torch.matmul(bank, power), self.time_bank)
        floor = 10 ** (self.settings.floor_db / 10) / self.sampling_rate_hz
        image_db = 10 * torch.log10(image + floor) + 20 * torch.log10(scale)
        return _without_slopes(image_db, self.settings.whiten)[:, None]


LAYER = SpectrogramLayer


def _without_slopes(image_db: Tensor, rows: int) -> Tensor:
    """Take out the running median over so many rows, (..., rows, columns); 0 leaves the image as it is.

    The median is taken at every eighth of that height and joined by straight lines: slopes have no finer detail.
    """
    if not rows:
        return image_db
    size = image_db.shape[-2]
    centres = np.unique(np.append(np.arange(0, size, max(1, rows // 8)), size - 1))
    # Beyond the edges the image is mirrored, the edge row with it.
    period = (centres[:, None] + np.arange(rows)[None] - rows // 2) % (2 * size)
    at = torch.from_numpy(np.minimum(period, 2 * size - 1 - period).ravel()).to(image_db.device)
    around = image_db.transpose(-1, -2)[..., at].unflatten(-1, (len(centres), rows))
    median = around.topk(rows // 2 + 1, dim=-1).values[..., -1]
    between = np.stack([np.interp(np.arange(size), centres, one) for one in np.eye(len(centres))])
    return image_db - torch.matmul(median, torch.from_numpy(between).to(median)).transpose(-1, -2)


def window_length_s(durations_s: list[float], sampling_rate_hz: float = 4096.0) -> float:
    """Choose the window: the shortest recording, at most 4 s or 1024 samples; a few much shorter ones do not count."""
    typical = np.quantile(durations_s, 0.05, method="lower")
    most = max(MAX_WINDOW_S, USUAL_SAMPLES / sampling_rate_hz)
    return float(min(most, *(duration for duration in durations_s if duration >= 0.8 * typical)))


def spectrogram(recording: Recording, settings: ImageSettings = ImageSettings()) -> Spectrogram:
    """Image of one recording, whole (a window is as long as the recording, unless `window_s` is set).

    Raises
    ------
    SignalError
        The recording is shorter than 16 samples or than the window.
    """
    if len(recording.samples) < _LEAST_FFT:
        raise SignalError(
            f"{recording.source}: {len(recording.samples)} samples", f"A spectrogram needs at least {_LEAST_FFT}"
        )
    window_s = settings.window_s or recording.duration_s
    layer = make_layer(settings.model_copy(update={"window_s": window_s}), recording.sampling_rate_hz)
    if len(recording.samples) < layer.n:
        raise SignalError(
            f"{recording.source}: {recording.duration_s:.3g} s is shorter than the window of {window_s:g} s",
            "Record longer, or set a shorter image.window_s",
        )
    samples = torch.from_numpy(np.array(recording.samples[: layer.n], np.float32)[None])
    with torch.inference_mode():
        image = layer(samples)[0].numpy()
    centres = layer.axes.centres()
    return Spectrogram(image, centres.frequency_hz, centres.time_s + recording.start_s, recording.unit)
