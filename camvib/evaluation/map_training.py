"""Train the learned twin and the class maps on simulated pairs.

One loop, two learners: the twin from the difference to the true twin, the classifier from labels on top of what
the twin says, without a gradient back into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from camvib.change import ChangeCnn, ChangeOutput
from camvib.evaluation.map_data import CLASSES, FAULTS, MapData
from camvib.evaluation.synthetic_changes import synthetic_change
from camvib.models import GapCnn, Output
from camvib.twin import WIDTHS, Change, twin_loss


@dataclass(frozen=True)
class MapTraining:
    """Settings of the committed figures."""

    epochs: int = 14
    batch_size: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    widths: tuple[int, int, int] = WIDTHS
    healthy_share: float = 0.12  # of faulty recordings shown as their healthy twin
    row_shift: int = 4  # rows that an image and all that belongs to it move up or down, at most
    cell_weight: float = 0.5
    bfloat16: bool = True
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Sample:
    """A batch to train on, see `MapData`; `votes` is the class that each cell's change is due to, −1 unknown."""

    image: Tensor
    baseline: Tensor
    spread: Tensor
    difference: Tensor
    votes: Tensor
    targets: Tensor


def draw_sample(data: MapData, rows: NDArray[np.integer], settings: MapTraining, rng: np.random.Generator) -> Sample:
    """Take recordings, some as their twin, and move them in time (round) and frequency."""
    draw = rng.integers(len(data.baselines_db), size=len(rows))
    healthy = (rng.random(len(rows)) < settings.healthy_share) | (data.labels[rows] == CLASSES[0])
    image = np.where(healthy[:, None, None], data.twins_db[rows], data.images_db[rows]).astype(np.float32)
    difference = np.where(healthy[:, None, None], 0, data.difference_db[rows]).astype(np.float32)
    targets = np.where(healthy[:, None], np.eye(len(CLASSES), dtype=np.float32)[0], data.targets[rows])
    votes = np.where(healthy[:, None, None], -1, cell_classes(data.labels[rows], data.one_off[rows]))
    # The twin of a healthy recording is itself: rows of it stay as they are.
    shift, roll = int(rng.integers(-settings.row_shift, settings.row_shift + 1)), int(rng.integers(image.shape[2]))
    place = (np.arange(image.shape[1]) + shift).clip(0, image.shape[1] - 1)

    def moved(values: NDArray[np.generic]) -> Tensor:
        values = values[:, place]
        return torch.from_numpy(np.roll(values, roll, axis=2) if values.ndim == 3 else np.ascontiguousarray(values))

    return Sample(
        image=moved(image),
        baseline=moved(data.baselines_db[draw, rows]),
        spread=moved(data.spreads_db[draw, rows]),
        difference=moved(difference),
        votes=moved(votes).long(),
        targets=torch.from_numpy(targets),
    )


def cell_classes(labels: NDArray[np.str_], one_off: NDArray[np.int8]) -> NDArray[np.int8]:
    """Class that each evidence cell is due to, (n, rows, columns), −1 where there is none or more than one."""
    found = np.full((len(labels), *one_off.shape[2:]), -1, np.int8)
    for i, label in enumerate(labels):
        names = [name for name in label.split("+") if name in FAULTS]
        for j, name in enumerate(names):
            alone = (one_off[i, j] != 0) & ~np.any(np.delete(one_off[i, : len(names)], j, axis=0) != 0, axis=0)
            found[i][alone] = CLASSES.index(name)
    return found


def change_loss(output: ChangeOutput, sample: Sample, cell_weight: float) -> tuple[Tensor, Tensor]:
    """Loss of the twin, loss of the classifier."""
    area = (sample.difference.abs() > 6).float().mean(dim=(1, 2))
    # Faint faults have few cells: they get more weight, or the twin learns tip masses only.
    weight = torch.where(area > 0, (0.1 / (area + 0.01)).sqrt().clamp(0.7, 3.0), torch.ones_like(area))
    twin = twin_loss(output.change, sample.difference, weight)
    classify = functional.cross_entropy(output.logits, sample.targets)
    known = functional.one_hot(sample.votes + 1, len(CLASSES) + 1)[..., 1:].permute(0, 3, 1, 2).float()
    known = functional.avg_pool2d(known, 4)  # share of a cell's fine cells that are due to each class
    mass = known.sum(dim=(1, 2, 3))
    cells = -(known * output.shares).sum(dim=(1, 2, 3)) / mass.clamp_min(1.0)
    return twin, classify + cell_weight * cells.sum() / (mass > 0).sum().clamp_min(1)


