"""Train by the product's path on simulated recordings, and judge the maps on sealed specimens.

Each training simulates a fleet as ``camvib simulate`` does, trains a model with each settings file in
``tests/benchmarks/maps`` as ``camvib train`` does, and scores their maps as ``camvib evaluate maps`` does. The fleets'
seeds are 101, 102, …, and 151, 152, … of a plant that has no twins and records each specimen more often; the
specimens reported on are of seeds that nothing else uses, one set a training. ``--seed`` judges on others, to try it.

``make bench-maps`` runs one training. The committed figures are of three:
``python tests/benchmarks/bench_maps.py --training 0 1 2 --out tests/benchmarks/results/maps.json``.
``--runs DIR`` keeps fleets and run folders, and goes on with those that are there.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from camvib.evaluation.maps.benchmark import evaluate_maps
from camvib.learning.train import train
from camvib.settings import Settings
from camvib.simulation.fleet import write_fleet

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = Path(__file__).with_name("maps")
TRAIN_SEEDS = {0: 101, 1: 102, 2: 103}
PLANT, PLANT_RECORDINGS = 50, 25  # added to the seed of the fleet without twins; of each of its specimens
NO_TWINS = "no-twins"
SEALED = {0: 9611, 1: 9621, 2: 9631}  # 9001 to 9104 and 9201 to 9224 were looked at
FIGURES = {
    "macro_f1": "classification.macro_f1",
    "crack_recall": "classification.recall.crack",
    "change_ap": "maps.change.macro.ap",
    "class_map_ap": "maps.camvib.macro.ap",
    "class_map_pointing": "maps.camvib.macro.pointing",
    "class_map_auroc": "maps.camvib.macro.auroc",
    "class_map_crack_ap": "maps.camvib.by_class.crack.ap",
    "no_twins_ap": "maps.camvib_no_twins.macro.ap",
    "no_twins_pointing": "maps.camvib_no_twins.macro.pointing",
    "no_twins_crack_ap": "maps.camvib_no_twins.by_class.crack.ap",
    "no_twins_macro_f1": "classification.baselines.camvib_no_twins",
    "specificity": "specificity.share",
    "exclusive_auroc": "specificity.exclusive_auroc",
    "own_auroc": "specificity.own_auroc",
    "own_auroc_crack": "specificity.own_auroc_by_class.crack",
    "both_named": "specificity.both_named",
    "notch_changed_share": "notch.changed_share",
}


def trained(base: Path, training: int, recordings: int, settings: Path = SETTINGS) -> dict[str, Path]:
    """Run folder of each settings file; a finished one is taken as it is."""
    seed = TRAIN_SEEDS[training]
    fleet = write_fleet(base / "fleet", recordings, seed, progress=False)
    # Without twins only healthy recordings can be compared with, and an asset needs four or more of them.
    plant = write_fleet(
        base / "plant", recordings, seed + PLANT, recordings_per_specimen=PLANT_RECORDINGS, twins=False, progress=False
    )
    runs = {}
    for file in sorted(settings.glob("*.toml")):
        print(f"training {training}: {file.stem}", flush=True)
        given = Settings.load(file, training={"seed": training})
        folder = plant if file.stem == NO_TWINS else fleet
        runs[file.stem] = train(folder, base / file.stem, given, rig="cantilever", progress=False).folder
    return runs


def over_seeds(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over trainings of the figures that have targets."""
    found = {}
    for name, key in FIGURES.items():
        each = [_at(result, key) for result in results]
        known = [value for value in each if value is not None]
        if known:
            found[name] = {"mean": float(np.mean(known)), "spread": float(np.std(known)), "each": each}
    return found


def _at(result: Any, key: str) -> float | None:
    for part in key.split("."):
        result = (result or {}).get(part)
    return result


def main() -> None:
    """Train, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--training", type=int, nargs="+", default=[0], choices=list(SEALED))
    parser.add_argument("--seed", type=int)
    parser.add_argument("--runs", type=Path, default=Path(".camvib/maps"))
    parser.add_argument("--out", type=Path, default=Path(".camvib/maps/maps.json"))
    parser.add_argument("--measured", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--settings", type=Path, default=SETTINGS)
    parser.add_argument("--recordings", type=int, default=4000)
    parser.add_argument("--specimens", type=int, default=40)
    parser.add_argument("--deletions", type=int, default=40)
    parser.add_argument("--learn", type=int, default=800)
    given = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    sizes = {key: getattr(given, key) for key in ("specimens", "deletions", "learn", "measured")}
    judged = SEALED if given.seed is None else dict.fromkeys(SEALED, given.seed)
    results = []
    for training in given.training:
        runs = trained(given.runs / str(training), training, given.recordings, given.settings)
        first = training == given.training[0]
        found = evaluate_maps(
            runs["twins"],
            seed=judged[training],
            plain=runs.get("plain"),
            no_twins=runs.get(NO_TWINS),
            figures=given.out.parent if first else None,
            peers=first,
            **sizes,
        )
        results.append(found)
    specimens_of = [judged[training] for training in given.training]
    name = "sealed" if given.seed is None else "tried"
    results[0]["seeds"] |= {"trainings": given.training, name: specimens_of, "recordings": given.recordings}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps({**results[0], "over_seeds": over_seeds(results)}, indent=1) + "\n")


if __name__ == "__main__":
    main()
