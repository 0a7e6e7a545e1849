"""Train the networks of the map benchmark with the committed settings and judge them on sealed specimens.

Training uses the seeds of `camvib.evaluation.map_runs.MapRun`, choices were made on seeds 201 to 203 and 401 to 403,
and the specimens reported on are of seeds that nothing else uses, one set a training seed.
Run: ``python tests/benchmarks/bench_maps.py`` (three trainings; ``--training 0`` for one). ``--models DIR`` keeps
the trained networks, and goes on with those that are there.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from camvib.evaluation.map_models import DESCRIPTION
from camvib.evaluation.map_data import MapData
from camvib.evaluation.map_runs import train_map_models, training_recordings
from camvib.evaluation.maps import evaluate_maps

RESULTS = Path(__file__).parent / "results" / "maps.json"
IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
SEALED = {0: 9001, 1: 9011, 2: 9021}


def over_seeds(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over trainings of the figures that have targets."""
    figures = [
        {
            "macro_f1": r["classification"]["macro_f1"],
            "crack_recall": r["classification"]["recall"]["crack"],
            "change_ap": r["maps"]["change"]["macro"]["ap"],
            "class_map_ap": r["maps"]["camvib"]["macro"]["ap"],
            "class_map_pointing": r["maps"]["camvib"]["macro"]["pointing"],
            "class_map_auroc": r["maps"]["camvib"]["macro"]["auroc"],
            "class_map_crack_ap": r["maps"]["camvib"]["by_class"]["crack"]["ap"],
            "no_twins_ap": r["maps"]["camvib_no_twins"]["macro"]["ap"],
            "no_twins_pointing": r["maps"]["camvib_no_twins"]["macro"]["pointing"],
            "specificity": r["specificity"]["share"],
        }
        for r in results
    ]
    return {
        name: {"mean": float(np.mean(v)), "spread": float(np.std(v)), "each": v}
        for name in figures[0]
        for v in [[figure[name] for figure in figures]]
    }


def main() -> None:
    """Train, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--training", type=int, nargs="+", default=list(SEALED), choices=list(SEALED))
    parser.add_argument("--models", type=Path, default=Path(".camvib/maps"))
    parser.add_argument("--specimens", type=int, default=40)
    parser.add_argument("--deletions", type=int, default=40)
    parser.add_argument("--learn", type=int, default=800)
    given = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    results = []
    data: MapData | None = None
    for training in given.training:
        folder = given.models / str(training)
        if not (folder / DESCRIPTION).is_file():
            data = data or training_recordings()
            train_map_models(folder, data, seed=training)
        figures = IMAGES if training == given.training[0] else None
        sizes = {"specimens": given.specimens, "deletions": given.deletions, "learn": given.learn}
        results.append(evaluate_maps(folder, seed=SEALED[training], figures=figures, **sizes))
    RESULTS.write_text(json.dumps({**results[0], "over_seeds": over_seeds(results)}, indent=1) + "\n")


if __name__ == "__main__":
    main()
