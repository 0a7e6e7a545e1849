"""The change network that ships with camvib: read, written, and given on to a network that goes on from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camvib.errors import ModelError
from camvib.networks.change_cnn import ChangeCnn

NAME = "change_cnn"
_VOTES = ("classes.vote.weight", "classes.vote.bias", "classes.bias")  # one row a class
_TRUNK = ("classes.stem.", "classes.down.", "classes.local.", "classes.context.", "classes.mix.", "classes.fine.",
          "classes.amount.", "classes.profile.")  # fmt: skip
_REMEDY = "Install camvib again; 'make pretrain' makes the file anew"


@dataclass(frozen=True, eq=False)
class Pretrained:
    """What ships.

    Attributes
    ----------
    state : dict of str to Tensor
        Of a `ChangeCnn`, float32.
    classes : tuple of str
        Healthy is the first.
    widths : tuple of int
    rows : int
        Of the images.
    card : dict
        On what it was trained and how, with figures; `digest` names the weights.
    """

    state: dict[str, Tensor]
    classes: tuple[str, ...]
    widths: tuple[int, int, int]
    rows: int
    card: dict[str, Any]

    def network(self) -> ChangeCnn:
        """The network itself, in evaluation mode: for machines that nothing was trained on."""
        network = ChangeCnn(len(self.classes), self.widths, self.rows)
        if any(name.startswith("classes.presence.") for name in self.state):
            network.classes.add_presence()
        network.load_state_dict(self.state)
        return network.eval()


@cache
def load_pretrained() -> Pretrained:
    """Read the shipped network.

    Raises
    ------
    ModelError
        The file is missing or is not the one that its card describes.
    """
    folder = files("camvib.networks") / "weights"
    try:
        with (folder / f"{NAME}.json").open("rb") as card, (folder / f"{NAME}.npz").open("rb") as weights:
            return _read(json.load(card), weights)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"the change network that ships with camvib: {error}", _REMEDY) from error


def pretrained_state() -> dict[str, Tensor]:
    """Weights of the shipped `ChangeCnn`, float32, by name; see `Pretrained` for the rest."""
    return dict(load_pretrained().state)


def read_pretrained(folder: Path) -> Pretrained:
    """Read what `write_pretrained` wrote.

    Raises
    ------
    ModelError
        See `load_pretrained`.
    """
    try:
        with (folder / f"{NAME}.npz").open("rb") as weights:
            return _read(json.loads((folder / f"{NAME}.json").read_text()), weights)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder}: {error}", _REMEDY) from error


def _read(card: dict[str, Any], weights: Any) -> Pretrained:
    with np.load(weights, allow_pickle=False) as stored:
        arrays = dict(stored)
    if digest_of(arrays) != card["digest"]:
        raise ModelError(f"the weights of {NAME} are not those of digest {card['digest']}", _REMEDY)
    state = {
        name: torch.from_numpy(value.astype(np.float32) if value.dtype == np.float16 else value)
        for name, value in arrays.items()
    }
    a, b, c = card["widths"]
    return Pretrained(state, tuple(card["classes"]), (a, b, c), int(card["rows"]), card)


def write_pretrained(folder: Path, network: ChangeCnn, classes: Sequence[str], card: Mapping[str, Any]) -> str:
    """Write weights in float16, and the card; returns the digest.

    Parameters
    ----------
    folder : Path
        Made if needed.
    network : ChangeCnn
    classes : sequence of str
    card : mapping
        What is known of the training; `digest`, `classes`, `widths` and `rows` are added.
    """
    arrays = {
        name: value.numpy().astype(np.float16) if value.dtype == torch.float32 else value.numpy()
        for name, value in network.state_dict().items()
    }
    rows = network.classes.profile[0].in_features * 2 // 3  # type: ignore[operator]
    known = {"digest": digest_of(arrays), "classes": list(classes), "widths": list(network.widths), "rows": rows}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / f"{NAME}.npz", **arrays)
    (folder / f"{NAME}.json").write_text(json.dumps({**known, **card}, indent=1) + "\n")
    return str(known["digest"])


def digest_of(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Name of these weights, 12 hexadecimal digits."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(name.encode())
        found.update(np.ascontiguousarray(arrays[name]).tobytes())
    return found.hexdigest()[:12]


def start_from(pretrained: Pretrained, network: ChangeCnn, classes: Sequence[str]) -> list[str]:
    """Copy into a network what it can take over, and leave the rest as it is.

    The twin, if it has the same widths. The trunk of the class maps, if the images have as many rows. The votes for
    healthy, and for classes of the same name as a shipped one; others start fresh. The presence of each fault, if
    `network` has that head and all its classes are the shipped ones in their order.

    Parameters
    ----------
    pretrained : Pretrained
    network : ChangeCnn
        Changed in place.
    classes : sequence of str
        Of `network`; the first is healthy, whatever it is called.

    Returns
    -------
    list of str
        What was taken over: ``twin``, ``trunk``, ``votes for …``, ``presence``. Empty where nothing fits.
    """
    own = network.state_dict()
    taken: list[str] = []
    if network.widths == pretrained.widths:
        own |= {name: value for name, value in pretrained.state.items() if name.startswith("twin.")}
        taken.append("twin")
    if own["classes.profile.0.weight"].shape == pretrained.state["classes.profile.0.weight"].shape:
        own |= {name: value for name, value in pretrained.state.items() if name.startswith(_TRUNK)}
        taken.append("trunk")
        shipped = [pretrained.classes[0], *pretrained.classes[1:]]
        for i, name in enumerate([shipped[0], *classes[1:]]):
            if name in shipped:
                for key in _VOTES:
                    own[key] = own[key].clone()
                    own[key][i] = pretrained.state[key][shipped.index(name)]
                taken.append(f"votes for {name}")
        presence = {name: value for name, value in pretrained.state.items() if name.startswith("classes.presence.")}
        if presence and network.classes.presence is not None and list(classes[1:]) == shipped[1:]:
            own |= presence
            taken.append("presence")
    network.load_state_dict(own)
    return taken
