"""Train the learned twin, then class maps on what it says, and the plain network to compare with.

The twin is finished before the classifier starts: a classifier's gradient would trade truth for accuracy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from camvib.change import ChangeCnn
from camvib.evaluation.map_data import CLASSES, FAULTS, MapData, image_layer
from camvib.evaluation.synthetic_changes import synthetic_change
from camvib.mains_lines import add_hum, line_rows
from camvib.models import GapCnn, Output
from camvib.twin import CHANGE_DB, WIDTHS, Change, TwinNet, twin_channels, twin_loss

_LEAST_MASS = 2.0  # votes of evidence, below which a fault has too little to learn from
OnEpoch = Callable[[int, nn.Module, str], None]


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
    hum_share: float = 0.0  # of images that carry mains hum
    cell_weight: float = 1.0
    against: float | None = None  # see `camvib.change.ClassMaps`
    bfloat16: bool = True
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Sample:
    """A batch to train on, see `MapData`."""

    image: Tensor
    baseline: Tensor
    spread: Tensor
    difference: Tensor
    targets: Tensor


def draw_sample(data: MapData, rows: NDArray[np.integer], settings: MapTraining, rng: np.random.Generator) -> Sample:
    """Take recordings, some as their twin, move them in time (round) and frequency, and put hum on some."""
    draw = rng.integers(len(data.baselines_db), size=len(rows))
    healthy = (rng.random(len(rows)) < settings.healthy_share) | (data.labels[rows] == CLASSES[0])
    image = np.where(healthy[:, None, None], data.twins_db[rows], data.images_db[rows]).astype(np.float32)
    # The twin of a healthy recording is itself: rows of it stay as they are.
    difference = np.where(healthy[:, None, None], 0, data.difference_db[rows]).astype(np.float32)
    targets = np.where(healthy[:, None], np.eye(len(CLASSES), dtype=np.float32)[0], data.targets[rows])
    place, roll = _move(settings, rng, image.shape[1:])
    # Mains lines come last: they stand at their frequency, whatever the machine's is.
    image, difference = (np.roll(values[:, place], roll, axis=2) for values in (image, difference))
    image, difference = _with_hum(image, difference, settings, rng)
    baseline, spread = data.baselines_db[draw, rows][:, place], data.spreads_db[draw, rows][:, place]
    return Sample(*(torch.from_numpy(v) for v in (image, baseline, spread, difference, targets)))


def _with_hum(
    image: NDArray[np.float32], difference: NDArray[np.float32], settings: MapTraining, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Put mains hum on a share of the images; differences follow."""
    chosen = rng.random(len(image)) < settings.hum_share
    if chosen.any():
        lines, height_hz = _lines()
        image[chosen], difference[chosen] = add_hum(image[chosen], difference[chosen], lines, height_hz, rng)
    return image, difference


@functools.cache
def _lines() -> tuple[NDArray[np.float32], NDArray[np.floating]]:
    layer = image_layer()
    return line_rows(layer), np.diff(layer.axes.frequency_hz)


def _move(settings: MapTraining, rng: np.random.Generator, sides: tuple[int, ...]) -> tuple[NDArray[np.integer], int]:
    """Rows to take in place of the rows, and columns to roll by."""
    shift, roll = int(rng.integers(-settings.row_shift, settings.row_shift + 1)), int(rng.integers(sides[1]))
    return (np.arange(sides[0]) + shift).clip(0, sides[0] - 1), roll


def cell_classes(labels: NDArray[np.str_], one_off: NDArray[np.int8]) -> NDArray[np.int8]:
    """Class that each evidence cell is due to, (n, rows, columns), −1 where there is none or more than one."""
    found = np.full((len(labels), *one_off.shape[2:]), -1, np.int8)
    for i, label in enumerate(labels):
        names = [name for name in label.split("+") if name in FAULTS]
        for j, name in enumerate(names):
            alone = (one_off[i, j] != 0) & ~np.any(np.delete(one_off[i, : len(names)], j, axis=0) != 0, axis=0)
            found[i][alone] = CLASSES.index(name)
    return found


def _twin_weight(difference: Tensor) -> Tensor:
    """Faint faults have few cells: they get more weight, or the twin learns tip masses only."""
    area = (difference.abs() > CHANGE_DB).float().mean(dim=(1, 2))
    return torch.where(area > 0, (0.1 / (area + 0.01)).sqrt().clamp(0.7, 3.0), torch.ones_like(area))


def train_change(
    data: MapData,
    twin_settings: MapTraining = MapTraining(),
    class_settings: MapTraining = MapTraining(),
    on_epoch: OnEpoch | None = None,
) -> ChangeCnn:
    """Train the twin on simulated pairs, then the class maps on what it says.

    Parameters
    ----------
    data : MapData
        With several baseline draws, better.
    twin_settings, class_settings : MapTraining
    on_epoch : callable, optional
        Called after each epoch with its number, the network and the loss in words.
    """
    twin, rng = _new_twin(twin_settings)

    def loss(rows: NDArray[np.integer]) -> Tensor:
        sample = draw_sample(data, rows, twin_settings, rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=twin_settings.bfloat16):
            change = twin(twin_channels(sample.image, sample.baseline, sample.spread))
        return twin_loss(change, sample.difference, _twin_weight(sample.difference))

    _run(twin, len(data), twin_settings, rng, loss, on_epoch)
    return train_classes(twin, data, class_settings, on_epoch)


