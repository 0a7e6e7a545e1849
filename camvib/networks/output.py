"""What every network gives, and what it must keep."""

from __future__ import annotations

from typing import NamedTuple, Self

from torch import Tensor, nn

from camvib.settings import ImageSettings, ModelSettings


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
    presence : Tensor, shape (batch, classes - 1), optional
        Log odds that each fault is there, alone or beside others; of a network that was trained to tell.
    """

    logits: Tensor
    maps: Tensor
    embedding: Tensor
    change: Tensor | None = None
    presence: Tensor | None = None


class Network(nn.Module):
    """From a standardised image, and what else it compares with, to an `Output`.

    Attributes
    ----------
    needs_baseline : bool
        Whether it takes the asset's baseline beside the image: mean and spread, (batch, rows) each.
    bias : Tensor, shape (classes,), or None
        What the mean of each map lacks to the logit; None where maps and logits have nothing to do with each other.
    layer : Module
        Last layer with a place in the image: what gradient methods look at.
    """

    needs_baseline = False

    @classmethod
    def make(cls, classes: int, settings: ModelSettings, image: ImageSettings) -> Self:
        """Make it for images of that size."""
        raise NotImplementedError  # by each network

    @property
    def bias(self) -> Tensor | None:
        """See above."""
        return None

    @property
    def layer(self) -> nn.Module:
        """See above."""
        raise NotImplementedError  # by each network
