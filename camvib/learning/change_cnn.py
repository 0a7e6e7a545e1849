"""Train the learned twin, then class maps on what it says.

The twin is finished before the classifier starts: a classifier's gradient would trade truth for accuracy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from camvib.change import ChangeCnn
from camvib.epochs import run_epochs
from camvib.mains_lines import add_hum
from camvib.synthetic_changes import synthetic_change
from camvib.twin import CHANGE_DB, WIDTHS, Change, TwinNet, twin_channels, twin_loss

_LEAST_MASS = 2.0  # votes of evidence, below which a fault has too little to learn from
OnEpoch = Callable[[int, nn.Module, float], None]


@dataclass(frozen=True)
class ChangeTraining:
    """How the twin, or the class maps, are trained.

    Attributes
    ----------
    epochs, batch_size, learning_rate, weight_decay
        AdamW with a one-cycle learning rate.
    widths : tuple of int
        Of the twin, see `camvib.twin.TwinNet`.
    healthy_share : float
        Of faulty recordings shown as their healthy twin.
    row_shift : int
        Rows that an image and all that belongs to it move up or down, at most.
    hum_share : float
        Of images that carry mains hum, see `camvib.mains_lines`.
    cell_weight : float
        Of the votes of single cells in the loss of the class maps.
    bfloat16 : bool
        Half the arithmetic's width, where it does no harm.
    seed : int
    """

    epochs: int = 14
    batch_size: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    widths: tuple[int, int, int] = WIDTHS
    healthy_share: float = 0.12
    row_shift: int = 4
    hum_share: float = 0.0
    cell_weight: float = 1.0
    bfloat16: bool = True
    seed: int = 0


@dataclass(frozen=True, eq=False)
class HumLines:
    """What mains hum looks like on an image: see `camvib.mains_lines.line_rows`, and the rows' heights in Hz."""

    rows: NDArray[np.float32]
    height_hz: NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class ChangeData:
    """What is learned from: n images of rows × columns, and what is known of them. Class 0 is healthy.

    Attributes
    ----------
    images_db : ndarray, float16
    healthy_db : ndarray, float16
        Healthy twin of each; to train on synthetic changes, a healthy recording of its asset.
    difference_db : ndarray, float16, optional
        To the twin, of the 3 × 3 smoothed powers.
    targets : ndarray, shape (n, classes)
        One class, or shares of several.
    baselines_db, spreads_db : ndarray, shape (draws, n, rows)
        From other healthy recordings of the asset.
    lines : HumLines
    votes : ndarray, int8, optional
        Class that the evidence in a cell is due to, −1 where there is none or more than one.
    """

    images_db: NDArray[np.float16]
    healthy_db: NDArray[np.float16]
    difference_db: NDArray[np.float16] | None
    targets: NDArray[np.float32]
    baselines_db: NDArray[np.float32]
    spreads_db: NDArray[np.float32]
    lines: HumLines
    votes: NDArray[np.int8] | None = None

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, eq=False)
class Sample:
    """A batch to train on, see `ChangeData`."""

    image: Tensor
    baseline: Tensor
    spread: Tensor
    difference: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> Sample:
        """Move it."""
        return Sample(*(getattr(self, field.name).to(device) for field in fields(self)))


def draw_sample(
    data: ChangeData, rows: NDArray[np.integer], settings: ChangeTraining, rng: np.random.Generator
) -> Sample:
    """Take recordings, some as their twin, move them in time (round) and frequency, and put hum on some."""
    assert data.difference_db is not None
    draw = rng.integers(len(data.baselines_db), size=len(rows))
    healthy = (rng.random(len(rows)) < settings.healthy_share) | (data.targets[rows, 0] == 1)
    image = np.where(healthy[:, None, None], data.healthy_db[rows], data.images_db[rows]).astype(np.float32)
    # The twin of a healthy recording is itself: rows of it stay as they are.
    difference = np.where(healthy[:, None, None], 0, data.difference_db[rows]).astype(np.float32)
    no_fault = np.eye(data.targets.shape[1], dtype=np.float32)[0]
    targets = np.where(healthy[:, None], no_fault, data.targets[rows])
    place, roll = _move(settings, rng, image.shape[1:])
    # Mains lines come last: they stand at their frequency, whatever the machine's is.
    image, difference = (np.roll(values[:, place], roll, axis=2) for values in (image, difference))
    image, difference = _with_hum(image, difference, data.lines, settings, rng)
    baseline, spread = data.baselines_db[draw, rows][:, place], data.spreads_db[draw, rows][:, place]
    return Sample(*(torch.from_numpy(v) for v in (image, baseline, spread, difference, targets)))


def draw_synthetic_sample(
    data: ChangeData, rows: NDArray[np.integer], settings: ChangeTraining, rng: np.random.Generator
) -> Sample:
    """Take healthy recordings, and change them by hand; the targets are of no use."""
    draw = rng.integers(len(data.baselines_db), size=len(rows))
    other = rng.integers(len(data), size=len(rows))
    baseline, spread = data.baselines_db[draw, rows], data.spreads_db[draw, rows]
    made = [
        synthetic_change(data.healthy_db[row].astype(np.float64), mean, data.baselines_db[0, swap], rng)
        for row, mean, swap in zip(rows, baseline, other, strict=True)
    ]
    place, _ = _move(settings, rng, data.images_db.shape[1:])
    image, difference = (np.stack(part).astype(np.float32)[:, place] for part in zip(*made, strict=True))
    image, difference = _with_hum(image, difference, data.lines, settings, rng)
    parts = (image, baseline[:, place], spread[:, place], difference, data.targets[rows])
    return Sample(*(torch.from_numpy(v) for v in parts))


