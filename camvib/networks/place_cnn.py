"""A small GAP-CNN that keeps every row and knows each row's place.

A fault frequency is a place on the frequency axis, to within a few per cent; strides and one linear place channel blur
it. Places as sines of doubling frequency are those of [1]_; the head is that of class activation mapping.

References
----------
.. [1] A. Vaswani et al. Attention is all you need. NIPS 2017. arXiv:1706.03762, section 3.5.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from camvib.networks.heads import Conv1x1Head
from camvib.networks.output import Network, Output
from camvib.settings import ImageSettings, ModelSettings


class PlaceCnn(Network):
    """Convolutions that keep every row of the image, with each row's place as sines, and a 1×1 map head.

    Parameters
    ----------
    classes : int
    channels : tuple of int
    kernel_rows : tuple of int
        Rows of each convolution's kernel; 1 sees no neighbour.
    waves : int
        Sines and cosines a row's place is told by.
    """

    def __init__(
        self,
        classes: int,
        channels: tuple[int, ...] = (16, 32, 32),
        kernel_rows: tuple[int, ...] = (5, 3, 3),
        waves: int = 4,
    ) -> None:
        super().__init__()
        self.waves = waves
        inputs = [2 + 2 * waves, *channels[:-1]]
        blocks: list[nn.Module] = []
        for number, (i, o, rows) in enumerate(zip(inputs, channels, kernel_rows, strict=True)):
            stride = (1, 2 if number < 2 else 1)
            convolution = nn.Conv2d(i, o, (rows, 3), stride=stride, padding=(rows // 2, 1), bias=False)
            blocks += [convolution, nn.BatchNorm2d(o), nn.ReLU(inplace=True)]
        self.features = nn.Sequential(*blocks)
        self.head = Conv1x1Head(channels[-1], classes)

    @classmethod
    def make(cls, classes: int, settings: ModelSettings, image: ImageSettings) -> Self:
        """See `Network.make`; as many convolutions as `kernel_rows` has, the last of `channels` for those beyond."""
        count = len(settings.kernel_rows)
        channels = (*settings.channels, *[settings.channels[-1]] * count)[:count]
        return cls(classes, channels, settings.kernel_rows, settings.waves)

    def forward(self, image: Tensor) -> Output:
        """Classify images, (batch, rows, columns), standardised."""
        place = torch.linspace(0, 1, image.shape[1], device=image.device, dtype=image.dtype)
        powers = 2.0 ** torch.arange(self.waves, device=image.device, dtype=image.dtype)
        turns = 2 * torch.pi * powers[:, None] * place
        places = torch.cat([place[None], turns.sin(), turns.cos()])[None, :, :, None]
        tiled = places.expand(image.shape[0], -1, -1, image.shape[2])
        output: Output = self.head(self.features(torch.cat([image[:, None], tiled], dim=1)))
        return output

    @property
    def bias(self) -> Tensor:
        """Of the head."""
        return self.head.bias

    @property
    def layer(self) -> nn.Module:
        """The last convolution."""
        return self.features


NETWORK = PlaceCnn
