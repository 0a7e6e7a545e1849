"""Class maps on the change: why what changed means this fault, adding up to the logits exactly.

``map_c = total × weight × share_c``: `weight` is the change map divided by its sum over cells, so that a cell
where nothing changed contributes nothing; `share_c` is the vote of a cell, a softmax over classes with healthy
among them; `total` is how many logits this recording has to give away. ``logit_c = mean(map_c) + bias_c``, and
the map of healthy is 0, so the map of a fault is its contrast with healthy. Because weights are shared out over
the recording, a faint crack is not starved by the mean; the price is that a cell's value is its share of the
logit, not the logit's fall when the cell is taken away.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from camvib.twin import WIDTHS, Change, TwinNet, conv, twin_channels

_WEIGHT_FLOOR = 1e-4  # mean change below which weights fade: a healthy recording has nothing to share out


class ChangeOutput(NamedTuple):
    """Logits and maps of a batch, and the change they are built on.

    Attributes
    ----------
    logits : Tensor, shape (batch, classes)
    maps : Tensor, shape (batch, classes, rows, columns)
        In logits, at the image's resolution; class 0, healthy, is 0 everywhere.
    shares : Tensor, shape (batch, classes, rows / 4, columns / 4)
        Log votes of the cells.
    change : Change
    embedding : Tensor, shape (batch, features)
    """

    logits: Tensor
    maps: Tensor
    shares: Tensor
    change: Change
    embedding: Tensor


class ClassMaps(nn.Module):
    """Votes of the cells on what the change means."""

    def __init__(self, classes: int, features: int, width: int = 48) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(9, 16, 5, 2), conv(16, 32, 3, 2))
        self.local = nn.Sequential(conv(32 + features, width), conv(width, width), conv(width, width, 3, 1, 2))
        self.context = nn.Sequential(nn.Linear(2 * width + 1, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.mix = conv(2 * width, width, 1)
        self.vote = nn.Conv2d(width, classes, 1)
        self.amount = nn.Linear(width, 1)
        self.bias = nn.Parameter(torch.zeros(classes))
        with torch.no_grad():
            self.bias[0] = 4.0
            self.amount.bias.fill_(8.0)

    def forward(self, channels: Tensor, change: Change, features: Tensor) -> ChangeOutput:
        """Explain `change` with one map a class."""
        probability = change.probability[:, None]
        seen = torch.stack([change.difference_db / 10, change.gain, change.loss], dim=1)
        local = self.local(torch.cat([self.stem(torch.cat([channels, seen], dim=1)), features], dim=1))
        weight = probability / (probability.mean(dim=(2, 3), keepdim=True) + _WEIGHT_FLOOR)
        coarse = functional.avg_pool2d(weight, 4).to(local.dtype)
        size = torch.log10(probability.mean(dim=(1, 2, 3)) + _WEIGHT_FLOOR)[:, None]
        pooled = [(local * coarse).mean(dim=(2, 3)), local.mean(dim=(2, 3)), size.to(local.dtype)]
        context = self.context(torch.cat(pooled, dim=1))
        mixed = self.mix(torch.cat([local, context[:, :, None, None].expand_as(local)], dim=1))
        votes = self.vote(mixed).float()
        total = functional.softplus(self.amount(context).float())[:, :, None, None]
        shares = functional.interpolate(votes, scale_factor=4.0, mode="bilinear").softmax(dim=1)
        fault_maps = total * weight * shares[:, 1:]
        maps = torch.cat([torch.zeros_like(fault_maps[:, :1]), fault_maps], dim=1)
        return ChangeOutput(maps.mean(dim=(2, 3)) + self.bias, maps, votes.log_softmax(dim=1), change, context)


class ChangeCnn(nn.Module):
    """The learned twin and the class maps on its change.

    Parameters
    ----------
    classes : int
        Healthy is the first.
    widths : tuple of int
        See `camvib.twin.TwinNet`.
    """

    def __init__(self, classes: int, widths: tuple[int, int, int] = WIDTHS) -> None:
        super().__init__()
        self.widths = widths
        self.twin = TwinNet(widths)
        self.classes = ClassMaps(classes, self.twin.features)

    def forward(self, image_db: Tensor, baseline_db: Tensor, spread_db: Tensor) -> ChangeOutput:
        """Diagnose images, (batch, rows, columns) in dB, against baselines, (batch, rows)."""
        channels = twin_channels(image_db, baseline_db, spread_db)
        change, features = self.twin(channels)
        if not self.training:
            return self.classes(channels, change, features)
        # The classifier learns from the twin and does not teach it: its gradient would trade truth for accuracy.
        fixed = Change(*(value.detach() for value in change))
        return self.classes(channels, fixed, features.detach())._replace(change=change)
