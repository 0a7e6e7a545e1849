"""Measured recordings: a split that does not leak, `camvib train`, `camvib diagnose`, and what needs no network beside.

``evaluate_real`` gives one result; tests/benchmarks/results/real.json is a list of them. Nothing is trained, drawn or
chosen here: each fold becomes two folders as a user would have them.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score
from tqdm import tqdm

from camvib.evaluation.real import events
from camvib.evaluation.real.evidence import Judged, band_shares, life_scores, mean_regions
from camvib.evaluation.real.folders import number_of, write_folder
from camvib.evaluation.real.protocols import Plan, as_windows, check_content, plan_folds
from camvib.evaluation.real.sets import Read, RealSet, open_set, read_entries
from camvib.learning.data import TrainingData, load_training_data
from camvib.learning.run_folder import TrainingResult
from camvib.learning.train import train
from camvib.learning.trivial import trivial_figures
from camvib.model.folder import load_model
from camvib.monitoring.batch import diagnose
from camvib.monitoring.ledger import Store
from camvib.recordings.labels import HEALTHY_WORDS
from camvib.recordings.shaft_speed import shaft_speeds_hz
from camvib.records import Diagnosis
from camvib.settings import Settings

Rows = NDArray[np.int64]


def evaluate_real(
    name: str,
    data: Path,
    *,
    split: str | None = None,
    seeds: int = 5,
    leaky: bool = False,
    unit: str | None = None,
    channel: str | None = None,
    minutes: float = 10.0,
    network: str | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Train on one side of a split of a real set, and diagnose the other.

    Parameters
    ----------
    name : str
        A set of the catalog, or any name for a folder with labels.csv; it decides the split, never the network.
    data : Path
    split : str, optional
        See `camvib.evaluation.real.protocols.plan_folds`.
    seeds : int
        Trainings a fold; figures are means over them.
    leaky : bool
        Allow a split that leaks; the result is stamped.
    unit, channel : str, optional
        For files that do not say; an unknown unit counts as arbitrary, and of several channels the first is taken.
    minutes : float
        That each training may compare networks for.
    network : str, optional
        Keep to the candidates of this network.
    progress : bool

    Returns
    -------
    dict
        name, split, leaky, accuracy, macro_f1, trivial, network, image, bands (share of positive map mass), regions,
        seeds, and what explains them: by_seed, choices, refused, findings, notes.

    Raises
    ------
    SplitError
        The split leaks and `leaky` is False; or a label cannot be learned from what is left.
    LabelsError, ReadError, CamvibError
        The folder cannot be read.
    """
    real = open_set(name, data, channel, unit, split)
    if real.known and real.known.reference_s:
        return _changes(real, real.known.reference_s, progress)
    plan = plan_folds(real, split, leaky)
    read = read_entries(real, plan.used, progress)
    plan = check_content(plan, read.entry.tolist(), [one.id for one in read.recordings], leaky)
    folds = [
        (np.flatnonzero(np.isin(read.entry, train)), np.flatnonzero(np.isin(read.entry, held)))
        for train, held in plan.folds
    ]
    if plan.by_window:
        read, folds = as_windows(real, read)
    with tempfile.TemporaryDirectory(prefix="camvib-evaluate-") as scratch:
        task = _Task(real, read, plan, folds, Path(scratch), minutes, network)
        trials = task.run(seeds, progress)
        trivial = task.trivial(progress)
    return _result(task, trials, trivial)


@dataclass(frozen=True, eq=False)
class _Trial:
    """One training, and the held-out recordings as they were diagnosed."""

    fold: int
    seed: int
    result: TrainingResult
    judged: list[Judged]


