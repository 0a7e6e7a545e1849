"""Epochs over rows of arrays that lie in memory, by Lightning: one-cycle AdamW, and a checkpoint an epoch."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler
from tqdm import tqdm

Loss = Callable[[NDArray[np.integer], torch.device], Tensor]
OnEpoch = Callable[[int, dict[str, float]], None]  # of the caller: epoch and metrics
AfterEpoch = Callable[[int, nn.Module, float], None]  # within: epoch, network and mean loss
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
        on_epoch: AfterEpoch | None,
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
    on_epoch: AfterEpoch | None = None,
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


class TwoStageHistory:
    """Epochs of both stages, counted on, to history.csv, to the caller and to the progress bar."""

    def __init__(self, out: Path, twin: int, classes: int, on_epoch: OnEpoch | None, progress: bool) -> None:
        self.path, self.first, self.on_epoch = out / "history.csv", twin, on_epoch
        self.bar = tqdm(total=twin + classes, desc="train", unit="epoch", disable=not progress)

    def twin(self, epoch: int, network: nn.Module, loss: float) -> None:
        """An epoch of the twin."""
        self._write(epoch, {"twin_loss": loss})

    def classes(self, epoch: int, network: nn.Module, loss: float) -> None:
        """An epoch of the class maps."""
        self._write(self.first + epoch, {"class_loss": loss})

    def _write(self, epoch: int, metrics: dict[str, float]) -> None:
        behind = pd.read_csv(self.path) if epoch and self.path.is_file() else pd.DataFrame({"epoch": []}, dtype=int)
        row = pd.DataFrame([{"epoch": epoch, **metrics}])
        table = pd.concat([behind[behind.epoch < epoch], row]) if len(behind) else row
        table.reindex(columns=["epoch", "twin_loss", "class_loss"]).to_csv(self.path, index=False)
        self.bar.update(epoch + 1 - self.bar.n)
        self.bar.set_postfix({name: f"{value:.3f}" for name, value in metrics.items()})
        if self.on_epoch:
            self.on_epoch(epoch, metrics)


class EpochSampler(Sampler[int]):
    """Shuffle that depends on seed and epoch only, so that a resumed training sees the same order."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.seed, self.epoch = size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order; Lightning calls it before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        return iter(torch.randperm(self.size, generator=generator).tolist())

    def __len__(self) -> int:
        return self.size


class History(Callback):
    """Epoch metrics to history.csv, to the caller and to the progress bar."""

    def __init__(self, out: Path, epochs: int, on_epoch: OnEpoch | None, progress: bool) -> None:
        self.path, self.on_epoch = out / "history.csv", on_epoch
        self.bar = tqdm(total=epochs, desc="train", unit="epoch", disable=not progress)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the epochs that a resumed training has behind it; drop lines of a half epoch."""
        self.bar.update(trainer.current_epoch)
        if trainer.current_epoch and self.path.is_file():
            behind = pd.read_csv(self.path)
            behind[behind.epoch < trainer.current_epoch].to_csv(self.path, index=False)
        else:
            self.path.unlink(missing_ok=True)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write one line."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        row = pd.DataFrame([{"epoch": trainer.current_epoch, **metrics}])
        row.to_csv(self.path, mode="a", header=not self.path.is_file(), index=False)
        self.bar.update(1)
        self.bar.set_postfix({name: f"{value:.3f}" for name, value in metrics.items()})
        if self.on_epoch:
            self.on_epoch(trainer.current_epoch, metrics)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar."""
        self.bar.close()
