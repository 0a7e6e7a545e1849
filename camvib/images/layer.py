"""What every image is: a torch module from waveforms to layers of decibels, and to the one image a network sees."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from camvib.errors import SettingsError
from camvib.images.axes import Axes
from camvib.settings import ImageSettings


class ImageLayer(nn.Module):
    """Base of the images: a layer of the deployed model, so that training and serving cannot differ.

    Attributes
    ----------
    settings : ImageSettings
    sampling_rate_hz : float
        Of the waveform.
    n : int
        Samples of a window.
    n_fft : int
        Samples of a frame.
    axes : Axes
        Edges of the cells; at the shaft's speed of training where `at_shaft_speed`.
    quantity : str
        What the frequency is of, for people: empty for the signal's own.
    """

    settings: ImageSettings
    sampling_rate_hz: float
    n: int
    n_fft: int
    axes: Axes
    quantity = ""

    def layers_db(self, waveform: Tensor, speed: Tensor | None = None) -> Tensor:
        """Turn waveforms, (batch, n), into layers, (batch, layers, rows, columns), in dB.

        `speed` is the shaft's speed relative to the training's, (batch,); None is 1. Without `at_shaft_speed` it does
        not count.
        """
        raise NotImplementedError  # by each image

    def merged(self, layers_db: Tensor) -> Tensor:
        """One image, (batch, rows, columns), of layers."""
        if layers_db.shape[1] == 1:
            return layers_db[:, 0]
        return layers_db.amax(dim=1) if self.settings.layers == "max" else layers_db.mean(dim=1)

    def forward(self, waveform: Tensor, speed: Tensor | None = None) -> Tensor:
        """Turn waveforms, (batch, n), into images, (batch, rows, columns), in dB; row 0 is the lowest frequency."""
        return self.merged(self.layers_db(waveform, speed))


class _Make(Protocol):
    def __call__(self, settings: ImageSettings, sampling_rate_hz: float) -> ImageLayer: ...


def make_layer(settings: ImageSettings, sampling_rate_hz: float) -> ImageLayer:
    """Make the image that `settings` describe; its window must be set.

    Raises
    ------
    SettingsError
        There is no image of that kind, or the settings do not fit the rate.
    """
    name = f"{__package__}.{settings.kind}"
    if importlib.util.find_spec(name) is None or not hasattr(module := importlib.import_module(name), "LAYER"):
        raise SettingsError(
            f"image.kind is {settings.kind!r}, and there is no such image", "Use spectrogram or envelope"
        )
    if settings.window_s is None:
        raise SettingsError("image.window_s is not set", "Training sets it; set it for a single drawing")
    return cast("_Make", module.LAYER)(settings, sampling_rate_hz)


def layer_images(
    layer: ImageLayer, waveforms: NDArray[np.float32], speed: NDArray[np.floating] | None = None, batch_size: int = 32
) -> NDArray[np.float32]:
    """Images in dB, shape (n, rows, columns), of windows, shape (n, samples); a few at a time."""
    return _by_batches(layer, waveforms, speed, batch_size)


def layer_stacks(
    layer: ImageLayer, waveforms: NDArray[np.float32], speed: NDArray[np.floating] | None = None, batch_size: int = 16
) -> NDArray[np.float32]:
    """All layers in dB, shape (n, layers, rows, columns), of windows, shape (n, samples)."""
    return _by_batches(layer.layers_db, waveforms, speed, batch_size)


class _Images(Protocol):
    def __call__(self, waveform: Tensor, speed: Tensor | None) -> Tensor: ...


def _by_batches(
    images: _Images, waveforms: NDArray[np.float32], speed: NDArray[np.floating] | None, batch_size: int
) -> NDArray[np.float32]:
    parts = []
    with torch.inference_mode():
        for first in range(0, len(waveforms), batch_size):
            rows = slice(first, first + batch_size)
            given = None if speed is None else torch.from_numpy(np.asarray(speed[rows], np.float32))
            parts.append(images(torch.from_numpy(np.array(waveforms[rows], np.float32)), given).numpy())
    return np.concatenate(parts)
