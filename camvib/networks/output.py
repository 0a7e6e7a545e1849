"""What every network of this room takes and gives."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class Output(NamedTuple):
    """What a network says of a batch of images.

    Attributes
    ----------
    logits : Tensor, shape (batch, classes)
    maps : Tensor, shape (batch, classes, rows, columns)
        Class maps in logits; the mean of map c plus a bias is logit c. A network that cannot say
        where has maps of 0: all of its logit is bias.
    embedding : Tensor, shape (batch, features)
        Pooled features, for the distance to what was trained on.
    change : Tensor, shape (batch, image rows, image columns), optional
        Signed change map of a network that compares with a baseline: P(gain) − P(loss).
    """

    logits: Tensor
    maps: Tensor
    embedding: Tensor
    change: Tensor | None = None


class Network(nn.Module):
    """From a standardised image, and what else it compares with, to an `Output`.

    Attributes
    ----------
    needs_baseline : bool
        Whether it takes the asset's baseline beside the image: mean and spread, (batch, rows) each.
    bias : Tensor, shape (classes,), or None
        What the mean of each map lacks to the logit; None where maps and logits have nothing to do with each other.
    """

    needs_baseline = False

    @property
    def bias(self) -> Tensor | None:
        """See above."""
        return None
