"""The network with its image in front and its standardisation between: training and serving run this module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from camvib.images.spectrogram import SpectrogramLayer
from camvib.networks import build
from camvib.networks.output import Output
from camvib.settings import Settings


def layer_images(layer: SpectrogramLayer, waveforms: NDArray[np.float32], batch_size: int = 32) -> NDArray[np.float32]:
    """Images in dB, shape (n, rows, columns), of windows, shape (n, samples); a few at a time."""
    with torch.inference_mode():
        blocks = (np.array(waveforms[i : i + batch_size], np.float32) for i in range(0, len(waveforms), batch_size))
        return torch.cat([layer(torch.from_numpy(block)) for block in blocks]).numpy()


class Diagnoser(nn.Module):
    """Spectrogram layer → standardisation → network. Training and serving run this same module."""

    mean: Tensor
    spread: Tensor

    def __init__(self, classes: int, settings: Settings, sampling_rate_hz: float) -> None:
        super().__init__()
        self.keep_level = settings.spectrogram.keep_level
        self.spectrogram = SpectrogramLayer(settings.spectrogram, sampling_rate_hz)
        self.network = build(classes, settings)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def standardise(self, image_db: Tensor) -> Tensor:
        """Decibels to about zero mean and unit spread; each window's own level is taken out unless kept."""
        if not self.keep_level:
            image_db = image_db - image_db.mean(dim=(1, 2), keepdim=True)
        return (image_db - self.mean) / self.spread

    def fit_standardisation(self, image_db: Tensor) -> None:
        """Set mean and spread from training images, shape (n, rows, columns), in decibels."""
        self.mean.zero_()
        self.spread.fill_(1.0)
        plain = self.standardise(image_db)
        self.mean.copy_(plain.mean())
        self.spread.copy_(plain.std().clamp_min(1e-6))

    def explain(self, image_db: Tensor, *baseline: Tensor) -> Output:
        """Classify images, shape (batch, rows, columns), in decibels.

        `baseline` is mean and spread, (batch, rows) each, for a network that needs them, else nothing.
        """
        output: Output = self.network(self.standardise(image_db), *baseline)
        return output

    def forward(self, waveform: Tensor, *baseline: Tensor) -> Output:
        """Classify waveforms, shape (batch, n), in the unit of the model's input."""
        return self.explain(self.spectrogram(waveform), *baseline)


class Prediction(NamedTuple):
    """Numpy arrays for a batch of windows.

    Attributes
    ----------
    logits, maps, embedding, change : ndarray
        See `camvib.networks.output.Output`.
    spectrogram_db : ndarray, shape (batch, rows, columns)
    """

    logits: NDArray[np.float32]
    maps: NDArray[np.float32]
    embedding: NDArray[np.float32]
    change: NDArray[np.float32] | None
    spectrogram_db: NDArray[np.float32]

    @classmethod
    def join(cls, parts: Sequence[Prediction]) -> Prediction:
        """One batch after the other."""
        columns = zip(*parts, strict=True)
        joined: Any = [None if column[0] is None else np.concatenate(column) for column in columns]
        return cls(*joined)