def _with_hum(
    image: NDArray[np.float32],
    difference: NDArray[np.float32],
    lines: HumLines,
    settings: ChangeTraining,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Put mains hum on a share of the images; differences follow."""
    chosen = rng.random(len(image)) < settings.hum_share
    if chosen.any():
        hummed = add_hum(image[chosen], difference[chosen], lines.rows, lines.height_hz, rng)
        image[chosen], difference[chosen] = hummed
    return image, difference


def _move(
    settings: ChangeTraining, rng: np.random.Generator, sides: tuple[int, ...]
) -> tuple[NDArray[np.integer], int]:
    """Rows to take in place of the rows, and columns to roll by."""
    shift, roll = int(rng.integers(-settings.row_shift, settings.row_shift + 1)), int(rng.integers(sides[1]))
    return (np.arange(sides[0]) + shift).clip(0, sides[0] - 1), roll


def _twin_weight(difference: Tensor) -> Tensor:
    """Faint faults have few cells: they get more weight, or the twin learns tip masses only."""
    area = (difference.abs() > CHANGE_DB).float().mean(dim=(1, 2))
    return torch.where(area > 0, (0.1 / (area + 0.01)).sqrt().clamp(0.7, 3.0), torch.ones_like(area))


def train_twin(
    data: ChangeData,
    settings: ChangeTraining = ChangeTraining(),
    on_epoch: OnEpoch | None = None,
    checkpoints: Path | None = None,
) -> TwinNet:
    """Train the twin: on simulated pairs where `data` has differences, else on synthetic changes.

    Parameters
    ----------
    data : ChangeData
        With several baseline draws, better.
    settings : ChangeTraining
    on_epoch : callable, optional
        Called after each epoch with its number, the network and the mean loss.
    checkpoints : Path, optional
        Folder that a training which was killed goes on from.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    twin = TwinNet(settings.widths).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    simulated = data.difference_db is not None
    draw = draw_sample if simulated else draw_synthetic_sample

    def loss(rows: NDArray[np.integer], device: torch.device) -> Tensor:
        sample = draw(data, rows, settings, rng).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.bfloat16):
            change = twin(twin_channels(sample.image, sample.baseline, sample.spread))
        return twin_loss(change, sample.difference, _twin_weight(sample.difference) if simulated else None)

    run_epochs(twin, len(data), settings, rng, loss, on_epoch, checkpoints)
    return twin


def train_classes(
    twin: TwinNet,
    data: ChangeData,
    settings: ChangeTraining = ChangeTraining(),
    on_epoch: OnEpoch | None = None,
    checkpoints: Path | None = None,
    class_weights: Tensor | None = None,
) -> ChangeCnn:
    """Train class maps on a finished twin: from labels, and where it is known from the class of each cell's evidence.

    Parameters
    ----------
    twin : TwinNet
    data : ChangeData
    settings, on_epoch, checkpoints
        See `train_twin`.
    class_weights : Tensor, shape (classes,), optional
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    changes = predicted_changes(twin, data, settings, rng)
    network = ChangeCnn(data.targets.shape[1], twin.widths, data.images_db.shape[1])
    network.twin = twin
    classes = network.classes.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(rows: NDArray[np.integer], device: torch.device) -> Tensor:
        place, roll = _move(settings, rng, changes.shape[2:])
        change = torch.from_numpy(np.roll(changes[rows][:, :, place], roll, axis=3).astype(np.float32)).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.bfloat16):
            output = classes(Change(change[:, 0], torch.ones_like(change[:, 0]), change[:, 1], change[:, 2]))
        weight = None if class_weights is None else class_weights.to(device)
        value = functional.cross_entropy(output.logits, torch.from_numpy(data.targets[rows]).to(device), weight)
        if settings.cell_weight and data.votes is not None:
            known = torch.from_numpy(np.roll(data.votes[rows][:, place], roll, axis=2)).to(device)
            value = value + settings.cell_weight * cell_loss(output.shares, known)
        return value

    run_epochs(classes, len(data), settings, rng, loss, on_epoch, checkpoints)
    return network.eval()


def predicted_changes(
    twin: TwinNet, data: ChangeData, settings: ChangeTraining, rng: np.random.Generator
) -> NDArray[np.float16]:
    """Difference, gain and loss that the twin predicts, (n, 3, rows, columns)."""
    found = np.empty((len(data), 3, *data.images_db.shape[1:]), np.float16)
    device = next(twin.parameters()).device
    twin.eval()
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=settings.bfloat16):
        for first in range(0, len(data), 64):
            rows = slice(first, first + 64)
            image = data.images_db[rows].astype(np.float32)
            image, _ = _with_hum(image, np.zeros_like(image), data.lines, settings, rng)
            given = (image, data.baselines_db[0, rows], data.spreads_db[0, rows])
            change = twin(twin_channels(*(torch.from_numpy(value).to(device) for value in given)))
            found[rows] = torch.stack([change.difference_db, change.gain, change.loss], dim=1).cpu().numpy()
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
    known = functional.one_hot(votes.long() + 1, shares.shape[1] + 1)[..., 1:].permute(0, 3, 1, 2).float()
    known = functional.avg_pool2d(known, 2)  # how much of a vote's cells is due to each class
    mass = known.sum(dim=(2, 3))
    entropy = -(known * shares).sum(dim=(2, 3)) / mass.clamp_min(1e-3)
    enough = mass > _LEAST_MASS
    return (entropy * enough).sum() / enough.sum().clamp_min(1)
