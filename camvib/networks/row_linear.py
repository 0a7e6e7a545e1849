"""One weight a row and class: multinomial logistic regression whose class maps add up.

The narrowest view that a class map can have. Where classes differ in lines alone and machines are few, whatever sees
texture learns the machine (docs/log.md).

References
----------
.. [1] D. R. Cox. The regression analysis of binary sequences. J. R. Stat. Soc. B 20(2), 1958.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from camvib.networks.output import Network, Output
from camvib.settings import ImageSettings, ModelSettings


class RowLinear(Network):
    """Class maps are the image times one weight a row; the embedding is the mean spectrum.

    Parameters
    ----------
    classes, rows : int
    """

    def __init__(self, classes: int, rows: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes, rows))
        self._bias = nn.Parameter(torch.zeros(classes))
        self.seen = nn.Identity()

    @classmethod
    def make(cls, classes: int, settings: ModelSettings, image: ImageSettings) -> Self:
        """See `Network.make`."""
        return cls(classes, image.rows)

    def forward(self, image: Tensor) -> Output:
        """Classify images, (batch, rows, columns), standardised."""
        maps = self.weight[None, :, :, None] * self.seen(image[:, None])
        return Output(maps.mean(dim=(2, 3)) + self._bias, maps, image.mean(dim=2))

    @property
    def bias(self) -> Tensor:
        """One number a class."""
        return self._bias

    @property
    def layer(self) -> nn.Module:
        """The image itself."""
        return self.seen


NETWORK = RowLinear
