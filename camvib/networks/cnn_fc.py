"""Convolution, pooling, fully connected: the black box to compare with.

References
----------
.. [1] Y. LeCun, L. Bottou, Y. Bengio, P. Haffner. Gradient-based learning applied to document recognition. Proc. IEEE
   86(11), 1998.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from camvib.networks.blocks import conv
from camvib.networks.output import Network, Output
from camvib.settings import ImageSettings, ModelSettings


class CnnFc(Network):
    """Convolution, max pooling, fully connected: classifies, and cannot say where."""

    def __init__(
        self, classes: int, settings: ModelSettings = ModelSettings(), image: tuple[int, int] = (128, 128)
    ) -> None:
        super().__init__()
        widths = settings.channels
        inputs = [1, *widths[:-1]]
        layers: list[nn.Module] = []
        for i, o in zip(inputs, widths, strict=True):
            layers += [conv(i, o), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        scale = 2 ** len(widths)
        self.hidden = nn.Linear(widths[-1] * (image[0] // scale) * (image[1] // scale), 64)
        self.output = nn.Linear(64, classes)

    @classmethod
    def make(cls, classes: int, settings: ModelSettings, image: ImageSettings) -> Self:
        """See `Network.make`."""
        return cls(classes, settings, (image.rows, image.columns))

    def forward(self, image: Tensor) -> Output:
        """Classify images, shape (batch, rows, columns), standardised."""
        hidden = self.hidden(self.features(image[:, None]).flatten(1)).relu()
        logits = self.output(hidden)
        return Output(logits, torch.zeros_like(logits)[:, :, None, None], hidden)

    @property
    def layer(self) -> nn.Module:
        """The last convolution."""
        return self.features


NETWORK = CnnFc
