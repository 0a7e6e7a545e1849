"""A GAP-CNN that keeps every row of the image and knows each row's place.

The class maps are those of Zhou et al. [1]_; the places are written as sines and cosines as in Vaswani et al. [2]_.

References
----------
.. [1] B. Zhou, A. Khosla, A. Lapedriza, A. Oliva, A. Torralba. Learning Deep Features for
   Discriminative Localization. CVPR 2016. arXiv:1512.04150.
.. [2] A. Vaswani et al. Attention Is All You Need. NeurIPS 2017. arXiv:1706.03762 (positions as sines).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from camvib.networks.heads import Conv1x1Head
from camvib.networks.output import Output


class PlaceCnn(nn.Module):
    """Convolutions that keep every row of the image, with each row's place as sines, and a 1×1 map head.

    A fault frequency is a place on the frequency axis, to within a few per cent; strides and one linear place
    channel blur it.

    Parameters
    ----------
    classes : int
    widths : tuple of int
        Channels of each block.
    kernel_rows : tuple of int
        Rows of each block's kernel; one number a width.
    waves : int
        Octaves of sines and cosines that tell the place.
    """

    def __init__(self, classes: int, widths: tuple[int, ...], kernel_rows: tuple[int, ...], waves: int) -> None:
        super().__init__()
        self.waves = waves
        inputs = [2 + 2 * waves, *widths[:-1]]
        blocks = []
        for number, (i, o, rows) in enumerate(zip(inputs, widths, kernel_rows, strict=True)):
            stride = (1, 2 if number < 2 else 1)
            conv = nn.Conv2d(i, o, (rows, 3), stride=stride, padding=(rows // 2, 1), bias=False)
            blocks += [conv, nn.BatchNorm2d(o), nn.ReLU(inplace=True)]
        self.features = nn.Sequential(*blocks)
        self.head = Conv1x1Head(widths[-1], classes)

    def forward(self, image: Tensor) -> Output:
        """Classify images, (batch, rows, columns), standardised."""
        place = torch.linspace(0, 1, image.shape[1])
        turns = 2 * torch.pi * 2.0 ** torch.arange(self.waves)[:, None] * place
        places = torch.cat([place[None], turns.sin(), turns.cos()])[None, :, :, None]
        tiled = places.expand(len(image), -1, -1, image.shape[2])
        output: Output = self.head(self.features(torch.cat([image[:, None], tiled], dim=1)))
        return output