def train_change_without_twins(
    data: MapData,
    twin_settings: MapTraining = MapTraining(),
    class_settings: MapTraining = MapTraining(),
    on_epoch: OnEpoch | None = None,
) -> ChangeCnn:
    """Train on healthy recordings with synthetic changes, then on class labels; no fault's twin is used.

    `data.twins_db` serves as the pool of healthy recordings of the assets; which faulty recording one belongs to
    is not used.
    """
    data = data.select(np.array(["+" not in label for label in data.labels]))
    twin, rng = _new_twin(twin_settings)

    def loss(rows: NDArray[np.integer]) -> Tensor:
        image, baseline, spread, difference = _synthetic_sample(data, rows, twin_settings, rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=twin_settings.bfloat16):
            change = twin(twin_channels(image, baseline, spread))
        return twin_loss(change, difference)

    _run(twin, len(data), twin_settings, rng, loss, on_epoch)
    return train_classes(twin, data, replace(class_settings, cell_weight=0.0), on_epoch)


def _new_twin(settings: MapTraining) -> tuple[TwinNet, np.random.Generator]:
    torch.manual_seed(settings.seed)
    twin = TwinNet(settings.widths)
    return twin.to(memory_format=torch.channels_last), np.random.default_rng(settings.seed)  # type: ignore[call-overload]


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
    place, _ = _move(settings, rng, data.images_db.shape[1:])
    image, difference = (np.stack(part).astype(np.float32)[:, place] for part in zip(*made, strict=True))
    image, difference = _with_hum(image, difference, settings, rng)
    a, b, c, d = (torch.from_numpy(v) for v in (image, baseline[:, place], spread[:, place], difference))
    return a, b, c, d


def train_classes(
    twin: TwinNet, data: MapData, settings: MapTraining = MapTraining(), on_epoch: OnEpoch | None = None
) -> ChangeCnn:
    """Train class maps on a finished twin: from labels, and from the class that each cell's evidence is due to."""
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    changes = predicted_changes(twin, data, settings, rng)
    votes, targets = cell_classes(data.labels, data.one_off), data.targets
    network = ChangeCnn(len(CLASSES), twin.widths, data.images_db.shape[1], settings.against)
    network.twin = twin
    classes = network.classes.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(rows: NDArray[np.integer]) -> Tensor:
        place, roll = _move(settings, rng, changes.shape[2:])
        change = torch.from_numpy(np.roll(changes[rows][:, :, place], roll, axis=3).astype(np.float32))
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
            output = classes(Change(change[:, 0], torch.ones_like(change[:, 0]), change[:, 1], change[:, 2]))
        value = functional.cross_entropy(output.logits, torch.from_numpy(targets[rows]))
        if settings.cell_weight:
            known = torch.from_numpy(np.roll(votes[rows][:, place], roll, axis=2))
            value = value + settings.cell_weight * cell_loss(output.shares, known)
        return value

    _run(classes, len(data), settings, rng, loss, on_epoch)
    return network.eval()


def predicted_changes(
    twin: TwinNet, data: MapData, settings: MapTraining, rng: np.random.Generator
) -> NDArray[np.float16]:
    """Difference, gain and loss that the twin predicts, (n, 3, rows, columns)."""
    found = np.empty((len(data), 3, *data.images_db.shape[1:]), np.float16)
    twin.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
        for first in range(0, len(data), 64):
            rows = slice(first, first + 64)
            image = data.images_db[rows].astype(np.float32)
            image, _ = _with_hum(image, np.zeros_like(image), settings, rng)
            baseline, spread = (torch.from_numpy(v[0, rows]) for v in (data.baselines_db, data.spreads_db))
            change = twin(twin_channels(torch.from_numpy(image), baseline, spread))
            found[rows] = torch.stack([change.difference_db, change.gain, change.loss], dim=1).numpy()
    return found


def cell_loss(shares: Tensor, votes: Tensor) -> Tensor:
    """Cross entropy of the cells' votes where it is known which fault the evidence is due to.

    Each fault of a recording counts alike, however few its cells: a crack has a tenth of the cells of a tip mass.

    Parameters
    ----------
    shares : Tensor, shape (batch, classes, rows / 2, columns / 2)
        Log votes.
    votes : Tensor, shape (batch, rows, columns)
        Class, or −1.
    """
    known = functional.one_hot(votes.long() + 1, len(CLASSES) + 1)[..., 1:].permute(0, 3, 1, 2).float()
    known = functional.avg_pool2d(known, 2)  # how much of a vote's cells is due to each class
    mass = known.sum(dim=(2, 3))
    entropy = -(known * shares).sum(dim=(2, 3)) / mass.clamp_min(1e-3)
    enough = mass > _LEAST_MASS
    return (entropy * enough).sum() / enough.sum().clamp_min(1)


def _run(
    network: nn.Module,
    size: int,
    settings: MapTraining,
    rng: np.random.Generator,
    loss: Callable[[NDArray[np.integer]], Tensor],
    on_epoch: OnEpoch | None,
) -> None:
    for epoch, value in fit(network, size, settings, rng, loss):
        if on_epoch:
            on_epoch(epoch, network, f"loss {value:.4f}")


def fit(
    network: nn.Module,
    size: int,
    settings: MapTraining,
    rng: np.random.Generator,
    loss: Callable[[NDArray[np.integer]], Tensor],
) -> Iterator[tuple[int, float]]:
    """Minimise `loss` of batches of row numbers below `size`; after each epoch, yields its number and mean loss."""
    steps = max(1, size // settings.batch_size)
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


def train_plain(data: MapData, settings: MapTraining = MapTraining(), on_epoch: OnEpoch | None = None) -> PlainCnn:
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

    _run(network, len(data), settings, rng, loss, on_epoch)
    return network.eval()
