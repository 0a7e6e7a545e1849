"""The one training loop: AdamW with a one-cycle learning rate over rows of arrays that lie in memory, by Lightning.

A checkpoint after each epoch holds all that goes on from it, the random generator's state as well: a training that was
killed ends with the same weights as an unbroken one.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

NEWEST = "last.ckpt"
_CLIP = 5.0
_WARM_UP = 0.15


class Step(NamedTuple):
    """What a loss is asked for.

    Attributes
    ----------
    rows : ndarray of int
        Of the batch.
    device : torch.device
        That the network is on.
    progress : float
        Share of all steps that is done, 0 to 1.
    """

    rows: NDArray[np.integer]
    device: torch.device
    progress: float


Loss = Callable[[Step], Tensor]
Order = Callable[[np.random.Generator], NDArray[np.integer]]
Validate = Callable[[nn.Module], float]
OnEpoch = Callable[[int, dict[str, float]], None]


class LoopSettings(Protocol):
    """What the loop asks of its settings."""

    @property
    def epochs(self) -> int: ...  # noqa: D102
    @property
    def batch_size(self) -> int: ...  # noqa: D102
    @property
    def learning_rate(self) -> float: ...  # noqa: D102
    @property
    def weight_decay(self) -> float: ...  # noqa: D102


class _Steps(Dataset[int]):
    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> int:
        return step


class _Epochs(pl.LightningModule):
    """Draws batches from `rng`, whose state travels in the checkpoint with the best weights so far."""

    def __init__(
        self,
        network: nn.Module,
        settings: LoopSettings,
        rng: np.random.Generator,
        loss: Loss,
        order: Order,
        length: int,
        validate: Validate | None,
        patience: int | None,
        on_epoch: OnEpoch | None,
        name: str,
    ) -> None:
        super().__init__()
        self.network, self.settings, self.rng, self.loss, self.order = network, settings, rng, loss, order
        self.validate_network, self.patience, self.on_epoch, self.name = validate, patience, on_epoch, name
        self.batch_size = min(settings.batch_size, length)
        self.steps = max(1, length // self.batch_size)
        self.rows: NDArray[np.integer] = np.arange(0)
        self.total = 0.0
        self.best: dict[str, Any] = {}

    def on_train_epoch_start(self) -> None:
        self.network.train()
        self.rows, self.total = self.order(self.rng), 0.0

    def training_step(self, step: Any, _: int) -> Tensor:
        first = int(step) * self.batch_size
        progress = (self.current_epoch * self.steps + int(step)) / (self.settings.epochs * self.steps)
        rows = np.sort(self.rows[first : first + self.batch_size])
        value = self.loss(Step(rows, self.device, progress))
        self.total += float(value.detach())
        return value

    def on_train_epoch_end(self) -> None:
        self.network.eval()
        figures = {f"{self.name}_loss": self.total / self.steps}
        if self.validate_network:
            figures["validation_loss"] = self.validate_network(self.network)
            self._remember(figures["validation_loss"])
        if self.on_epoch:
            self.on_epoch(self.current_epoch, figures)

    def _remember(self, value: float) -> None:
        if not self.best or value < self.best["value"]:
            state = {name: one.detach().clone() for name, one in self.network.state_dict().items()}
            self.best = {"value": value, "epoch": self.current_epoch, "state": state}
        elif self.patience and self.current_epoch - self.best["epoch"] >= self.patience:
            self.trainer.should_stop = True

    def configure_optimizers(self) -> Any:
        settings = self.settings
        optimizer = torch.optim.AdamW(
            self.network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        total = self.steps * settings.epochs
        if total < 4:  # too short for a cycle
            return optimizer
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, settings.learning_rate, total_steps=total, pct_start=_WARM_UP
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["rng"] = json.dumps(self.rng.bit_generator.state)
        checkpoint["best"] = self.best

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.rng.bit_generator.state = json.loads(checkpoint["rng"])
        self.best = checkpoint["best"]


def run_epochs(
    network: nn.Module,
    size: int,
    settings: LoopSettings,
    rng: np.random.Generator,
    loss: Loss,
    *,
    order: Order | None = None,
    length: int | None = None,
    validate: Validate | None = None,
    patience: int | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoints: Path | None = None,
    name: str = "train",
) -> None:
    """Minimise a loss, and leave the network on the CPU in evaluation mode.

    Parameters
    ----------
    network : Module
        Whose parameters are fitted.
    size : int
        Number of rows to draw batches from.
    settings : LoopSettings
    rng : Generator
        All that is random comes from it.
    loss : callable
        Of a `Step`.
    order : callable, optional
        Rows of an epoch, `length` of them, drawn with `rng`; by default all rows in a random order.
    length : int, optional
        Rows of an epoch, by default `size`.
    validate : callable, optional
        Loss on held-out rows after each epoch; the weights of the best epoch are kept.
    patience : int, optional
        Stop after so many epochs without a better validation loss.
    on_epoch : callable, optional
        Called after each epoch with its number and its figures.
    checkpoints : Path, optional
        Folder for a checkpoint after each epoch; a newest one that is there is gone on from.
    name : str
        Of the loss among the figures.
    """
    draw = order or (lambda generator: generator.permutation(size))
    module = _Epochs(network, settings, rng, loss, draw, length or size, validate, patience, on_epoch, name)
    callbacks: list[Any] = []
    newest = checkpoints / NEWEST if checkpoints else None
    if checkpoints:
        callbacks.append(
            ModelCheckpoint(
                checkpoints, filename=NEWEST[:-5], enable_version_counter=False, save_on_train_epoch_end=True
            )
        )
    for logger in ("pytorch_lightning.utilities.rank_zero", "pytorch_lightning.accelerators.cuda"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")  # advice about workers and logging
        trainer = pl.Trainer(
            max_epochs=settings.epochs,
            callbacks=callbacks,
            gradient_clip_val=_CLIP,
            logger=False,
            enable_checkpointing=bool(callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        resumed = newest if newest and newest.is_file() else None
        trainer.fit(module, DataLoader(_Steps(module.steps), batch_size=None), ckpt_path=resumed, weights_only=True)
    if module.best:
        network.load_state_dict(module.best["state"])
    network.cpu().eval()


def equally_often(classes: NDArray[np.integer], length: int) -> Order:
    """An order of rows in which each class is drawn equally often, `length` rows in all.

    Parameters
    ----------
    classes : ndarray, shape (rows,)
        Class of each row.
    length : int
    """
    chance = 1.0 / np.bincount(classes)[classes]
    chance = chance / chance.sum()
    return lambda rng: rng.choice(len(classes), length, p=chance)
