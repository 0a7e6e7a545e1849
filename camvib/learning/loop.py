"""Epochs over rows of arrays that lie in memory, by Lightning: one-cycle AdamW, and a checkpoint an epoch."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

Loss = Callable[[NDArray[np.integer], torch.device], Tensor]
NEWEST = "last.ckpt"


class LoopSettings(Protocol):
    """What a loop asks of its settings."""

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
    """Draws batches from `rng`, whose state travels in the checkpoint, so that a resumed training repeats an unbroken
    one.
    """

    def __init__(
        self,
        network: nn.Module,
        size: int,
        settings: LoopSettings,
        rng: np.random.Generator,
        loss: Loss,
        on_epoch: Callable[[int, nn.Module, float], None] | None,
    ) -> None:
        super().__init__()
        self.network, self.size, self.settings, self.rng = network, size, settings, rng
        self.loss, self.on_epoch = loss, on_epoch
        self.steps = max(1, size // settings.batch_size)
        self.order, self.total = np.arange(size), 0.0

    def on_train_epoch_start(self) -> None:
        self.network.train()
        self.order, self.total = self.rng.permutation(self.size), 0.0

    def training_step(self, step: Any, _: int) -> Tensor:
        first = int(step) * self.settings.batch_size
        value = self.loss(np.sort(self.order[first : first + self.settings.batch_size]), self.device)
        self.total += float(value.detach())
        return value

    def on_train_epoch_end(self) -> None:
        self.network.eval()
        if self.on_epoch:
            self.on_epoch(self.current_epoch, self.network, self.total / self.steps)

    def configure_optimizers(self) -> Any:
        settings = self.settings
        optimizer = torch.optim.AdamW(
            self.network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, settings.learning_rate, total_steps=self.steps * settings.epochs, pct_start=0.15
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["rng"] = json.dumps(self.rng.bit_generator.state)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.rng.bit_generator.state = json.loads(checkpoint["rng"])


def run_epochs(
    network: nn.Module,
    size: int,
    settings: LoopSettings,
    rng: np.random.Generator,
    loss: Loss,
    on_epoch: Callable[[int, nn.Module, float], None] | None = None,
    checkpoints: Path | None = None,
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
        Of the numbers of a batch's rows, and the device that the network is on.
    on_epoch : callable, optional
        Called after each epoch with its number, the network in evaluation mode, and the mean loss.
    checkpoints : Path, optional
        Folder for a checkpoint after each epoch; a newest one that is there is gone on from.
    """
    module = _Epochs(network, size, settings, rng, loss, on_epoch)
    callbacks: list[Any] = []
    newest = checkpoints / NEWEST if checkpoints else None
    if checkpoints:
        callbacks.append(
            ModelCheckpoint(
                checkpoints, filename=NEWEST[:-5], enable_version_counter=False, save_on_train_epoch_end=True
            )
        )
    for name in ("pytorch_lightning.utilities.rank_zero", "pytorch_lightning.accelerators.cuda"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")  # advice about workers and logging
        trainer = pl.Trainer(
            max_epochs=settings.epochs,
            callbacks=callbacks,
            gradient_clip_val=5.0,
            logger=False,
            enable_checkpointing=bool(callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        resumed = newest if newest and newest.is_file() else None
        trainer.fit(module, DataLoader(_Steps(module.steps), batch_size=None), ckpt_path=resumed, weights_only=True)
    network.cpu().eval()
