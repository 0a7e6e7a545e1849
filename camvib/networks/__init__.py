"""The networks of the class activation mapping literature.

``CnnFc`` is the black box to compare with; ``GapCnn`` ends in global average pooling, so that the
class maps are the forward pass itself: ``logit_c = mean(map_c) + bias_c``. ``ChangeNetwork`` keeps that identity
and builds its maps on what changed against the asset's healthy baseline, see `camvib.change`.

References
----------
.. [1] B. Zhou, A. Khosla, A. Lapedriza, A. Oliva, A. Torralba. Learning Deep Features for
   Discriminative Localization. CVPR 2016. arXiv:1512.04150.
.. [2] M. Lin, Q. Chen, S. Yan. Network in Network. ICLR 2014. arXiv:1312.4400 (global average
   pooling over class maps).
.. [3] Y. LeCun, L. Bottou, Y. Bengio, P. Haffner. Gradient-based learning applied to document
   recognition. Proc. IEEE 86(11), 1998 (convolution, pooling, fully connected).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from camvib.change import ChangeCnn
from camvib.settings import ModelSettings, Settings


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


class NaiveHead(nn.Module):
    """Pool, then a linear layer; the maps are rebuilt from its weights (Zhou et al., eq. 2)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, features))
        self.bias = nn.Parameter(torch.zeros(classes))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, features: Tensor) -> Output:
        """Map features (batch, k, rows, columns) to an `Output`."""
        pooled = features.mean(dim=(2, 3))
        logits = nn.functional.linear(pooled, self.weight, self.bias)
        return Output(logits, torch.einsum("ck,bkft->bcft", self.weight, features), pooled)


class Conv1x1Head(NaiveHead):
    """Class maps first by a 1×1 convolution, then pool: one pass gives logits and maps."""

    def forward(self, features: Tensor) -> Output:
        """Map features (batch, k, rows, columns) to an `Output`."""
        maps = nn.functional.conv2d(features, self.weight[:, :, None, None])
        return Output(maps.mean(dim=(2, 3)) + self.bias, maps, features.mean(dim=(2, 3)))


class SoftmaxHead(NaiveHead):
    """Every cell votes: the linear layer at each cell, bias and all, then the mean over cells.

    The softmax of the mean vote is the class probability; the bias is taken out of the maps again,
    so that a map is 0 where no feature is active.
    """

    def forward(self, features: Tensor) -> Output:
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


def probabilities(logits: Tensor, head: str) -> Tensor:
    """Class probabilities: softmax, or one sigmoid a class where faults may come together."""
    return logits.sigmoid() if head == "sigmoid" else logits.softmax(dim=-1)


def _block(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


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
        self.features = nn.Sequential(*map(_block, inputs, widths, kernels, strides))
        self.head = HEADS[settings.head](widths[-1], classes)

    def forward(self, image: Tensor) -> Output:
        """Classify images, shape (batch, rows, columns), standardised."""
        rows = torch.linspace(0, 1, image.shape[1], device=image.device, dtype=image.dtype)
        place = rows[None, :, None].expand_as(image)
        return self.head(self.features(torch.stack([image, place], dim=1)))

    @property
    def bias(self) -> Tensor:
        """Of the head."""
        return self.head.bias


class ChangeNetwork(Network):
    """The learned healthy twin and the class maps on its change; healthy is the first class.

    Parameters
    ----------
    classes : int
    widths : tuple of int
        See `camvib.twin.TwinNet`.
    rows : int
        Of the image.
    """

    needs_baseline = True

    def __init__(self, classes: int, widths: tuple[int, int, int], rows: int) -> None:
        super().__init__()
        self.change = ChangeCnn(classes, widths, rows)

    def forward(self, image: Tensor, baseline_db: Tensor, spread_db: Tensor) -> Output:
        """Classify level-free images, (batch, rows, columns) in dB, against baselines, (batch, rows)."""
        found = self.change(image, baseline_db, spread_db)
        return Output(found.logits, found.maps, found.embedding, found.change.signed)

    @property
    def bias(self) -> Tensor:
        """Of the class maps."""
        return self.change.classes.bias


class CnnFc(Network):
    """Convolution, max pooling, fully connected: classifies, and cannot say where."""

    def __init__(
        self, classes: int, settings: ModelSettings = ModelSettings(), image: tuple[int, int] = (128, 128)
    ) -> None:
        super().__init__()
        widths = settings.channels
        inputs = [1, *widths[:-1]]
        layers: list[nn.Module] = []
        for i, o in zip(inputs, widths, strict=True):
            layers += [_block(i, o, 3, 1), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        scale = 2 ** len(widths)
        self.hidden = nn.Linear(widths[-1] * (image[0] // scale) * (image[1] // scale), 64)
        self.output = nn.Linear(64, classes)

    def forward(self, image: Tensor) -> Output:
        """Classify images, shape (batch, rows, columns), standardised."""
        hidden = self.hidden(self.features(image[:, None]).flatten(1)).relu()
        logits = self.output(hidden)
        return Output(logits, torch.zeros_like(logits)[:, :, None, None], hidden)


def build(classes: int, settings: Settings) -> Network:
    """Make the network that `settings` name, for images of their size."""
    image = (settings.spectrogram.rows, settings.spectrogram.columns)
    if settings.model.name == "change_cnn":
        return ChangeNetwork(classes, settings.twin.widths, image[0])
    if settings.model.name == "cnn_fc":
        return CnnFc(classes, settings.model, image)
    return GapCnn(classes, settings.model)
