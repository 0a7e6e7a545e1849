"""What the twin and the class maps are trained on, and how batches are drawn from it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camvib.augmentation.lines import Pair, ToneRows, change_lines
from camvib.augmentation.mains_hum import add_hum
from camvib.augmentation.other_sensor import other_sensor
from camvib.augmentation.synthetic_changes import synthetic_change
from camvib.settings import ChangeTraining


@dataclass(frozen=True, eq=False)
class HumLines:
    """What mains hum looks like on an image: see `mains_hum.line_rows`, and the rows' heights in Hz."""

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
    tones : ToneRows, optional
        Needed where `ChangeTraining.line_share` is not 0.
    """

    images_db: NDArray[np.float16]
    healthy_db: NDArray[np.float16]
    difference_db: NDArray[np.float16] | None
    targets: NDArray[np.float32]
    baselines_db: NDArray[np.float32]
    spreads_db: NDArray[np.float32]
    lines: HumLines
    votes: NDArray[np.int8] | None = None
    tones: ToneRows | None = None

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
    """Take recordings, some as their twin; move them in time (round) and frequency, put lines and hum on some."""
    assert data.difference_db is not None
    draw = rng.integers(len(data.baselines_db), size=len(rows))
    healthy = (rng.random(len(rows)) < settings.healthy_share) | (data.targets[rows, 0] == 1)
    twin = data.healthy_db[rows].astype(np.float32)
    image = np.where(healthy[:, None, None], twin, data.images_db[rows].astype(np.float32))
    # The twin of a healthy recording is itself: rows of it stay as they are.
    difference = np.where(healthy[:, None, None], 0, data.difference_db[rows]).astype(np.float32)
    no_fault = np.eye(data.targets.shape[1], dtype=np.float32)[0]
    targets = np.where(healthy[:, None], no_fault, data.targets[rows])
    place, roll = draw_move(settings, rng, image.shape[1:])
    image, twin, difference = (np.roll(values[:, place], roll, axis=2) for values in (image, twin, difference))
    baseline, spread = data.baselines_db[draw, rows][:, place], data.spreads_db[draw, rows][:, place]
    if settings.line_share or settings.sensor_share:
        for i in range(len(rows)):
            pair = Pair(image[i], twin[i], difference[i], baseline[i], spread[i])
            image[i], twin[i], difference[i], baseline[i], spread[i] = _disturbed(pair, data.tones, settings, rng)
    # Mains lines come last: they stand at their frequency, whatever the machine's is.
    image, difference = with_hum(image, difference, data.lines, settings, rng)
    return Sample(*(torch.from_numpy(v) for v in (image, baseline, spread, difference, targets)))


def _disturbed(pair: Pair, tones: ToneRows | None, settings: ChangeTraining, rng: np.random.Generator) -> Pair:
    """See it by another sensor, and put lines on it, or not."""
    if rng.random() < settings.sensor_share:
        pair = other_sensor(pair, rng)
    if rng.random() < settings.line_share:
        assert tones is not None
        pair = change_lines(pair, tones, rng)
    return pair


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
    place, _ = draw_move(settings, rng, data.images_db.shape[1:])
    image, difference = (np.stack(part).astype(np.float32)[:, place] for part in zip(*made, strict=True))
    baseline, spread = baseline[:, place], spread[:, place]
    if settings.line_share or settings.sensor_share:
        twin = data.healthy_db[rows].astype(np.float32)[:, place]
        for i in range(len(rows)):
            pair = Pair(image[i], twin[i], difference[i], baseline[i], spread[i])
            image[i], twin[i], difference[i], baseline[i], spread[i] = _disturbed(pair, data.tones, settings, rng)
    image, difference = with_hum(image, difference, data.lines, settings, rng)
    parts = (image, baseline, spread, difference, data.targets[rows])
    return Sample(*(torch.from_numpy(v) for v in parts))


def with_hum(
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


def draw_move(
    settings: ChangeTraining, rng: np.random.Generator, sides: tuple[int, ...]
) -> tuple[NDArray[np.integer], int]:
    """Rows to take in place of the rows, and columns to roll by."""
    shift, roll = int(rng.integers(-settings.row_shift, settings.row_shift + 1)), int(rng.integers(sides[1]))
    return (np.arange(sides[0]) + shift).clip(0, sides[0] - 1), roll
