"""Train the learned twin, then class maps on what it says.

The twin is finished before the classifier starts: a classifier's gradient would trade truth for accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from camvib.learning.fits import Answers, Fitted
from camvib.learning.healthy_pairs import HealthyPairs, healthy_only
from camvib.learning.loop import OnEpoch, Step, run_epochs
from camvib.learning.windows import Rows, Windows
from camvib.model.diagnoser import Diagnoser
from camvib.networks.change_cnn import ChangeCnn, ChangeNetwork, ClassMaps
from camvib.networks.pretrained import load_pretrained, start_from
from camvib.networks.twin import CHANGE_DB, UNIT_DB, Change, TwinNet, twin_channels
from camvib.settings import ChangeTraining, Settings

_AT_ONCE = 32
_FINISH = 0.25  # of the learning rate, for a network that was trained before
_LEAST_MASS = 2.0  # votes of evidence, below which a fault has too little to learn from


def _twin_weight(difference: Tensor) -> Tensor:
    """Faint faults have few cells: they get more weight, or the twin learns tip masses only."""
    area = (difference.abs() > CHANGE_DB).float().mean(dim=(1, 2))
    return torch.where(area > 0, (0.1 / (area + 0.01)).sqrt().clamp(0.7, 3.0), torch.ones_like(area))


def _half_width(settings: ChangeTraining, device: torch.device) -> torch.autocast:
    """Let products be computed in bfloat16; a processor without instructions for it would be ten times slower."""
    able = device.type != "cpu" or any(
        torch.cpu.get_capabilities().get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16")
    )
    return torch.autocast(device.type, torch.bfloat16, enabled=settings.bfloat16 and able)


def train_twin(
    data: ChangeData,
    settings: ChangeTraining = ChangeTraining(),
    on_epoch: OnEpoch | None = None,
    checkpoints: Path | None = None,
    start: TwinNet | None = None,
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
    start : TwinNet, optional
        Network to go on from, which is altered.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    twin = (start or TwinNet(settings.widths)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    simulated = data.difference_db is not None
    draw = draw_sample if simulated else draw_synthetic_sample

    def loss(step: Step) -> Tensor:
        sample = draw(data, step.rows, settings, rng).to(step.device)
        # Means over time are those of the whole image, as they will be in use.
        channels, difference = twin_channels(sample.image, sample.baseline, sample.spread), sample.difference
        if settings.crop_columns:
            first = int(rng.integers(difference.shape[2] - settings.crop_columns + 1))
            shown = slice(first, first + settings.crop_columns)
            channels, difference = channels[..., shown], difference[..., shown]
        with _half_width(settings, step.device):
            change = twin(channels)
        return twin_loss(change, difference, _twin_weight(difference) if simulated else None)

    run_epochs(twin, len(data), settings, rng, loss, on_epoch=on_epoch, checkpoints=checkpoints, name="change")
    return twin


def train_classes(
    twin: TwinNet,
    data: ChangeData,
    settings: ChangeTraining = ChangeTraining(),
    on_epoch: OnEpoch | None = None,
    checkpoints: Path | None = None,
    class_weights: Tensor | None = None,
    start: ClassMaps | None = None,
) -> ChangeCnn:
    """Train class maps on a finished twin: from labels, and where it is known from the class of each cell's evidence.

    Parameters
    ----------
    twin : TwinNet
    data : ChangeData
    settings, on_epoch, checkpoints
        See `train_twin`.
    class_weights : Tensor, shape (classes,), optional
    start : ClassMaps, optional
        Class maps to go on from, which are altered.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    changes = predicted_changes(twin, data, settings, rng)
    network = ChangeCnn(data.targets.shape[1], twin.widths, data.images_db.shape[1])
    network.twin = twin
    if start is not None:
        network.classes = start
    classes = network.classes.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(step: Step) -> Tensor:
        rows, device, _ = step
        place, roll = draw_move(settings, rng, changes.shape[2:])
        change = torch.from_numpy(np.roll(changes[rows][:, :, place], roll, axis=3).astype(np.float32)).to(device)
        with _half_width(settings, device):
            output = classes(Change(change[:, 0], torch.ones_like(change[:, 0]), change[:, 1], change[:, 2]))
        weight = None if class_weights is None else class_weights.to(device)
        value = functional.cross_entropy(output.logits, torch.from_numpy(data.targets[rows]).to(device), weight)
        if settings.cell_weight and data.votes is not None:
            known = torch.from_numpy(np.roll(data.votes[rows][:, place], roll, axis=2)).to(device)
            value = value + settings.cell_weight * cell_loss(output.shares, known)
        if output.presence is not None:
            there = torch.from_numpy(data.targets[rows, 1:] > 0).to(device, output.presence.dtype)
            value = value + functional.binary_cross_entropy_with_logits(output.presence, there)
        return value

    run_epochs(classes, len(data), settings, rng, loss, on_epoch=on_epoch, checkpoints=checkpoints, name="class")
    return network.eval()