def train_change(
    data: MapData, settings: MapTraining = MapTraining(), on_epoch: Callable[[int, ChangeCnn, str], None] | None = None
) -> ChangeCnn:
    """Train on simulated pairs.

    Parameters
    ----------
    data : MapData
        With several baseline draws, better.
    settings : MapTraining
    on_epoch : callable, optional
        Called after each epoch with its number, the network and the losses in words.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    network = ChangeCnn(len(CLASSES), settings.widths).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(rows: NDArray[np.integer]) -> Tensor:
        sample = draw_sample(data, rows, settings, rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
            output = network(sample.image, sample.baseline, sample.spread)
        twin, classes = change_loss(output, sample, settings.cell_weight)
        return twin + classes

    for epoch, value in fit(network, len(data), settings, rng, loss):
        if on_epoch:
            on_epoch(epoch, network, f"loss {value:.4f}")
    return network.eval()


def train_change_without_twins(
    data: MapData, settings: MapTraining = MapTraining(), on_epoch: Callable[[int, ChangeCnn, str], None] | None = None
) -> ChangeCnn:
    """Train on healthy recordings with synthetic changes, and on class labels; no faulty recording's twin is used.

    `data.twins_db` serves as the pool of healthy recordings of the assets; which fault recording they belong to
    is not used.
    """
    data = data.select(np.array(["+" not in label for label in data.labels]))
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    network = ChangeCnn(len(CLASSES), settings.widths).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(rows: NDArray[np.integer]) -> Tensor:
        real = draw_sample(data, rows, replace(settings, healthy_share=0.0), rng)
        made = _synthetic_sample(data, rng.choice(len(data), len(rows), replace=False), settings, rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
            output = network(
                torch.cat([real.image, made[0]]),
                torch.cat([real.baseline, made[1]]),
                torch.cat([real.spread, made[2]]),
            )
        n = len(rows)
        change = Change(*(value[n:] for value in output.change))
        return twin_loss(change, made[3]) + functional.cross_entropy(output.logits[:n], real.targets)

    for epoch, value in fit(network, len(data), settings, rng, loss):
        if on_epoch:
            on_epoch(epoch, network, f"loss {value:.4f}")
    return network.eval()


def _synthetic_sample(
    data: MapData, rows: NDArray[np.integer], settings: MapTraining, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images, baselines, spreads, differences of healthy recordings with synthetic changes."""
    draw = rng.integers(len(data.baselines_db), size=len(rows))
    other = rng.integers(len(data), size=len(rows))
    baseline, spread = data.baselines_db[draw, rows], data.spreads_db[draw, rows]
    made = [
        synthetic_change(data.twins_db[row].astype(np.float64), mean, data.baselines_db[0, swap], rng)
        for row, mean, swap in zip(rows, baseline, other, strict=True)
    ]
    shift = int(rng.integers(-settings.row_shift, settings.row_shift + 1))
    place = (np.arange(baseline.shape[1]) + shift).clip(0, baseline.shape[1] - 1)
    image, difference = (np.stack(part).astype(np.float32)[:, place] for part in zip(*made, strict=True))
    a, b, c, d = (torch.from_numpy(values) for values in (image, baseline[:, place], spread[:, place], difference))
    return a, b, c, d


def fit(
    network: nn.Module,
    size: int,
    settings: MapTraining,
    rng: np.random.Generator,
    loss: Callable[[NDArray[np.integer]], Tensor],
) -> Iterator[tuple[int, float]]:
    """Minimise `loss` of batches of row numbers below `size`; after each epoch, yields its number and mean loss."""
    steps = size // settings.batch_size
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=steps * settings.epochs, pct_start=0.15
    )
    for epoch in range(settings.epochs):
        network.train()
        order, total = rng.permutation(size), 0.0
        for step in range(steps):
            value = loss(np.sort(order[step * settings.batch_size : (step + 1) * settings.batch_size]))
            optimizer.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            total += float(value.detach())
        network.eval()
        yield epoch, total / steps


class PlainCnn(nn.Module):
    """The plain network to compare with: a `GapCnn` on level-free images, without baseline or twin."""

    mean: Tensor
    spread: Tensor

    def __init__(self, classes: int = len(CLASSES)) -> None:
        super().__init__()
        self.network = GapCnn(classes)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def forward(self, image_db: Tensor) -> Output:
        """Classify images, (batch, rows, columns) in dB."""
        flat = image_db - image_db.mean(dim=(1, 2), keepdim=True)
        return self.network((flat - self.mean) / self.spread)


def train_plain(
    data: MapData, settings: MapTraining = MapTraining(), on_epoch: Callable[[int, PlainCnn, str], None] | None = None
) -> PlainCnn:
    """Train the plain network on the recordings with one fault or none."""
    data = data.select(np.array(["+" not in label for label in data.labels]))
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    network = PlainCnn()
    some = torch.from_numpy(data.images_db[:: max(1, len(data) // 512)].astype(np.float32))
    network.spread.copy_((some - some.mean(dim=(1, 2), keepdim=True)).std())

    def loss(rows: NDArray[np.integer]) -> Tensor:
        sample = draw_sample(data, rows, settings, rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
            logits = network(sample.image).logits
        return functional.cross_entropy(logits.float(), sample.targets)

    for epoch, value in fit(network, len(data), settings, rng, loss):
        if on_epoch:
            on_epoch(epoch, network, f"class {value:.4f}")
    return network.eval()
