"""The networks that the map benchmark judges, and the folder they are kept in."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from camvib.change import ChangeCnn
from camvib.errors import ModelError
from camvib.evaluation import attributions as att
from camvib.evaluation.map_data import CLASSES, MapData, image_axes
from camvib.evaluation.map_training import PlainCnn
from camvib.inference import Diagnoser, load_model
from camvib.models import ChangeNetwork, Output

DESCRIPTION = "map-models.json"


@dataclass(frozen=True, eq=False)
class MapModels:
    """What is compared: class maps on the change with and without simulated twins in training, and a plain network.

    Attributes
    ----------
    plain : callable, optional
        Images in dB, (batch, rows, columns), to an `Output` in the order of `CLASSES`.
    plain_layer : Module, optional
        Its last convolution.
    change, change_no_twins : ChangeCnn, optional
    card : dict
        Seeds and settings of the training.
    """

    plain: Callable[[Tensor], Output] | None
    plain_layer: nn.Module | None
    change: ChangeCnn | None
    change_no_twins: ChangeCnn | None
    card: dict[str, Any]

    def explainable(self, data: MapData, rows: NDArray[np.integer]) -> att.Explainable:
        """What attribution methods are run on: the plain network; where there is none, the one on the change."""
        if self.plain is not None and self.plain_layer is not None:
            plain = self.plain
            return att.Explainable(lambda images: plain(images).logits, self.plain_layer)
        network = self.change or self.change_no_twins
        assert network is not None
        return explainable_change(network, data, rows)


def explainable_change(network: ChangeCnn, data: MapData, rows: NDArray[np.integer]) -> att.Explainable:
    """A network on the change as a classifier of images: one each of `rows`, or any number of a single one."""
    _, baseline, spread = tensors(data, rows)

    def logits(images: Tensor) -> Tensor:
        answer: Tensor = network(images, baseline.expand(len(images), -1), spread.expand(len(images), -1)).logits
        return answer

    return att.Explainable(logits, network.classes.mix)


def save_networks(folder: Path, networks: dict[str, nn.Module], card: dict[str, Any]) -> Path:
    """Write networks named change, change_no_twins and plain as arrays, without pickle."""
    folder.mkdir(parents=True, exist_ok=True)
    widths = {name: net.widths for name, net in networks.items() if isinstance(net, ChangeCnn)}
    for name, network in networks.items():
        arrays = {key: value.numpy() for key, value in network.state_dict().items()}
        np.savez(folder / f"{name}.npz", **arrays)
    description = {"schema": 1, "classes": CLASSES, "networks": list(networks), "widths": widths, "card": card}
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n")
    return folder


def load_map_models(folder: Path) -> MapModels:
    """Read a folder written by `save_networks`, or a run folder of ``camvib train``.

    Raises
    ------
    ModelError
        Neither is there, or the run's model knows other classes than the simulator's.
    """
    if not (folder / DESCRIPTION).is_file():
        return _from_run(folder)
    described = json.loads((folder / DESCRIPTION).read_text())
    plain = PlainCnn()
    _fill(plain, folder / "plain.npz")
    found: dict[str, ChangeCnn | None] = {"change": None, "change_no_twins": None}
    for name, widths in described["widths"].items():
        network = ChangeCnn(len(CLASSES), tuple(widths))
        _fill(network, folder / f"{name}.npz")
        found[name] = network
    return MapModels(plain, plain.network.features, found["change"], found["change_no_twins"], described["card"])


def _fill(network: nn.Module, path: Path) -> None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            network.load_state_dict({name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays.files})
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: the network is damaged ({error})", "Train it again") from error
    network.eval()


def _from_run(folder: Path) -> MapModels:
    model = load_model(folder)
    if set(model.classes) != set(CLASSES):
        raise ModelError(
            f"{folder}: classes {', '.join(model.classes)}; the simulator has {', '.join(CLASSES)}",
            "Train on recordings of 'camvib simulate' to score maps against its truth",
        )
    axes = image_axes()
    given = model.diagnoser.spectrogram.axes
    if any(len(a) != len(b) or not np.allclose(a, b) for a, b in zip(axes, given, strict=True)):
        raise ModelError(
            f"{folder}: its images are not those of the benchmark (4 s at 4096 Hz, 128 × 128 cells)",
            "Train on 'camvib simulate' with the default spectrogram to score maps against its truth",
        )
    order = torch.tensor([model.classes.index(name) for name in CLASSES])
    card = {"run": model.digest, **model.card}
    if isinstance(model.diagnoser.network, ChangeNetwork):
        network = reordered(model.diagnoser.network.change, order)
        simulated = model.card.get("twin") == "simulated"
        return MapModels(None, None, network if simulated else None, None if simulated else network, card)
    diagnoser: Diagnoser = model.diagnoser

    def plain(image_db: Tensor) -> Output:
        output = diagnoser.explain(image_db)
        return Output(output.logits[:, order], output.maps[:, order], output.embedding)

    return MapModels(plain, diagnoser.network.features, None, None, card)  # type: ignore[arg-type]


def reordered(network: ChangeCnn, order: Tensor) -> ChangeCnn:
    """The same network with its classes in another order; healthy stays the first."""
    network = copy.deepcopy(network)
    classes = network.classes
    with torch.no_grad():
        for values in (classes.vote.weight, classes.vote.bias, classes.bias):
            assert values is not None
            values.copy_(values[order].clone())
    return network.eval()


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
