"""Several diagnosers that vote as one, with one map that still adds up.

Where training groups cannot tell candidates apart, all of them vote: the logit of the committee is the mean of the
members' calibrated logits, and its map the mean of their maps, each brought to the first member's axes in hertz and
seconds with its sum kept. So ``mean(map) + bias = logit`` holds for the committee as it holds for each member.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from camvib.errors import ModelError
from camvib.images.axes import Axes
from camvib.images.layer import ImageLayer
from camvib.model.diagnoser import Beside, Diagnoser
from camvib.networks.output import Output


class Committee(nn.Module):
    """Mean of the members' calibrated answers.

    Parameters
    ----------
    members : sequence of Diagnoser
        Of one kind of image and one window; the first gives the axes and the image that is shown.
    temperatures : sequence of float
        Each member's logits are divided by its own.

    Raises
    ------
    ModelError
        The members do not see the same window, or compare with different things.
    """

    temperatures: Tensor

    def __init__(self, members: Sequence[Diagnoser], temperatures: Sequence[float]) -> None:
        super().__init__()
        first = members[0]
        for one in members:
            alike = (one.n, one.settings.image.kind, one.needs_baseline)
            if alike != (first.n, first.settings.image.kind, first.needs_baseline):
                kinds = [one.settings.image.kind, first.settings.image.kind]
                raise ModelError(
                    f"members see {kinds[0]} of {one.n} and {kinds[1]} of {first.n} samples",
                    "Let those vote together that see the same window in the same kind of image",
                )
        self.members = nn.ModuleList(members)
        self.register_buffer("temperatures", torch.tensor(list(temperatures), dtype=torch.float32))

    @property
    def first(self) -> Diagnoser:
        """The member whose image is shown."""
        member = self.members[0]
        assert isinstance(member, Diagnoser)
        return member

    @property
    def image(self) -> ImageLayer:
        """The first member's."""
        return self.first.image

    @property
    def n(self) -> int:
        """Samples of a window."""
        return self.first.n

    @property
    def axes(self) -> Axes:
        """Edges of the image's cells."""
        return self.first.axes

    @property
    def needs_baseline(self) -> bool:
        """Whether its members compare with the asset's healthy baseline."""
        return self.first.needs_baseline

    @property
    def bias(self) -> Tensor | None:
        """Mean of the members' biases; None where one of them has none."""
        found = [member.bias for member in self.members if isinstance(member, Diagnoser)]
        biases = [bias for bias in found if bias is not None]
        if len(biases) < len(found):
            return None
        return (torch.stack(biases) / self.temperatures[:, None]).mean(dim=0)

    def forward(self, waveform: Tensor, beside: Beside = Beside()) -> tuple[Output, Tensor]:
        """Classify waveforms, shape (batch, n); the image is the first member's."""
        answers = [member(waveform, beside) for member in self.members]
        outputs = [output for output, _ in answers]
        weights = [1 / (len(outputs) * temperature) for temperature in self.temperatures]
        logits = torch.stack([w * output.logits for w, output in zip(weights, outputs, strict=True)]).sum(dim=0)
        edges = [
            self._edges(member, output.maps, beside.speed) for member, output in zip(self.members, outputs, strict=True)
        ]
        columns = outputs[0].maps.shape[3]
        maps = torch.stack(
            [
                w * _over_time(rebinned(output.maps, own, edges[0]), columns)
                for w, output, own in zip(weights, outputs, edges, strict=True)
            ]
        ).sum(dim=0)
        return Output(logits, maps, outputs[0].embedding, outputs[0].change, outputs[0].presence), answers[0][1]

    @staticmethod
    def _edges(member: nn.Module, maps: Tensor, speed: Tensor | None) -> Tensor:
        """Row edges of a member's maps, (batch, rows + 1), in Hz."""
        assert isinstance(member, Diagnoser)
        edges = torch.as_tensor(member.axes.pooled(maps.shape[2], 1).frequency_hz, dtype=maps.dtype, device=maps.device)
        edges = edges.expand(maps.shape[0], -1)
        return edges * speed[:, None] if speed is not None and member.settings.image.at_shaft_speed else edges


def rebinned(maps: Tensor, edges_hz: Tensor, to_hz: Tensor) -> Tensor:
    """Bring maps to other rows, by overlap in hertz, with their mean kept.

    Parameters
    ----------
    maps : Tensor, shape (batch, classes, rows, columns)
    edges_hz : Tensor, shape (batch, rows + 1)
        Edges of its rows.
    to_hz : Tensor, shape (batch, new rows + 1)
        Edges to reach. What lies beyond them goes to the outermost rows.

    Returns
    -------
    Tensor, shape (batch, classes, new rows, columns)
    """
    low, high = edges_hz[:, None, :-1], edges_hz[:, None, 1:]
    to_low, to_high = to_hz[:, :-1, None], to_hz[:, 1:, None]
    # The outermost rows reach as far as the map does.
    to_low = torch.cat([torch.minimum(to_low[:, :1], edges_hz[:, :1, None]), to_low[:, 1:]], dim=1)
    to_high = torch.cat([to_high[:, :-1], torch.maximum(to_high[:, -1:], edges_hz[:, -1:, None])], dim=1)
    share = (torch.minimum(high, to_high) - torch.maximum(low, to_low)).clamp_min(0) / (high - low)
    share = share * (to_hz.shape[1] - 1) / maps.shape[2]
    return torch.matmul(share[:, None], maps)


def _over_time(maps: Tensor, columns: int) -> Tensor:
    """Bring maps to another number of columns with their mean kept."""
    have = maps.shape[3]
    if have == columns:
        return maps
    edges, to = torch.linspace(0, 1, have + 1), torch.linspace(0, 1, columns + 1)
    share = (torch.minimum(edges[1:, None], to[None, 1:]) - torch.maximum(edges[:-1, None], to[None, :-1])).clamp_min(0)
    return torch.matmul(maps, (share * columns).to(maps))
