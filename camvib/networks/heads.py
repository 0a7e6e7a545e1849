"""Three ways to write the head of class activation mapping: the same numbers, naive, better and exact.

References
----------
.. [1] B. Zhou, A. Khosla, A. Lapedriza, A. Oliva, A. Torralba. Learning Deep Features for Discriminative Localization.
   CVPR 2016. arXiv:1512.04150.
.. [2] M. Lin, Q. Chen, S. Yan. Network in Network. ICLR 2014. arXiv:1312.4400 (global average pooling over class maps).
"""

from __future__ import annotations

import torch
from torch import nn

from camvib.networks.output import Output


class NaiveHead(nn.Module):
    """Pool, then a linear layer; the maps are rebuilt from its weights (Zhou et al., eq. 2)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, features))
        self.bias = nn.Parameter(torch.zeros(classes))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, features: torch.Tensor) -> Output:
        """Map features (batch, k, rows, columns) to an `Output`."""
        pooled = features.mean(dim=(2, 3))
        logits = nn.functional.linear(pooled, self.weight, self.bias)
        return Output(logits, torch.einsum("ck,bkft->bcft", self.weight, features), pooled)


class Conv1x1Head(NaiveHead):
    """Class maps first by a 1×1 convolution, then pool: one pass gives logits and maps."""

    def forward(self, features: torch.Tensor) -> Output:
        """Map features (batch, k, rows, columns) to an `Output`."""
        maps = nn.functional.conv2d(features, self.weight[:, :, None, None])
        return Output(maps.mean(dim=(2, 3)) + self.bias, maps, features.mean(dim=(2, 3)))


class SoftmaxHead(NaiveHead):
    """Every cell votes: the linear layer at each cell, bias and all, then the mean over cells.

    The softmax of the mean vote is the class probability; the bias is taken out of the maps again,
    so that a map is 0 where no feature is active.
    """

    def forward(self, features: torch.Tensor) -> Output:
        """Map features (batch, k, rows, columns) to an `Output`."""
        votes = nn.functional.linear(features.permute(0, 2, 3, 1), self.weight, self.bias)
        maps = (votes - self.bias).permute(0, 3, 1, 2)
        return Output(votes.mean(dim=(1, 2)), maps, features.mean(dim=(2, 3)))


HEADS: dict[str, type[NaiveHead]] = {
    "naive": NaiveHead,
    "conv1x1": Conv1x1Head,
    "softmax": SoftmaxHead,
    "sigmoid": Conv1x1Head,  # the same maps; each class is on or off by itself, see `probabilities`
}


def probabilities(logits: torch.Tensor, head: str) -> torch.Tensor:
    """Class probabilities: softmax, or one sigmoid a class where faults may come together."""
    return logits.sigmoid() if head == "sigmoid" else logits.softmax(dim=-1)
