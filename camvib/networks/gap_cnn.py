"""Convolutions, then class maps and their mean: the class activation mapping network.

References
----------
.. [1] B. Zhou, A. Khosla, A. Lapedriza, A. Oliva, A. Torralba. Learning Deep Features for Discriminative Localization.
   CVPR 2016. arXiv:1512.04150.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from camvib.networks.blocks import conv
from camvib.networks.heads import HEADS
from camvib.networks.output import Network, Output
from camvib.settings import ImageSettings, ModelSettings


class GapCnn(Network):
    """Convolutions at a quarter of the image's resolution, then a class activation mapping head.

    A 128×128 image gives 32×32 maps. A second input channel carries the row's place, 0 to 1: a
    convolution alone cannot tell 60 Hz from 600 Hz.

    Parameters
    ----------
    classes : int
    settings : ModelSettings
    """

    def __init__(self, classes: int, settings: ModelSettings = ModelSettings()) -> None:
        super().__init__()
        widths = settings.channels
        strides = [2, 2] + [1] * (len(widths) - 2)
        kernels = [5] + [3] * (len(widths) - 1)
        inputs = [2, *widths[:-1]]
        self.features = nn.Sequential(*map(conv, inputs, widths, kernels, strides))
        self.head = HEADS[settings.head](widths[-1], classes)

    @classmethod
    def make(cls, classes: int, settings: ModelSettings, image: ImageSettings) -> Self:
        """See `Network.make`."""
        return cls(classes, settings)

    def forward(self, image: Tensor) -> Output:
        """Classify images, shape (batch, rows, columns), standardised."""
        rows = torch.linspace(0, 1, image.shape[1], device=image.device, dtype=image.dtype)
        place = rows[None, :, None].expand_as(image)
        output: Output = self.head(self.features(torch.stack([image, place], dim=1)))
        return output

    @property
    def bias(self) -> Tensor:
        """Of the head."""
        return self.head.bias

    @property
    def layer(self) -> nn.Module:
        """The last convolution."""
        return self.features


NETWORK = GapCnn
