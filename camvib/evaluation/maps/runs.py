"""Simulate, train and save the networks of the map benchmark with the committed settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from camvib.evaluation.maps.data import MapData, join, simulated
from camvib.evaluation.maps.deployment import deploy
from camvib.evaluation.maps.models import save_networks
from camvib.evaluation.maps.training import MapTraining, train_change, train_change_without_twins, train_plain
from camvib.simulation.fleet import FleetPlan


@dataclass(frozen=True)
class MapRun:
    """What the networks are trained on and how.

    Attributes
    ----------
    single_seeds, double_seeds : tuple of int
        Of fleets with one fault, and with two faults, a recording.
    recordings : int
        Of each fleet.
    baseline_draws : int
        Baselines of each recording, from different healthy recordings of its asset.
    twin, synthetic_twin, classes, synthetic_classes, plain : MapTraining
    """

    single_seeds: tuple[int, ...] = (101, 102, 103, 104, 105)
    double_seeds: tuple[int, ...] = (301, 302)
    recordings: int = 800
    baseline_draws: int = 3
    twin: MapTraining = field(default_factory=lambda: MapTraining(epochs=10, widths=(32, 64, 96), hum_share=0.1))
    synthetic_twin: MapTraining = field(default_factory=lambda: MapTraining(epochs=10, hum_share=0.1))
    classes: MapTraining = field(default_factory=lambda: MapTraining(epochs=8, hum_share=0.05))
    synthetic_classes: MapTraining = field(default_factory=lambda: MapTraining(epochs=12, hum_share=0.05))
    plain: MapTraining = field(default_factory=lambda: MapTraining(epochs=10))


def training_recordings(run: MapRun = MapRun(), progress: Callable[[str], None] = print) -> MapData:
    """Simulate what the networks are trained on, the same for every seed of theirs."""
    plans = [FleetPlan(run.recordings, number) for number in run.single_seeds]
    plans += [FleetPlan(run.recordings, number, faults_per_recording=2) for number in run.double_seeds]
    parts = []
    for plan in plans:
        parts.append(simulated(plan, baseline_draws=run.baseline_draws))
        progress(f"simulated {plan.recordings} recordings of seed {plan.seed}")
    return join(parts)


def train_map_models(
    folder: Path, data: MapData, *, seed: int = 0, run: MapRun = MapRun(), progress: Callable[[str], None] = print
) -> Path:
    """Write a folder for `camvib.evaluation.maps.benchmark.evaluate_maps`; networks on the change have a model folder.

    Parameters
    ----------
    folder : Path
    data : MapData
        See `training_recordings`.
    seed : int
        Of the networks' weights and batches; the recordings are the same.
    run : MapRun
    progress : callable
        Called with lines of text.
    """

    def tell(name: str) -> Callable[[int, object, str], None]:
        return lambda epoch, network, losses: progress(f"{name}: epoch {epoch + 1}, {losses}")

    twin, made, classes, made_classes, plain = (
        replace(settings, seed=seed)
        for settings in (run.twin, run.synthetic_twin, run.classes, run.synthetic_classes, run.plain)
    )
    networks: dict[str, torch.nn.Module] = {
        "plain": train_plain(data, plain, tell("plain")),
        "change": train_change(data, twin, classes, tell("change")),
        "change_no_twins": train_change_without_twins(data, made, made_classes, tell("change without twins")),
    }
    save_networks(folder, networks, {"training": seed, **asdict(run)})
    deploy(folder)
    return folder
