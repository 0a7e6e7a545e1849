"""Train the change network that ships with camvib: simulate, train, write weights and card.

``python -m camvib.learning.pretrain --out FOLDER`` makes the committed weights again, from the seeds alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from camvib.change_training import ChangeTraining, HumLines, Sample, _move, _twin_weight, _with_hum
from camvib.epochs import run_epochs
from camvib.learning.pretraining_data import Simulated
from camvib.lines import Pair, ToneRows, change_lines, other_sensor
from camvib.twin import TwinNet, twin_channels, twin_loss

OnEpoch = Callable[[int, nn.Module, float], None]


@dataclass(frozen=True)
class Disturbance:
    """Shares of the training images that carry lines, and that are seen by another sensor."""

    lines: float = 0.25
    sensor: float = 0.25


def draw(
    data: Simulated,
    rows: NDArray[np.integer],
    settings: ChangeTraining,
    disturbance: Disturbance,
    hum: HumLines,
    tones: ToneRows,
    rng: np.random.Generator,
) -> Sample:
    """Take recordings, some as their twin; move them, put lines and hum on some, see some by another sensor."""
    which = rng.integers(len(data.baselines_db), size=len(rows))
    as_twin = (rng.random(len(rows)) < settings.healthy_share) | (data.targets[rows, 0] == 1)
    twin = data.healthy_db[rows].astype(np.float32)
    image = np.where(as_twin[:, None, None], twin, data.images_db[rows].astype(np.float32))
    difference = np.where(as_twin[:, None, None], 0, data.difference_db[rows]).astype(np.float32)
    place, roll = _move(settings, rng, image.shape[1:])
    image, twin, difference = (np.roll(v[:, place], roll, axis=2) for v in (image, twin, difference))
    mean, spread = data.baselines_db[which, rows][:, place], data.spreads_db[which, rows][:, place]
    for i in range(len(rows)):
        pair = Pair(image[i], twin[i], difference[i], mean[i], spread[i])
        if rng.random() < disturbance.sensor:
            pair = other_sensor(pair, rng)
        if rng.random() < disturbance.lines:
            pair = change_lines(pair, tones, rng)
        image[i], twin[i], difference[i], mean[i], spread[i] = pair
    image, difference = _with_hum(image, difference, hum, settings, rng)
    return Sample(*(torch.from_numpy(v) for v in (image, mean, spread, difference, data.targets[rows])))


def train_twin(
    data: Simulated,
    settings: ChangeTraining,
    disturbance: Disturbance,
    hum: HumLines,
    tones: ToneRows,
    *,
    start: TwinNet | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoints: Path | None = None,
) -> TwinNet:
    """Train the twin on simulated pairs, or go on with one."""
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    twin = (start or TwinNet(settings.widths)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(rows: NDArray[np.integer], device: torch.device) -> Tensor:
        sample = draw(data, rows, settings, disturbance, hum, tones, rng).to(device)
        change = twin(twin_channels(sample.image, sample.baseline, sample.spread))
        return twin_loss(change, sample.difference, _twin_weight(sample.difference))

    run_epochs(twin, len(data), settings, rng, loss, on_epoch, checkpoints)
    return twin
