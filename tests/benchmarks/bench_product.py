"""What `camvib train` and `camvib diagnose` give with their defaults: every figure of product.json.

python tests/benchmarks/bench_product.py ../shared/data [--only NAME …]

Each entry is measured by the path that a user walks. An entry that was measured stays until it is measured anew.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from camvib.evaluation.demo import score_inbox
from camvib.evaluation.real.benchmark import evaluate_real
from camvib.learning.train import train
from camvib.model.folder import load_model
from camvib.monitoring.baselines import learn_baselines
from camvib.monitoring.batch import diagnose
from camvib.monitoring.ledger import Store
from camvib.settings import Settings
from camvib.simulation.fleet import write_fleet
from camvib.simulation.inbox import write_inbox

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "tests" / "benchmarks" / "results" / "product.json"
SETS = (
    ("dropbear8", 5),
    ("cwru", 1),
    ("pump_motor_kafeel", 1),
    ("femto_bearing", 1),
    ("bistablex_cantilever", 1),
)
KEYS = ("name", "split", "accuracy", "macro_f1", "worst_accuracy", "trivial", "network", "image", "leaky", "seeds")
MORE = ("bands", "refused", "life", "choices")
# Never used before for choosing anything: the fleet that is trained on, and the machines that are judged.
TRAIN_SEED, JUDGED_SEED, MACHINES = 9501, 9502, 24


def measured(data: Path, name: str, seeds: int) -> dict[str, Any]:
    """One real set, by its first honest split."""
    found = evaluate_real(name, data / name, seeds=seeds)
    return {key: found[key] for key in (*KEYS, *MORE)}


def simulated(recordings: int = 800) -> dict[str, Any]:
    """Train on 800 simulated recordings, diagnose beams of another seed against baselines of their own."""
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        fleet = write_fleet(base / "fleet", recordings, TRAIN_SEED, progress=False)
        result = train(fleet, base / "run", Settings(), rig="cantilever", progress=False)
        scores = judged(base, load_model(base / "run"), JUDGED_SEED)
    return {
        "name": "simulated",
        "split": f"{MACHINES} beams of another seed, baselines of 5 other healthy recordings",
        "accuracy": scores["accuracy"],
        "macro_f1": scores["macro_f1"],
        "map_ap": scores["map_ap"],
        "map_chance": scores["map_chance"],
        "healthy_called_faulty": scores["healthy_called_faulty"],
        "trivial": result.trivial,
        "network": result.network,
        "image": result.image,
        "compared": list(result.compared),
        "leaky": False,
        "seeds": 1,
    }


def judged(base: Path, model: Any, seed: int) -> dict[str, Any]:
    """Verdicts and maps of new machines, by baseline and diagnose."""
    new = write_inbox(base / "new", MACHINES, seed, progress=False)
    store = Store(base / "store.db")
    if model.needs_baseline:
        learn_baselines([new / "healthy"], model, store, progress=False)
    diagnose([new / "inbox"], model, store, progress=False)
    return score_inbox(new / "inbox", store)


def main() -> None:
    """Measure what is asked for, and write it beside what stands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="*", default=None, help="names to measure; demo takes the JSON of camvib demo")
    parser.add_argument("--demo", type=Path, help="what 'camvib demo --json FILE' wrote")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: list[dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else []
    by_name = {entry["name"]: entry for entry in found if "name" in entry}
    demo = next((entry for entry in found if "demo" in entry), None)
    for name, seeds in SETS:
        if arguments.only is None or name in arguments.only:
            by_name[name] = measured(arguments.data, name, seeds)
            _write(by_name, demo)
    if arguments.only is None or "simulated" in arguments.only:
        by_name["simulated"] = simulated()
    if arguments.demo:
        scores = json.loads(arguments.demo.read_text())["demo"]
        keys = ("macro_f1", "healthy_called_faulty", "map_ap", "map_chance", "seconds")
        demo = {"demo": {key: scores[key] for key in keys}}
    _write(by_name, demo)


def _write(by_name: dict[str, dict[str, Any]], demo: dict[str, Any] | None) -> None:
    order = [name for name, _ in SETS] + ["simulated"]
    entries = [by_name[name] for name in order if name in by_name]
    draft = RESULTS.with_suffix(".part")
    draft.write_text(json.dumps([*entries, *([demo] if demo else [])], indent=1, default=_plain) + "\n")
    draft.replace(RESULTS)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


if __name__ == "__main__":
    main()
