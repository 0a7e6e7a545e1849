"""What a network on the change answers on a benchmark set."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camvib.evaluation.maps import attributions as att
from camvib.evaluation.maps.data import CLASSES, MapData
from camvib.networks.change_cnn import ChangeCnn


def explainable_change(network: ChangeCnn, data: MapData, rows: NDArray[np.integer]) -> att.Explainable:
    """A network on the change as a classifier of images: one each of `rows`, or any number of a single one."""
    _, baseline, spread = tensors(data, rows)

    def logits(images: Tensor) -> Tensor:
        answer: Tensor = network(images, baseline.expand(len(images), -1), spread.expand(len(images), -1)).logits
        return answer

    return att.Explainable(logits, network.classes.mix)


class Explained(NamedTuple):
    """A network's answers on a set: logits (n, classes), map of the class asked for and change (n, rows, columns)."""

    logits: NDArray[np.float32]
    class_map: NDArray[np.float32]
    change: NDArray[np.float32]
    add_up_error: float


def tensors(data: MapData, rows: NDArray[np.integer]) -> tuple[Tensor, Tensor, Tensor]:
    """Images, baselines and spreads to evaluate with."""
    image = torch.from_numpy(data.images_db[rows].astype(np.float32))
    return image, torch.from_numpy(data.baselines_db[0, rows]), torch.from_numpy(data.spreads_db[0, rows])


def explain(network: ChangeCnn, data: MapData, classes: NDArray[np.integer], *, batch_size: int = 50) -> Explained:
    """Run a set through the network and keep the map of one class each."""
    parts, worst = [], 0.0
    with torch.inference_mode():
        for first in range(0, len(data), batch_size):
            rows = np.arange(first, min(first + batch_size, len(data)))
            output = network(*tensors(data, rows))
            total = output.maps.double().mean(dim=(2, 3)) + network.classes.bias
            worst = max(worst, float((total - output.logits).abs().max()))
            chosen = output.maps[torch.arange(len(rows)), torch.from_numpy(classes[rows])]
            parts.append([value.numpy() for value in (output.logits, chosen, output.change.probability)])
    logits, class_map, change = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Explained(logits, class_map, change, worst)


def true_classes(data: MapData, place: int = 0) -> NDArray[np.int64]:
    """Number of each recording's first (or second) class."""
    return np.array([CLASSES.index(label.split("+")[place]) for label in data.labels])
