"""One weight a row and class: a linear classifier of the mean spectrum, written as class maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from camvib.networks.output import Output


class RowLinear(nn.Module):
    """One weight a row and class: the narrowest view that a class map can have.

    Where classes differ in lines alone and bearings are few, whatever sees texture learns the bearing.
    """

    def __init__(self, classes: int, rows: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes, rows))
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, image: Tensor) -> Output:
        """Classify images, (batch, rows, columns), standardised; the embedding is the mean spectrum."""
        maps = self.weight[None, :, :, None] * image[:, None]
        return Output(maps.mean(dim=(2, 3)) + self.bias, maps, image.mean(dim=2))
