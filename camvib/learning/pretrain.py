"""Train the change network that ships with camvib: simulate, train, write weights and card.

``make pretrain`` makes the shipped weights again, from the seeds alone. Two rounds of the twin, the second on more
recordings and from where the first ended; then the class maps on what the twin says.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from camvib.learning.change_cnn import train_classes, train_twin
from camvib.learning.pretraining_data import Simulated, fleet, join, wide_fleet
from camvib.networks.change_cnn import ChangeCnn, ClassMaps
from camvib.networks.pretrained import write_pretrained
from camvib.networks.twin import TwinNet
from camvib.settings import ChangeTraining
from camvib.simulation.faults import LABELS

WIDTHS = (32, 64, 96)


@dataclass(frozen=True)
class Fleets:
    """Which simulated recordings a round learns from, as pairs of a number and a seed.

    Attributes
    ----------
    single, double : tuple of (recordings, seed)
        Fleets of the nominal beam's family, with one and with two faults a recording.
    wide : tuple of (rigs, seed)
        Ten recordings of each rig, see `camvib.simulation.wide_range`.
    """

    single: tuple[tuple[int, int], ...] = ()
    double: tuple[tuple[int, int], ...] = ()
    wide: tuple[tuple[int, int], ...] = ()

    def simulate(self, cache: Path | None) -> Simulated:
        """All of them, one after the other; what `cache` holds is read from there."""
        parts = [fleet(count, seed, cache=cache) for count, seed in self.single]
        parts += [fleet(count, seed, faults=2, cache=cache) for count, seed in self.double]
        parts += [wide_fleet(count, seed, cache=cache) for count, seed in self.wide]
        return join(parts)


_TWIN = ChangeTraining(
    epochs=5,
    learning_rate=4e-3,
    widths=WIDTHS,
    hum_share=0.1,
    line_share=0.25,
    sensor_share=0.25,
    crop_columns=64,
    bfloat16=False,
)
_CLASSES = ChangeTraining(epochs=5, hum_share=0.05, widths=WIDTHS, bfloat16=False)


@dataclass(frozen=True)
class Recipe:
    """How the shipped network is made.

    Attributes
    ----------
    rounds : tuple of (Fleets, ChangeTraining)
        Of the twin, each from where the one before ended.
    class_fleets : Fleets
    classes : ChangeTraining
        Of the class maps and of the presence of each fault.
    """

    rounds: tuple[tuple[Fleets, ChangeTraining], ...] = (
        (Fleets(((800, 101), (800, 102)), ((800, 301),), ((80, 501), (80, 502))), _TWIN),
        (
            Fleets(((800, 101), (800, 102), (800, 103), (800, 104)), ((800, 301),), ((80, 501), (80, 502))),
            replace(_TWIN, epochs=9, learning_rate=3e-3, seed=1),
        ),
    )
    class_fleets: Fleets = field(
        default_factory=lambda: Fleets(((800, 101), (800, 102), (800, 103), (800, 104)), ((800, 301),), ((80, 501),))
    )
    classes: ChangeTraining = _CLASSES


def pretrain(recipe: Recipe, cache: Path | None, work: Path) -> ChangeCnn:
    """Train it; a training that was killed goes on from the checkpoints in `work`.

    Parameters
    ----------
    recipe : Recipe
    cache : Path, optional
        Folder that keeps the simulated recordings.
    work : Path
        Folder for checkpoints.
    """
    torch.set_flush_denormal(True)
    twin: TwinNet | None = None
    for number, (fleets, settings) in enumerate(recipe.rounds):
        data = fleets.simulate(cache).change_data()
        twin = train_twin(data, settings, _told(f"twin {number}"), work / f"twin-{number}", twin)
    assert twin is not None
    torch.manual_seed(recipe.classes.seed)
    maps = ClassMaps(len(LABELS))
    maps.add_presence()
    data = recipe.class_fleets.simulate(cache).change_data()
    return train_classes(twin, data, recipe.classes, _told("class maps"), work / "classes", start=maps)


def _told(stage: str) -> Any:
    return lambda epoch, network, loss: print(f"{stage}: epoch {epoch + 1}, loss {loss:.4f}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and write the shipped network."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for change_cnn.npz and change_cnn.json")
    parser.add_argument("--work", type=Path, default=Path(".camvib/pretrain"), help="recordings and checkpoints")
    given = parser.parse_args(arguments)
    recipe = Recipe()
    network = pretrain(recipe, given.work / "recordings", given.work)
    card = {"command": "make pretrain", "recipe": json.loads(json.dumps(asdict(recipe)))}
    print(write_pretrained(given.out, network, LABELS, card))


if __name__ == "__main__":
    main()
