"""Train the learned twin, then class maps on what it says.

The twin is finished before the classifier starts: a classifier's gradient would trade truth for accuracy.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from camvib.augmentation.samples import ChangeData, draw_move, draw_sample, draw_synthetic_sample, with_hum
from camvib.learning.classifier import class_weights
from camvib.learning.data import TrainingData
from camvib.learning.healthy_pairs import change_data, healthy_only
from camvib.learning.loop import AfterEpoch, OnEpoch, TwoStageHistory, run_epochs
from camvib.learning.splits import Split
from camvib.model.diagnoser import Diagnoser
from camvib.networks.change_cnn import ChangeCnn, ChangeNetwork
from camvib.networks.twin import CHANGE_DB, UNIT_DB, Change, TwinNet, twin_channels
from camvib.settings import ChangeTraining, Settings

_LEAST_MASS = 2.0  # votes of evidence, below which a fault has too little to learn from


def _twin_weight(difference: Tensor) -> Tensor:
    """Faint faults have few cells: they get more weight, or the twin learns tip masses only."""
    area = (difference.abs() > CHANGE_DB).float().mean(dim=(1, 2))
    return torch.where(area > 0, (0.1 / (area + 0.01)).sqrt().clamp(0.7, 3.0), torch.ones_like(area))


def train_twin(
    data: ChangeData,
    settings: ChangeTraining = ChangeTraining(),
    on_epoch: AfterEpoch | None = None,
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
    on_epoch: AfterEpoch | None = None,
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
        place, roll = draw_move(settings, rng, changes.shape[2:])
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
            image, _ = with_hum(image, np.zeros_like(image), data.lines, settings, rng)
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


_TWIN_HUM, _CLASS_HUM = 0.1, 0.05


def fit_change(
    data: TrainingData,
    split: Split,
    settings: Settings,
    out: Path,
    *,
    fingerprint: str,
    resume: bool,
    on_epoch: OnEpoch | None,
    progress: bool,
) -> Diagnoser:
    """Fit twin and class maps on the training groups; a killed training goes on from its last finished epoch."""
    training = settings.training
    common = {
        "batch_size": training.batch_size,
        "learning_rate": training.learning_rate,
        "weight_decay": training.weight_decay,
        "seed": training.seed,
        "widths": settings.twin.widths,
    }
    for_twin = ChangeTraining(epochs=settings.twin.epochs, hum_share=_TWIN_HUM, **common)  # type: ignore[arg-type]
    for_classes = replace(for_twin, epochs=settings.twin.class_epochs, hum_share=_CLASS_HUM)
    known = change_data(data, split.train, settings)
    checkpoints = out / "checkpoints" / fingerprint
    if not resume:
        for stage in ("twin", "classes"):
            (checkpoints / stage / "last.ckpt").unlink(missing_ok=True)
    history = TwoStageHistory(out, for_twin.epochs, for_classes.epochs, on_epoch, progress)
    pairs = known if known.difference_db is not None else healthy_only(known)
    twin = train_twin(pairs, for_twin, history.twin, checkpoints / "twin")
    weights = class_weights(known.targets, False) if training.class_weights else None
    network = train_classes(twin, known, for_classes, history.classes, checkpoints / "classes", weights)
    history.bar.close()
    diagnoser = Diagnoser(len(data.classes), settings, data.sampling_rate_hz)
    assert isinstance(diagnoser.network, ChangeNetwork)
    diagnoser.network.change.load_state_dict(network.state_dict())
    return diagnoser.eval()


def twin_loss(change: Change, difference_db: Tensor, weight: Tensor | None = None) -> Tensor:
    """Huber loss of the mean, Laplace likelihood of the spread, cross entropy of gain, loss and none.

    Parameters
    ----------
    change : Change
    difference_db : Tensor, shape (batch, rows, columns)
        Difference to the healthy twin, 0 where both are below the noise floor.
    weight : Tensor, shape (batch,), optional
        Of each recording in the cross entropy.
    """
    mean, scale, target = change.difference_db / UNIT_DB, change.scale_db / UNIT_DB, difference_db / UNIT_DB
    huber = functional.smooth_l1_loss(mean, target, beta=0.3)
    # The mean is the Huber term's alone: the likelihood would let it off where it is unsure.
    spread = ((target - mean.detach()).abs() / scale + scale.log()).mean()
    gain, loss = difference_db > CHANGE_DB, difference_db < -CHANGE_DB
    chosen = torch.where(gain, change.gain, torch.where(loss, change.loss, 1 - change.probability))
    entropy = -chosen.clamp_min(1e-6).log().mean(dim=(1, 2))
    entropy = entropy.mean() if weight is None else (entropy * weight).mean()
    return 4 * huber + 0.5 * spread + 2 * entropy
