"""Fit a network that sees the image alone: cross entropy on augmented images, and a price on its maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from camvib.augmentation.transforms import augmented
from camvib.learning.data import TrainingData
from camvib.learning.fits import Answers
from camvib.learning.loop import OnEpoch, Step, equally_often, run_epochs
from camvib.learning.windows import Rows, Windows
from camvib.model.diagnoser import Diagnoser
from camvib.settings import Settings

_AT_ONCE = 64


def class_weights(targets: NDArray[np.floating], multilabel: bool) -> Tensor:
    """Inverse frequency of each class, mean 1; for sigmoid outputs the ratio of absent to present."""
    present = targets.sum(axis=0).clip(1)
    weights = (len(targets) - present) / present if multilabel else present.sum() / (len(present) * present)
    return torch.tensor(weights, dtype=torch.float32).clamp(0.1, 10.0)


def fit_classifier(
    data: TrainingData,
    windows: Windows,
    train: Sequence[int] | Rows,
    validation: Sequence[int] | Rows,
    settings: Settings,
    *,
    on_epoch: OnEpoch | None = None,
    checkpoints: Path | None = None,
) -> Diagnoser:
    """Fit a network on the windows of some recordings.

    Parameters
    ----------
    data : TrainingData
    windows : Windows
        Of all recordings.
    train, validation : sequence of int
        Recordings to fit on; recordings whose loss chooses the epoch, none for the last one.
    settings : Settings
    on_epoch, checkpoints
        See `camvib.learning.loop.run_epochs`.
    """
    training = settings.training
    torch.manual_seed(training.seed)
    rng = np.random.default_rng(training.seed)
    diagnoser = Diagnoser(len(data.classes), settings, data.sampling_rate_hz)
    rows, held = windows.rows(train), windows.rows(validation)
    diagnoser.fit_standardisation(windows.images_db(rows[:: max(1, len(rows) // 512)]))
    targets = data.targets[windows.entry]
    multilabel = settings.model.head == "sigmoid"
    weights = class_weights(targets[rows], True) if multilabel and training.class_weights else None
    length = max(len(rows), -(-training.steps // training.epochs) * training.batch_size)
    order = equally_often(targets[rows].argmax(axis=1), length)
    if multilabel or not training.class_weights:
        order = lambda generator: np.resize(generator.permutation(len(rows)), length)  # noqa: E731

    def loss(step: Step) -> Tensor:
        chosen = rows[step.rows]
        image = augmented(windows.stacks_db[chosen], settings.image, training.augmentation, rng)
        given = torch.from_numpy(image.astype(np.float32)).to(step.device)
        output = diagnoser.network((given - diagnoser.mean) / diagnoser.spread)  # without its level already
        value = _entropy(output.logits, torch.from_numpy(targets[chosen]).to(step.device), weights, settings)
        if training.sparsity:
            # From the middle on: a price from the start lets whole classes die.
            late = max(0.0, 2 * step.progress - 1)
            value = value + late * training.sparsity * output.maps.abs().mean()
        return value

    def validate(_: nn.Module) -> float:
        with torch.inference_mode():
            logits = torch.cat(
                [
                    diagnoser.explain(torch.from_numpy(windows.images_db(held[first : first + _AT_ONCE]))).logits
                    for first in range(0, len(held), _AT_ONCE)
                ]
            )
        return float(_entropy(logits, torch.from_numpy(targets[held]), weights, settings))

    run_epochs(
        diagnoser,
        len(rows),
        training,
        rng,
        loss,
        order=order,
        length=length,
        validate=validate if len(held) else None,
        patience=training.patience,
        on_epoch=on_epoch,
        checkpoints=checkpoints,
    )
    return diagnoser


def _entropy(logits: Tensor, targets: Tensor, weights: Tensor | None, settings: Settings) -> Tensor:
    if settings.model.head == "sigmoid":
        return functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)
    return functional.cross_entropy(logits, targets, label_smoothing=settings.training.label_smoothing)


def answers(diagnoser: Diagnoser, windows: Windows, rows: Rows) -> Answers:
    """Logits and embeddings of windows whose images are there already."""
    logits, embeddings = [], []
    with torch.inference_mode():
        for first in range(0, len(rows), _AT_ONCE):
            output = diagnoser.explain(torch.from_numpy(windows.images_db(rows[first : first + _AT_ONCE])))
            logits.append(output.logits.numpy())
            embeddings.append(output.embedding.numpy())
    return Answers(np.concatenate(logits), np.concatenate(embeddings))
