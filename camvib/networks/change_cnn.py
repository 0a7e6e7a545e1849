"""Class maps on the change: why what changed means this fault, adding up to the logits exactly.

``map_c = total × weight × share_c``: `weight` is the change map divided by its mean over cells, so that a cell
where nothing changed contributes nothing; `share_c` is the vote of a cell, a softmax over classes with healthy
among them; `total` is how many logits this recording has to give away. ``logit_c = mean(map_c) + bias_c``, and
the map of healthy is 0, so the map of a fault is its contrast with healthy; the difference of two faults' maps
says why the one rather than the other. Because weights are shared out over the recording, a faint crack is not
starved by the mean; the price is that a cell's value is its share of the logit, not the logit's fall when the
cell is taken away.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from camvib.networks.blocks import conv
from camvib.networks.output import Network, Output
from camvib.networks.twin import Change, TwinNet, twin_channels
from camvib.settings import WIDTHS, ImageSettings, ModelSettings

_WEIGHT_FLOOR = 1e-4  # mean change below which weights fade: a healthy recording has nothing to share out


class ChangeOutput(NamedTuple):
    """Logits and maps of a batch, and the change they are built on.

    Attributes
    ----------
    logits : Tensor, shape (batch, classes)
    maps : Tensor, shape (batch, classes, rows, columns)
        In logits, at the image's resolution; class 0, healthy, is 0 everywhere.
    shares : Tensor, shape (batch, classes, rows / 2, columns / 2)
        Log votes of the cells.
    change : Change
    embedding : Tensor, shape (batch, features)
    presence : Tensor, shape (batch, classes - 1), optional
        Log odds that each fault is there, alone or beside others; see `ClassMaps.add_presence`.
    """

    logits: Tensor
    maps: Tensor
    shares: Tensor
    change: Change
    embedding: Tensor
    presence: Tensor | None = None


def contrasted(maps: Tensor, named: Tensor) -> Tensor:
    """Class maps that answer 'this fault rather than the other one', where a verdict names several.

    With w the map of a fault over its mean, the map of c becomes ``total_c [w_c + Σ_b (w_c − w_b)]`` over the other
    faults b that are named. Every w has mean 1, so each map adds up to the same logit as before, exactly.

    Parameters
    ----------
    maps : Tensor, shape (batch, classes, rows, columns)
        See `ChangeOutput`.
    named : Tensor of bool, shape (batch, classes)
        What the verdict names: a decision, not a probability. Healthy (class 0) has no map and does not count.

    Returns
    -------
    Tensor
        Maps of the faults that are not named, and of recordings with one fault, are as they were.
    """
    total = maps.mean(dim=(2, 3), keepdim=True)
    named = named[:, :, None, None] & (total > 0)
    shape = torch.where(named, maps / total.clamp_min(torch.finfo(maps.dtype).tiny), torch.zeros_like(maps))
    count = named.sum(dim=1, keepdim=True)
    rivals = shape.sum(dim=1, keepdim=True) - shape
    return maps + torch.where(named, total * ((count - 1) * shape - rivals), torch.zeros_like(maps))


class ClassMaps(nn.Module):
    """Votes of the cells on what the change means.

    It sees the change and nothing else of the recording, so that what it goes by is in the change map, if
    faintly. A classifier that sees the image as well can go by what is not in its map at all.

    Parameters
    ----------
    classes : int
    rows : int
        Of the image.
    width : int
    """

    def __init__(self, classes: int, rows: int = 128, width: int = 48) -> None:
        super().__init__()
        self.stem = conv(5, 24, 5, 2)
        self.down = conv(24, width, 3, 2)
        self.local = nn.Sequential(conv(width, width), conv(width, width, 3, 1, 2), conv(width, width, 3, 1, 4))
        self.profile = nn.Sequential(nn.Linear(3 * rows // 2, width), nn.ReLU())
        self.context = nn.Sequential(nn.Linear(3 * width + 1, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.mix = conv(2 * width, width, 1)
        self.fine = conv(24 + width, 32)
        self.vote = nn.Conv2d(32, classes, 1)
        self.amount = nn.Linear(width, 1)
        self.bias = nn.Parameter(torch.zeros(classes))
        self.presence: nn.Sequential | None = None
        with torch.no_grad():
            self.bias[0] = 4.0
            self.amount.bias.fill_(8.0)

    def add_presence(self) -> None:
        """Add the head that says of each fault whether it is there, so that a verdict can name two.

        The logits answer 'which one': with two faults they have to share out one probability. The head starts from
        each fault's logit against healthy, and adds what it learns from the context and from where, in frequency, each
        class has its votes. It moves neither logits nor maps.
        """
        classes, width = len(self.bias), self.amount.in_features
        bands = self.profile[0].in_features // 6  # type: ignore[operator]
        inputs = width + classes + classes * int(bands)
        self.presence = nn.Sequential(nn.Linear(inputs, 2 * width), nn.ReLU(), nn.Linear(2 * width, classes - 1))
        last = self.presence[2]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def _presence(self, context: Tensor, logits: Tensor, votes: Tensor) -> Tensor | None:
        if self.presence is None:
            return None
        bands = torch.log10(functional.avg_pool2d(votes, (4, votes.shape[3]))[..., 0] + _WEIGHT_FLOOR)
        seen = torch.cat([context.float(), logits / 8, bands.flatten(1)], dim=1).detach()
        found: Tensor = logits[:, 1:].detach() - logits[:, :1].detach() + self.presence(seen)
        return found

    def forward(self, change: Change) -> ChangeOutput:
        """Explain `change` with one map a class."""
        probability = change.probability[:, None]
        difference = change.difference_db[:, None] / 10
        seen = torch.cat([difference, change.gain[:, None], change.loss[:, None]], dim=1)
        faint = (torch.log10(probability + _WEIGHT_FLOOR) + 2) / 2  # a crack is a matter of a few per cent
        place = torch.linspace(-1, 1, seen.shape[2], device=seen.device)[None, None, :, None].expand_as(faint)
        half = self.stem(torch.cat([seen, faint, place], dim=1))
        local = self.local(self.down(half))
        weight = probability / (probability.mean(dim=(2, 3), keepdim=True) + _WEIGHT_FLOOR)
        size = torch.log10(probability.mean(dim=(1, 2, 3)) + _WEIGHT_FLOOR)[:, None]
        profile = functional.avg_pool2d(seen, (2, seen.shape[3]))[..., 0].flatten(1)
        attended = (local * functional.avg_pool2d(weight, 4).to(local.dtype)).mean(dim=(2, 3))
        pooled = [attended, local.mean(dim=(2, 3)), self.profile(profile).to(local.dtype), size.to(local.dtype)]
        context = self.context(torch.cat(pooled, dim=1))
        mixed = self.mix(torch.cat([local, context[:, :, None, None].expand_as(local)], dim=1))
        mixed = functional.interpolate(mixed, scale_factor=2.0, mode="nearest")
        votes = self.vote(self.fine(torch.cat([half, mixed], dim=1))).float()
        total = functional.softplus(self.amount(context).float())[:, :, None, None]
        shares = functional.interpolate(votes, scale_factor=2.0, mode="bilinear").softmax(dim=1)
        fault_maps = total * weight * shares[:, 1:]
        maps = torch.cat([torch.zeros_like(fault_maps[:, :1]), fault_maps], dim=1)
        logits = maps.mean(dim=(2, 3)) + self.bias
        presence = self._presence(context, logits, weight * shares)
        return ChangeOutput(logits, maps, votes.log_softmax(dim=1), change, context, presence)


class ChangeCnn(nn.Module):
    """The learned twin and the class maps on its change.

    Parameters
    ----------
    classes : int
        Healthy is the first.
    widths : tuple of int
        See `camvib.networks.twin.TwinNet`.
    rows : int
        Of the image.
    """

    def __init__(self, classes: int, widths: tuple[int, int, int] = WIDTHS, rows: int = 128) -> None:
        super().__init__()
        self.widths = widths
        self.twin = TwinNet(widths)
        self.classes = ClassMaps(classes, rows)

    def forward(self, image_db: Tensor, baseline_db: Tensor, spread_db: Tensor) -> ChangeOutput:
        """Diagnose images, (batch, rows, columns) in dB, against baselines, (batch, rows)."""
        output: ChangeOutput = self.classes(self.twin(twin_channels(image_db, baseline_db, spread_db)))
        return output


class ChangeNetwork(Network):
    """The learned healthy twin and the class maps on its change; healthy is the first class.

    Parameters
    ----------
    classes : int
    widths : tuple of int
        See `camvib.networks.twin.TwinNet`.
    rows : int
        Of the image.
    """

    needs_baseline = True

    def __init__(self, classes: int, widths: tuple[int, int, int], rows: int) -> None:
        super().__init__()
        self.change = ChangeCnn(classes, widths, rows)

    @classmethod
    def make(cls, classes: int, settings: ModelSettings, image: ImageSettings) -> Self:
        """See `Network.make`."""
        return cls(classes, settings.widths, image.rows)

    def forward(self, image: Tensor, baseline_db: Tensor, spread_db: Tensor) -> Output:
        """Classify level-free images, (batch, rows, columns) in dB, against baselines, (batch, rows)."""
        found = self.change(image, baseline_db, spread_db)
        return Output(found.logits, found.maps, found.embedding, found.change.signed, found.presence)

    @property
    def bias(self) -> Tensor:
        """Of the class maps."""
        return self.change.classes.bias

    @property
    def layer(self) -> nn.Module:
        """Where the votes' context is mixed in."""
        return self.change.classes.mix


NETWORK = ChangeNetwork
