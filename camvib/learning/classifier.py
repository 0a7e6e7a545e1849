"""Lightning glue: the training loop, its augmentation, early stopping and checkpoints."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from camvib.augmentation.transforms import augment_image, augment_waveform, mask_image
from camvib.learning.data import TrainingData
from camvib.learning.loop import EpochSampler, History, OnEpoch
from camvib.learning.splits import Split
from camvib.model.diagnoser import Diagnoser
from camvib.settings import Settings


class DiagnoserModule(pl.LightningModule):
    """Cross entropy (or one binary cross entropy a fault) on augmented windows."""

    weights: Tensor

    def __init__(self, diagnoser: Diagnoser, settings: Settings, weights: Tensor, steps: int) -> None:
        super().__init__()
        self.diagnoser, self.settings, self.steps = diagnoser, settings, steps
        self.multilabel = settings.model.head == "sigmoid"
        self.register_buffer("weights", weights)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Class-weighted loss of logits against target vectors, both (batch, classes)."""
        if self.multilabel:
            return nn.functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=self.weights)
        return nn.functional.cross_entropy(logits, targets.argmax(dim=1), weight=self.weights)

    def training_step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
        """Loss of one augmented batch; seeded by its place, so that a resumed training repeats an unbroken one."""
        torch.manual_seed((self.settings.training.seed * 10_007 + self.current_epoch) * 100_003 + number)
        waveform, targets = batch
        augmentation = self.settings.training.augmentation
        with torch.no_grad():
            image = augment_image(self.diagnoser.spectrogram(augment_waveform(waveform, augmentation)), augmentation)
            image = mask_image(self.diagnoser.standardise(image), augmentation.mask_fraction)
        loss = self.loss(self.diagnoser.network(image).logits, targets)
        self.log("train_loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Loss and accuracy of one untouched batch."""
        waveform, targets = batch
        logits = self.diagnoser(waveform).logits
        if self.multilabel:
            hit = ((logits > 0) == (targets > 0.5)).all(dim=1)
        else:
            hit = logits.argmax(dim=1) == targets.argmax(dim=1)
        self.log("val_loss", self.loss(logits, targets))
        self.log("val_accuracy", hit.float().mean())

    def configure_optimizers(self) -> Any:
        """AdamW with a one-cycle learning rate."""
        training = self.settings.training
        optimizer = torch.optim.AdamW(self.parameters(), training.learning_rate, weight_decay=training.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, training.learning_rate, total_steps=max(8, self.steps * training.epochs), pct_start=0.25
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def class_weights(targets: np.ndarray, multilabel: bool) -> Tensor:
    """Inverse frequency of each class, mean 1; for sigmoid outputs the ratio of absent to present."""
    present = targets.sum(axis=0).clip(1)
    weights = (len(targets) - present) / present if multilabel else present.sum() / (len(present) * present)
    return torch.tensor(weights, dtype=torch.float32).clamp(0.1, 10.0)


def fit_network(
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
    """Fit the network on the training groups and return the best epoch on the validation groups."""
    training = settings.training
    pl.seed_everything(training.seed, verbose=False)
    multilabel = settings.model.head == "sigmoid"
    seen = data.windows_of(split.train)
    held = data.windows_of(split.validation)
    targets = torch.from_numpy(data.targets[data.entry])
    diagnoser = Diagnoser(len(data.classes), settings, data.sampling_rate_hz)
    _standardise(diagnoser, data.windows[seen])
    batch_size = min(training.batch_size, max(2, len(seen) // 4))
    windows = torch.from_numpy(data.windows)
    loader = DataLoader(
        TensorDataset(windows[seen], targets[seen]),
        batch_size,
        sampler=EpochSampler(len(seen), training.seed),
        drop_last=len(seen) > batch_size,
    )
    validation = DataLoader(TensorDataset(windows[held], targets[held]), 64) if len(held) else None
    weights = class_weights(targets[seen].numpy(), multilabel)
    if not training.class_weights:
        weights = torch.ones_like(weights)
    module = DiagnoserModule(diagnoser, settings, weights, len(loader))
    checkpoints = out / "checkpoints" / fingerprint
    monitor = "val_loss" if validation else "train_loss"
    # One for the best epoch; one for the newest, which a killed training goes on from.
    common: dict[str, Any] = {"enable_version_counter": False, "save_on_train_epoch_end": True}
    best = ModelCheckpoint(checkpoints, filename="best", monitor=monitor, **common)
    newest = ModelCheckpoint(checkpoints, filename="last", **common)
    last = checkpoints / "last.ckpt"
    _fit(
        module,
        loader,
        validation,
        [
            best,
            newest,
            EarlyStopping(monitor, patience=training.patience),
            History(out, training.epochs, on_epoch, progress),
        ],
        training.epochs,
        last if resume and last.is_file() else None,
    )
    state = torch.load(checkpoints / "best.ckpt", weights_only=True, map_location="cpu")["state_dict"]
    module.load_state_dict(state)
    return module.diagnoser.cpu().eval()


def _standardise(diagnoser: Diagnoser, windows: np.ndarray) -> None:
    sample = np.linspace(0, len(windows) - 1, min(len(windows), 512)).round().astype(int)
    with torch.inference_mode():
        images = torch.cat([diagnoser.spectrogram(part) for part in torch.from_numpy(windows[sample]).split(32)])
    diagnoser.fit_standardisation(images.clone())


def _fit(
    module: DiagnoserModule,
    loader: DataLoader[Any],
    validation: DataLoader[Any] | None,
    callbacks: list[Callback],
    epochs: int,
    checkpoint: Path | None,
) -> None:
    for name in ("pytorch_lightning.utilities.rank_zero", "pytorch_lightning.accelerators.cuda"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Advice about workers and logging intervals: the windows are in memory already.
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        trainer = pl.Trainer(
            max_epochs=epochs,
            callbacks=callbacks,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            deterministic=True,
        )
        trainer.fit(module, loader, validation, ckpt_path=checkpoint, weights_only=True)
