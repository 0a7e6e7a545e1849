"""The networks that the map benchmark judges, and the folder they are kept in."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from camvib.errors import ModelError
from camvib.evaluation.maps import attributions as att
from camvib.evaluation.maps.answers import explainable_change
from camvib.evaluation.maps.data import CLASSES, MapData, image_axes
from camvib.evaluation.maps.training import PlainCnn
from camvib.model.diagnoser import Diagnoser
from camvib.model.folder import load_model
from camvib.networks.change_cnn import ChangeCnn, ChangeNetwork
from camvib.networks.output import Output

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