def predicted_changes(
    twin: TwinNet, data: ChangeData, settings: ChangeTraining, rng: np.random.Generator
) -> NDArray[np.float16]:
    """Difference, gain and loss that the twin predicts, (n, 3, rows, columns)."""
    found = np.empty((len(data), 3, *data.images_db.shape[1:]), np.float16)
    device = next(twin.parameters()).device
    twin.eval()
    with torch.inference_mode(), _half_width(settings, device):
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


def fit_change(
    data: TrainingData,
    windows: Windows,
    train: Sequence[int] | Rows,
    settings: Settings,
    *,
    on_epoch: OnEpoch | None = None,
    checkpoints: Path | None = None,
) -> Fitted:
    """Fit what changed, then what it means, on some recordings; by default on from the network that ships with camvib.

    Parameters
    ----------
    data : TrainingData
    windows : Windows
        Of all recordings.
    train : sequence of int
        Recordings to fit on.
    settings : Settings
    on_epoch, checkpoints
        See `camvib.learning.loop.run_epochs`; each of the two stages has a folder of its own.

    Raises
    ------
    LabelsError
        There is no healthy class, or not one recording has enough healthy ones of its asset beside it.
    SettingsError
        Simulated twins are asked for, and some recordings have none.
    """
    twin_settings, training = settings.twin, settings.training
    pairs = HealthyPairs.of(data, windows, settings)
    known = pairs.change_data(windows.rows([i for i in np.asarray(train).tolist() if i not in pairs.alone]))
    start = _shipped(data.classes, settings) if twin_settings.start == "shipped" else None
    for_twin = ChangeTraining(
        epochs=twin_settings.epochs,
        batch_size=min(training.batch_size, len(known)),
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        widths=settings.model.widths,
        healthy_share=twin_settings.healthy_share,
        row_shift=twin_settings.row_shift,
        hum_share=twin_settings.hum_share,
        line_share=twin_settings.line_share,
        cell_weight=twin_settings.cell_weight,
        bfloat16=twin_settings.bfloat16,
        seed=training.seed,
    )
    if start is not None:  # what it learned before is not unlearned at the first steps
        for_twin = replace(for_twin, learning_rate=_FINISH * for_twin.learning_rate)
    for_classes = replace(for_twin, epochs=twin_settings.class_epochs, hum_share=twin_settings.class_hum_share)
    twin = start.twin if start else None
    if pairs.source != "none" or twin is None:
        examples = known if known.difference_db is not None else healthy_only(known)
        folder = checkpoints / "change" if checkpoints else None
        twin = train_twin(examples, for_twin, on_epoch, folder, twin)
    weights = class_weights(known.targets, False) if training.class_weights else None
    folder = checkpoints / "classes" if checkpoints else None
    votes = start.classes if start else None
    network = train_classes(twin, known, for_classes, on_epoch, folder, weights, votes)
    diagnoser = Diagnoser(len(data.classes), settings, data.sampling_rate_hz)
    assert isinstance(diagnoser.network, ChangeNetwork)
    diagnoser.network.change.load_state_dict(network.state_dict())
    diagnoser.eval()
    return Fitted(diagnoser, lambda rows: _answers(diagnoser, pairs, windows, rows))


def _shipped(classes: Sequence[str], settings: Settings) -> ChangeCnn | None:
    """The network that ships with camvib, with a vote for each of `classes`; None where its shape is another."""
    shipped = load_pretrained()
    network = ChangeCnn(len(classes), settings.model.widths, settings.image.rows)
    return network if "twin" in start_from(shipped, network, classes) else None


def _answers(diagnoser: Diagnoser, pairs: HealthyPairs, windows: Windows, rows: Rows) -> Answers:
    logits, embeddings = [], []
    with torch.inference_mode():
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE]
            beside = (torch.from_numpy(values) for values in pairs.baselines(windows.entry[some]))
            output = diagnoser.explain(torch.from_numpy(windows.images_db(some)), *beside)
            logits.append(output.logits.numpy())
            embeddings.append(output.embedding.numpy())
    return Answers(np.concatenate(logits), np.concatenate(embeddings))


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
