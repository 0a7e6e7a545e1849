"""Image layer → standardisation → network: the module that training and serving both run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from camvib import networks
from camvib.images.axes import Axes
from camvib.images.layer import ImageLayer, make_layer
from camvib.networks.output import Network, Output
from camvib.settings import Settings


class Beside(NamedTuple):
    """What a network is given beside the waveform, for a batch of windows; None where it does not count.

    Attributes
    ----------
    mean_db, spread_db : Tensor, shape (batch, rows)
        The asset's healthy baseline.
    speed : Tensor, shape (batch,)
        The shaft's speed relative to that of training.
    """

    mean_db: Tensor | None = None
    spread_db: Tensor | None = None
    speed: Tensor | None = None

    @property
    def baseline(self) -> tuple[Tensor, ...]:
        """Mean and spread, or nothing."""
        return () if self.mean_db is None or self.spread_db is None else (self.mean_db, self.spread_db)


class Diagnoser(nn.Module):
    """One image, one network.

    Parameters
    ----------
    classes : int
    settings : Settings
    sampling_rate_hz : float
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, classes: int, settings: Settings, sampling_rate_hz: float) -> None:
        super().__init__()
        self.settings = settings
        self.image: ImageLayer = make_layer(settings.image, sampling_rate_hz)
        self.network: Network = networks.build(classes, settings)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    @property
    def n(self) -> int:
        """Samples of a window."""
        return self.image.n

    @property
    def axes(self) -> Axes:
        """Edges of the image's cells."""
        return self.image.axes

    @property
    def bias(self) -> Tensor | None:
        """What the mean of each map lacks to the logit."""
        return self.network.bias

    @property
    def needs_baseline(self) -> bool:
        """Whether it compares with the asset's healthy baseline."""
        return self.network.needs_baseline

    def standardise(self, image_db: Tensor) -> Tensor:
        """Decibels to about zero mean and unit spread; each window's own level is taken out unless kept."""
        if not self.settings.image.keep_level:
            image_db = image_db - image_db.mean(dim=(1, 2), keepdim=True)
        return (image_db - self.mean) / self.spread

    def fit_standardisation(self, images_db: NDArray[np.floating]) -> None:
        """Set mean and spread from training images, shape (n, rows, columns), in decibels."""
        self.mean.zero_()
        self.spread.fill_(1.0)
        plain = self.standardise(torch.from_numpy(np.asarray(images_db, np.float32)))
        self.mean.copy_(plain.mean())
        self.spread.copy_(plain.std().clamp_min(1e-6))

    def explain(self, image_db: Tensor, *baseline: Tensor) -> Output:
        """Classify images, shape (batch, rows, columns), in decibels.

        `baseline` is mean and spread, (batch, rows) each, for a network that needs them, else nothing.
        """
        output: Output = self.network(self.standardise(image_db), *baseline)
        return output

    def forward(self, waveform: Tensor, beside: Beside = Beside()) -> tuple[Output, Tensor]:
        """Classify waveforms, shape (batch, n), in the unit of the model's input; the image goes with it."""
        image = self.image(waveform, beside.speed)
        return self.explain(image, *beside.baseline), image