@dataclass(frozen=True, eq=False)
class _Task:
    real: RealSet
    read: Read
    plan: Plan
    folds: list[tuple[Rows, Rows]]
    scratch: Path
    minutes: float
    network: str | None

    @property
    def groups(self) -> list[str]:
        """Group of each recording: by the column that is split by, else by the set's own groups."""
        if self.plan.by_window:
            return [f"window {i}" for i in range(len(self.read.recordings))]
        columns = [self.real.groups]
        if self.plan.name.startswith("group:"):
            columns.insert(0, self.real.column(self.plan.name.removeprefix("group:")))
        # Within a training side the first column that can be held out in turn is taken.
        for column in columns:
            groups = [column[i] for i in self.read.entry]
            if all(len({groups[i] for i in train}) > 1 for train, _ in self.folds):
                return groups
        return [self.real.rows[i]["file"] for i in self.read.entry]

    def run(self, seeds: int, progress: bool) -> list[_Trial]:
        """Train and diagnose every fold with every seed."""
        found = []
        bar = tqdm(total=len(self.folds) * seeds, desc=f"{self.real.name} {self.plan.name}", disable=not progress)
        for number, (seen, held) in enumerate(self.folds):
            sides = [self.scratch / f"fold-{number}" / side for side in ("train", "test")]
            for side, rows in zip(sides, (seen, held), strict=True):
                write_folder(side, self.real, self.read, rows, self.groups)
            for seed in range(seeds):
                found.append(self._trial(number, seed, *sides))
                bar.update(1)
        bar.close()
        return found

    def _trial(self, fold: int, seed: int, seen: Path, held: Path) -> _Trial:
        healthy = _healthy(self.real, self.read)
        settings = Settings.model_validate(
            {
                "training": {"test_fraction": 0, "seed": seed, "minutes": self.minutes},
                "diagnosis": {"healthy": healthy} if healthy else {},
            }
        )
        run = self.scratch / f"fold-{fold}" / f"run-{seed}"
        result = train(seen, run, settings, network=self.network, progress=False)
        model = load_model(run)
        store = Store(run / "store.db")
        batch = diagnose([held], model, store, progress=False)
        return _Trial(fold, seed, result, [self._judged(one, store, model.healthy) for one in batch.diagnoses])

    def _judged(self, diagnosis: Diagnosis, store: Store, healthy: str) -> Judged:
        number = number_of(diagnosis.recording)
        entry = int(self.read.entry[number])
        evidence = store.evidence(diagnosis)
        return Judged(
            self.real.rows[entry]["label"],
            diagnosis.label,
            self.real.groups[entry],
            number,
            1 - diagnosis.probabilities.get(healthy, 0.0) if diagnosis.label else float("nan"),
            evidence.contrast if evidence else None,
        )

    def trivial(self, progress: bool) -> dict[str, float]:
        """What needs no network, on the same recordings: those that quality refuses count for nobody."""
        folder = write_folder(
            self.scratch / "all", self.real, self.read, range(len(self.read.recordings)), self._distinct_groups()
        )
        data = load_training_data(folder, progress=False)
        place = {number_of(file): i for i, file in enumerate(data.files)}
        folds = [
            (np.array([place[i] for i in seen if i in place]), np.array([place[i] for i in held if i in place]))
            for seen, held in self.folds
        ]
        folds = [fold for fold in folds if len(fold[0]) and len(fold[1]) and _labels_of(data, fold[0]) > 1]
        return trivial_figures(data, folds, self.real.known.bands if self.real.known else {}) if folds else {}

    def _distinct_groups(self) -> list[str]:
        return [f"recording {i}" for i in range(len(self.read.recordings))]


def _labels_of(data: TrainingData, rows: Rows) -> int:
    return len({data.labels[i] for i in rows})


def _healthy(real: RealSet, read: Read) -> str | None:
    labels = {real.rows[i]["label"] for i in read.entry}
    if real.known and real.known.healthy in labels:
        return real.known.healthy
    return next((label for label in sorted(labels) if label.lower() in HEALTHY_WORDS), None)


