"""Trainings of the benchmark: `camvib.learning.change_cnn` on simulated arrays, and the plain network beside it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from camvib.augmentation.mains_hum import line_rows
from camvib.augmentation.samples import ChangeData, HumLines, draw_sample
from camvib.evaluation.maps.data import CLASSES, FAULTS, MapData, image_layer
from camvib.learning import change_cnn
from camvib.learning.change_cnn import train_twin
from camvib.learning.loop import AfterEpoch, run_epochs
from camvib.networks.change_cnn import ChangeCnn
from camvib.networks.gap_cnn import GapCnn
from camvib.networks.output import Output
from camvib.networks.twin import TwinNet
from camvib.settings import ChangeTraining

MapTraining = ChangeTraining
OnEpoch = Callable[[int, nn.Module, str], None]


def change_data(data: MapData, *, votes: bool = False) -> ChangeData:
    """The benchmark's recordings as `camvib.learning.change_cnn` takes them; the same arrays, not copies."""
    return ChangeData(
        images_db=data.images_db,
        healthy_db=data.twins_db,
        difference_db=data.difference_db,
        targets=data.targets,
        baselines_db=data.baselines_db,
        spreads_db=data.spreads_db,
        lines=_lines(),
        votes=cell_classes(data.labels, data.one_off) if votes else None,
    )


@functools.cache
def _lines() -> HumLines:
    layer = image_layer()
    return HumLines(line_rows(layer), np.diff(layer.axes.frequency_hz))


def cell_classes(labels: NDArray[np.str_], one_off: NDArray[np.int8]) -> NDArray[np.int8]:
    """Class that each evidence cell is due to, (n, rows, columns), −1 where there is none or more than one."""
    found = np.full((len(labels), *one_off.shape[2:]), -1, np.int8)
    for i, label in enumerate(labels):
        names = [name for name in label.split("+") if name in FAULTS]
        for j, name in enumerate(names):
            alone = (one_off[i, j] != 0) & ~np.any(np.delete(one_off[i, : len(names)], j, axis=0) != 0, axis=0)
            found[i][alone] = CLASSES.index(name)
    return found


def train_change(
    data: MapData,
    twin_settings: MapTraining = MapTraining(),
    class_settings: MapTraining = MapTraining(),
    on_epoch: OnEpoch | None = None,
) -> ChangeCnn:
    """Train the twin on simulated pairs, then the class maps on what it says.

    Parameters
    ----------
    data : MapData
        With several baseline draws, better.
    twin_settings, class_settings : MapTraining
    on_epoch : callable, optional
        Called after each epoch with its number, the network and the loss in words.
    """
    twin = train_twin(change_data(data), twin_settings, _in_words(on_epoch))
    return train_classes(twin, data, class_settings, on_epoch)


def train_change_without_twins(
    data: MapData,
    twin_settings: MapTraining = MapTraining(),
    class_settings: MapTraining = MapTraining(),
    on_epoch: OnEpoch | None = None,
) -> ChangeCnn:
    """Train on healthy recordings with synthetic changes, then on class labels; no fault's twin is used.

    `data.twins_db` serves as the pool of healthy recordings of the assets; which faulty recording one belongs to
    is not used.
    """
    data = _single(data)
    healthy = replace(change_data(data), difference_db=None)
    twin = train_twin(healthy, twin_settings, _in_words(on_epoch))
    return train_classes(twin, data, replace(class_settings, cell_weight=0.0), on_epoch)


def train_classes(
    twin: TwinNet, data: MapData, settings: MapTraining = MapTraining(), on_epoch: OnEpoch | None = None
) -> ChangeCnn:
    """Train class maps on a finished twin."""
    known = change_data(data, votes=settings.cell_weight > 0)
    return change_cnn.train_classes(twin, known, settings, _in_words(on_epoch))


def _in_words(on_epoch: OnEpoch | None) -> AfterEpoch | None:
    if on_epoch is None:
        return None
    return lambda epoch, network, loss: on_epoch(epoch, network, f"loss {loss:.4f}")


def _single(data: MapData) -> MapData:
    """Recordings with one fault or none."""
    return data.select(np.array(["+" not in label for label in data.labels]))


class PlainCnn(nn.Module):
    """The plain network to compare with: a `GapCnn` on level-free images, without baseline or twin."""

    mean: Tensor
    spread: Tensor

    def __init__(self, classes: int = len(CLASSES)) -> None:
        super().__init__()
        self.network = GapCnn(classes)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def forward(self, image_db: Tensor) -> Output:
        """Classify images, (batch, rows, columns) in dB."""
        flat = image_db - image_db.mean(dim=(1, 2), keepdim=True)
        return self.network((flat - self.mean) / self.spread)


def train_plain(data: MapData, settings: MapTraining = MapTraining(), on_epoch: OnEpoch | None = None) -> PlainCnn:
    """Train the plain network on the recordings with one fault or none."""
    data = _single(data)
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    network = PlainCnn()
    some = torch.from_numpy(data.images_db[:: max(1, len(data) // 512)].astype(np.float32))
    network.spread.copy_((some - some.mean(dim=(1, 2), keepdim=True)).std())
    known = change_data(data)

    def loss(rows: NDArray[np.integer], device: torch.device) -> Tensor:
        sample = draw_sample(known, rows, settings, rng).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.bfloat16):
            logits = network(sample.image).logits
        return functional.cross_entropy(logits.float(), sample.targets)

    run_epochs(network, len(data), settings, rng, loss, _in_words(on_epoch))
    return network.eval()
