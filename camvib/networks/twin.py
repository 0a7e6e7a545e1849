"""The learned healthy twin: what a recording changed against its asset's healthy state, cell by cell.

A U-Net sees the recording's image and the asset's baseline and predicts the difference to the recording that
the same excitation would give without the fault: 10 log10 of the ratio of the 3 × 3 smoothed powers, with its
spread, and the probability that it passes 6 dB either way. It is an expectation, not the healthy recording:
of a faint fault it sees a part only.

References
----------
.. [1] O. Ronneberger, P. Fischer, T. Brox. U-Net. MICCAI 2015. arXiv:1505.04597.
.. [2] W. Shi et al. Real-time single image super-resolution using an efficient sub-pixel convolutional
   network. CVPR 2016. arXiv:1609.05158 (space to depth and back, at the two ends of the net).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from camvib.networks.blocks import conv
from camvib.settings import WIDTHS

CHANGE_DB = 6.0
UNIT_DB = 10.0  # the network counts in bels
_MIN_LOG_SCALE, _MAX_LOG_SCALE = -6.5, -0.5


class Change(NamedTuple):
    """What changed against healthy, for a batch of images; all (batch, rows, columns).

    Attributes
    ----------
    difference_db : Tensor
        Expected difference to the healthy twin; negative where power went missing.
    scale_db : Tensor
        Scale of its Laplace distribution.
    gain, loss : Tensor
        Probability that the difference is above 6 dB, below −6 dB.
    """

    difference_db: Tensor
    scale_db: Tensor
    gain: Tensor
    loss: Tensor

    @property
    def probability(self) -> Tensor:
        """Probability of a change of more than 6 dB: the change map."""
        return self.gain + self.loss

    @property
    def signed(self) -> Tensor:
        """The change map with its sign: above 0 where power was gained, below where it went missing."""
        return self.gain - self.loss


def laplace_tails(difference_db: Tensor, scale_db: Tensor, limit_db: float = CHANGE_DB) -> tuple[Tensor, Tensor]:
    """Probability that a Laplace variable is above `limit_db`, and below `-limit_db`."""

    def above(excess: Tensor) -> Tensor:
        tail = 0.5 * torch.exp(-excess.abs() / scale_db)
        return torch.where(excess > 0, 1 - tail, tail)

    return above(difference_db - limit_db), above(-difference_db - limit_db)


def twin_channels(image_db: Tensor, baseline_db: Tensor, spread_db: Tensor) -> Tensor:
    """Input channels of the twin.

    Parameters
    ----------
    image_db : Tensor, shape (batch, rows, columns)
        Its mean level is taken out here.
    baseline_db, spread_db : Tensor, shape (batch, rows)
        See `camvib.images.baseline.Baseline`.

    Returns
    -------
    Tensor, shape (batch, 6, rows, columns)
        Image; difference to the baseline; its mean over time; spread over time less the baseline's;
        mean difference of each frame; the row's place.
    """
    image = (image_db - image_db.mean(dim=(1, 2), keepdim=True)) / UNIT_DB
    difference = image - baseline_db[:, :, None] / UNIT_DB
    steady = difference.mean(dim=2, keepdim=True).expand_as(image)
    wider = (image.std(dim=2, keepdim=True) - spread_db[:, :, None] / UNIT_DB).expand_as(image)
    frame = (difference - steady).mean(dim=1, keepdim=True).expand_as(image)
    place = torch.linspace(-1, 1, image.shape[1], device=image.device, dtype=image.dtype)
    return torch.stack([image, difference, steady, wider, frame, place[None, :, None].expand_as(image)], dim=1)


class TwinNet(nn.Module):
    """U-Net from `twin_channels` to a `Change`.

    Parameters
    ----------
    widths : tuple of int
        Channels at a half, a quarter and an eighth of the image's resolution.
    """

    outputs = 4  # difference, log scale, logit of gain, logit of loss

    def __init__(self, widths: tuple[int, int, int] = WIDTHS) -> None:
        super().__init__()
        self.widths = widths
        a, b, c = widths
        self.down = nn.ModuleList(
            [
                nn.Sequential(conv(4 * 6, a), conv(a, a)),
                nn.Sequential(conv(a, b, stride=2), conv(b, b)),
                nn.Sequential(conv(b, c, stride=2), conv(c, c, dilation=2), conv(c, c, dilation=4)),
            ]
        )
        self.up = nn.ModuleList(
            [nn.Sequential(conv(b + c, b, 1), conv(b, b)), nn.Sequential(conv(a + b, a, 1), conv(a, a))]
        )
        self.fine = nn.Sequential(conv(a // 4 + 6, 8), nn.Conv2d(8, self.outputs, 3, padding=1))
        self.out = nn.Conv2d(a, 4 * self.outputs, 3, padding=1)
        final = self.fine[1]
        assert isinstance(final, nn.Conv2d)
        with torch.no_grad():  # start from: no change, rarely more than 6 dB
            for layer in (final, self.out):
                layer.weight.mul_(0.1)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            final.bias[1], final.bias[2:] = -1.5, -3.0  # type: ignore[index]

    def forward(self, channels: Tensor) -> Change:
        """Predict the change from `twin_channels`, (batch, 6, rows, columns); sides divide by 8."""
        half = self.down[0](functional.pixel_unshuffle(channels, 2))
        quarter = self.down[1](half)
        deep = self.down[2](quarter)
        quarter = self.up[0](torch.cat([quarter, _double(deep)], dim=1))
        half = self.up[1](torch.cat([half, _double(quarter)], dim=1))
        fine = self.fine(torch.cat([channels, functional.pixel_shuffle(half, 2)], dim=1))
        raw = (functional.pixel_shuffle(self.out(half), 2) + fine).float()
        scale = raw[:, 1].clamp(_MIN_LOG_SCALE, _MAX_LOG_SCALE).exp()
        logits = raw[:, 2:]
        # Gain, loss and none exclude each other: one softmax, so that their sum is a probability.
        odds = torch.cat([torch.zeros_like(logits[:, :1]), logits], dim=1).softmax(dim=1)
        return Change(UNIT_DB * raw[:, 0], UNIT_DB * scale, odds[:, 1], odds[:, 2])


def _double(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")