def _result(task: _Task, trials: list[_Trial], trivial: dict[str, float]) -> dict[str, Any]:
    real, plan, read = task.real, task.plan, task.read
    seeds = sorted({trial.seed for trial in trials})
    by_seed = [_figures([trial.judged for trial in trials if trial.seed == seed]) for seed in seeds]
    first = [trial for trial in trials if trial.seed == seeds[0]]
    judged = [one for trial in first for one in trial.judged]
    shares, areas = band_shares(judged, real)
    declared = real.known.bearing.shaft_hz_column if real.known and real.known.bearing else ""
    speeds = shaft_speeds_hz(real.rows, declared)
    shaft_hz = 0.0 if speeds is None else float(np.mean(speeds[plan.used]))
    healthy = _healthy(real, read)
    accuracy, macro_f1 = ([one[key] for one in by_seed] for key in ("accuracy", "macro_f1"))
    refused = Counter(one.truth for one in judged if not one.label)
    return {
        "name": real.name,
        "split": plan.name,
        "leaky": plan.leaky,
        "accuracy": float(np.mean(accuracy)),
        "macro_f1": float(np.mean(macro_f1)),
        "worst_accuracy": min(accuracy),
        "worst_macro_f1": min(macro_f1),
        "trivial": {name: round(value, 4) for name, value in trivial.items()},
        "network": " | ".join(dict.fromkeys(trial.result.network for trial in first)),
        "image": " | ".join(dict.fromkeys(trial.result.image for trial in first)),
        "choices": [
            {"fold": t.fold, "network": t.result.network, "image": t.result.image, "compared": list(t.result.compared)}
            for t in first
        ],
        "refused": dict(refused),
        "bands": shares,
        "band_areas": areas,
        "regions": [row for trial in first for row in mean_regions(trial.judged, real, shaft_hz, trial.fold)],
        "life": life_scores(judged, healthy) if healthy else {},
        "seeds": len(seeds),
        "by_seed": by_seed,
        "averaging": "all folds together, then mean over seeds; refused recordings are listed, not counted",
        "recordings": dict(Counter(real.rows[i]["label"] for i in read.entry)),
        "findings": read.findings,
        "notes": [plan.why, *(real.known.notes if real.known else ()), *real.notes],
    }


def _figures(folds: Sequence[Sequence[Judged]]) -> dict[str, Any]:
    """Accuracy and macro-F1 over the labels that are tested, of all folds together, and of each."""
    every = [one for fold in folds for one in fold if one.label]
    return {
        **_both(every),
        "folds": [_both([one for one in fold if one.label]) for fold in folds],
    }


def _both(judged: Sequence[Judged]) -> dict[str, float]:
    truth, guess = [one.truth for one in judged], [one.label for one in judged]
    if not truth:
        return {"accuracy": 0.0, "macro_f1": 0.0}
    return {
        "accuracy": float(accuracy_score(truth, guess)),
        "macro_f1": float(f1_score(truth, guess, labels=sorted(set(truth)), average="macro", zero_division=0)),
    }


def _changes(real: RealSet, reference_s: tuple[float, float], progress: bool) -> dict[str, Any]:
    """Evaluate a set without classes: what changed in each recording after its own first seconds."""
    read = read_entries(real, range(len(real.entries)), progress)
    found = []
    for recording, entry in zip(read.recordings, read.entry, strict=True):
        found += [events.as_dict(real.rows[entry]["group"], one) for one in events.changes(recording, reference_s)]
    return {
        "name": real.name,
        "split": f"each recording against its own first {reference_s[1]:g} s",
        "leaky": False,
        "accuracy": None,
        "macro_f1": None,
        "trivial": {},
        "network": "",
        "image": "",
        "bands": {},
        "regions": found,
        "seeds": 0,
        "recordings": {row["group"]: row["label"] for row in real.rows},
        "findings": read.findings,
        "notes": ["no classes, no network: a change map in dB", *(real.known.notes if real.known else ()), *real.notes],
    }
