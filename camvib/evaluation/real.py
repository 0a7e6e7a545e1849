"""Measured recordings: a split that does not leak, a network with its maps, and baselines beside it.

``evaluate_real`` gives one result; tests/benchmarks/results/real.json is a list of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedShuffleSplit
from tqdm import tqdm

from camvib.errors import SplitError
from camvib.evaluation import baselines, events, real_network
from camvib.evaluation.real_data import Read, RealSet, open_set, read_entries
from camvib.evaluation.real_evidence import Evidence, life_scores
from camvib.evaluation.real_images import images
from camvib.evaluation.real_recipes import Recipe, recipe_for
from camvib.evaluation.real_splits import Plan, check_content, plan_folds
from camvib.inference import HEALTHY_WORDS
from camvib.spectrograms import Axes, window_length_s

MOST_WINDOWS = 16  # of one recording
MOST_WINDOWS_IN_ALL = 4000

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Windows:
    """Images and features of all windows.

    Attributes
    ----------
    layers_db : ndarray, shape (windows, layers, rows, columns)
    case : ndarray, shape (windows,)
        What is judged as one: the recording, or the window itself in a split by windows.
    label : ndarray, shape (windows,)
    entry : ndarray, shape (windows,)
        Row of labels.csv.
    start_s : ndarray, shape (windows,)
        Within the recording.
    """

    layers_db: NDArray[np.float32]
    case: NDArray[np.int64]
    label: NDArray[np.str_]
    entry: NDArray[np.int64]
    start_s: NDArray[np.floating]
    features: baselines.Features
    axes: Axes


def evaluate_real(
    name: str,
    data: Path,
    *,
    split: str | None = None,
    seeds: int = 5,
    leaky: bool = False,
    unit: str | None = None,
    channel: str | None = None,
    recipe: Recipe | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Train on one side of a split of a real set and measure on the other.

    Parameters
    ----------
    name : str
        A set of the catalog, or any name for a folder with labels.csv.
    data : Path
    split : str, optional
        See `camvib.evaluation.real_splits.plan_folds`.
    seeds : int
        Networks to train a fold; figures are means over them.
    leaky : bool
        Allow a split that leaks; the result is stamped.
    unit, channel : str, optional
        For files that do not say; an unknown unit counts as arbitrary, and of several channels the first is taken.
    recipe : Recipe, optional
        Images and network instead of the set's own.
    progress : bool

    Returns
    -------
    dict
        name, split, leaky, accuracy, macro_f1, baselines, bands (share of positive map mass), regions, seeds,
        and what explains them: by_seed, folds, findings, notes.

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
    recipe = recipe or recipe_for(name, [row["label"] for row in real.rows], real.groups)
    read = read_entries(real, plan.used, progress)
    plan = check_content(plan, read.entry.tolist(), [one.id for one in read.recordings], leaky)
    windows = _windows(real, read, recipe, plan, progress)
    folds = list(_window_folds(plan, windows))
    classes = _classes(windows.label, real)
    evidence = Evidence(real, recipe, windows.axes, classes, _healthy(classes, real), _shaft_hz(real, plan))
    by_seed, life = [], []
    bar = tqdm(total=len(folds) * seeds, desc=f"{name} {plan.name}", disable=not progress)
    for seed in range(seeds):
        found = []
        for number, (train, test) in enumerate(folds):
            found.append(_run(windows, train, test, classes, recipe, seed, evidence, number))
            if recipe.life:
                life.append(found[-1].life)
            bar.update(1)
        by_seed.append(_figures([one.judged for one in found], plan.pooled))
    bar.close()
    result = _result(real, recipe, plan, by_seed, evidence, read)
    result["baselines"] = _baselines(windows, folds, plan.pooled)
    if recipe.life:
        result["unknown_score"] = life_scores(life)
    return result


@dataclass(frozen=True, eq=False)
class _Run:
    judged: tuple[NDArray[np.str_], NDArray[np.str_]]
    life: dict[str, Any]


def _run(
    windows: Windows,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    classes: list[str],
    recipe: Recipe,
    seed: int,
    evidence: Evidence,
    fold: int,
) -> _Run:
    targets = np.array([classes.index(label) for label in windows.label])
    fitted = real_network.fit(windows.layers_db[train], targets[train], len(classes), recipe.fit, seed)
    logits, maps, embedding = fitted.predict(windows.layers_db[test])
    cases = windows.case[test]
    for case in np.unique(cases):
        own = cases == case
        evidence.add(fold, logits[own].mean(axis=0), maps[own], windows.start_s[test][own], windows.label[test][own][0])
    life = {}
    if recipe.life:
        _, _, known = fitted.predict(windows.layers_db[train])
        life = evidence.life(known, windows.label[train], embedding, windows.entry[test], windows.label[test])
    return _Run(_judged(logits, np.array(classes), cases, windows.label[test]), life)


def _judged(
    scores: NDArray[np.floating], classes: NDArray[np.str_], cases: NDArray[np.int64], labels: NDArray[np.str_]
) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Truth and verdict of each case, by the mean score of its windows."""
    names, first = np.unique(cases, return_index=True)
    means = np.stack([scores[cases == case].mean(axis=0) for case in names])
    return labels[first], classes[means.argmax(axis=1)]


def _figures(judged: list[tuple[NDArray[np.str_], NDArray[np.str_]]], pooled: bool) -> dict[str, Any]:
    """Accuracy and macro-F1 over the labels that are tested: of all folds together, or the mean over folds."""
    if pooled:
        judged = [(np.concatenate([t for t, _ in judged]), np.concatenate([g for _, g in judged]))]
    folds = [
        {
            "accuracy": float(accuracy_score(truth, guess)),
            "macro_f1": float(f1_score(truth, guess, labels=np.unique(truth), average="macro", zero_division=0)),
        }
        for truth, guess in judged
    ]
    mean = {key: float(np.mean([fold[key] for fold in folds])) for key in ("accuracy", "macro_f1")}
    return {**mean, "folds": folds}


def _windows(real: RealSet, read: Read, recipe: Recipe, plan: Plan, progress: bool) -> Windows:
    window_s = recipe.image.window_s or window_length_s([one.duration_s for one in read.recordings])
    most = max(1, min(MOST_WINDOWS, MOST_WINDOWS_IN_ALL // len(read.recordings)))
    rate = read.recordings[0].sampling_rate_hz
    length = round(window_s * rate)
    bands = dict(real.known.bands) if real.known else {}
    speeds = _relative_speeds(real, plan) if recipe.image.envelope else np.ones(len(real.rows))
    layers, starts, owner, features = [], [], [], []
    image_recipe = recipe.image.model_copy(update={"overlap": 0.0}) if plan.by_window else recipe.image
    short = 0
    for number, recording in enumerate(tqdm(read.recordings, desc="images", disable=not progress, delay=2)):
        if len(recording.samples) * min(1.0, speeds[read.entry[number]]) < length:
            short += 1
            continue
        made = images(recording, image_recipe, window_s, most, speeds[read.entry[number]])
        first = np.minimum(np.round(made.start_s * rate).astype(int), len(recording.samples) - length)
        cut = np.stack([recording.samples[start : start + length] for start in first])
        layers.append(made.values_db)
        starts.append(made.start_s)
        owner.append(np.full(len(first), number))
        features.append(baselines.window_features(cut, rate, bands))
    if not layers:
        raise SplitError(f"{real.name}: every recording is shorter than {window_s:g} s", "Record longer")
    if short:
        real.notes.append(f"{short} recordings are shorter than the window of {window_s:g} s and left out")
    case = np.concatenate(owner)
    entry = read.entry[case]
    joined = {key: np.concatenate([part[key] for part in features]) for key in features[0]}
    values = np.concatenate(layers)
    if recipe.image.envelope:
        joined["random_forest_envelope"] = values.max(axis=1).mean(axis=2)
    label = np.array([real.rows[i]["label"] for i in entry])
    case = np.arange(len(case)) if plan.by_window else case
    return Windows(values, case, label, entry, np.concatenate(starts), joined, made.axes)


def _window_folds(plan: Plan, windows: Windows) -> list[Fold]:
    if plan.by_window:
        splitter = StratifiedShuffleSplit(1, test_size=0.25, random_state=0)
        return [(train, test) for train, test in splitter.split(windows.label, windows.label)]
    folds = []
    for train, test in plan.folds:
        seen, held = np.flatnonzero(np.isin(windows.entry, train)), np.flatnonzero(np.isin(windows.entry, test))
        if len(set(windows.label[seen])) < 2 or not len(held):
            raise SplitError(f"{plan.name}: a fold has {len(held)} windows to test", "Fetch the missing recordings")
        folds.append((seen, held))
    return folds


def _baselines(windows: Windows, folds: list[Fold], pooled: bool) -> dict[str, Any]:
    found = {}
    for name, features in windows.features.items():
        judged = []
        for train, test in folds:
            scores, classes = baselines.predict(name, features[train], windows.label[train], features[test])
            judged.append(_judged(scores, classes, windows.case[test], windows.label[test]))
        found[name] = _figures(judged, pooled)
    return found


def _result(
    real: RealSet, recipe: Recipe, plan: Plan, by_seed: list[dict[str, Any]], evidence: Evidence, read: Read
) -> dict[str, Any]:
    accuracy, macro_f1 = ([one[key] for one in by_seed] for key in ("accuracy", "macro_f1"))
    averaged = "all folds together" if plan.pooled else "mean over folds"
    return {
        "name": real.name,
        "split": plan.name,
        "leaky": plan.leaky,
        "network": recipe.fit.network,
        "accuracy": float(np.mean(accuracy)),
        "macro_f1": float(np.mean(macro_f1)),
        "worst_accuracy": min(accuracy),
        "worst_macro_f1": min(macro_f1),
        "baselines": {},
        "bands": evidence.bands(),
        "band_areas": evidence.band_areas(),
        "regions": evidence.regions(),
        "seeds": len(by_seed),
        "by_seed": by_seed,
        "averaging": f"{averaged}, then mean over seeds; a {'window' if plan.by_window else 'recording'} is one case",
        "recordings": dict(Counter(real.rows[i]["label"] for i in read.entry)),
        "findings": read.findings,
        "notes": [plan.why, *(real.known.notes if real.known else ()), *real.notes],
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
        "baselines": {},
        "bands": {},
        "regions": found,
        "seeds": 0,
        "recordings": {row["group"]: row["label"] for row in real.rows},
        "findings": read.findings,
        "notes": ["no classes, no network: a change map in dB", *(real.known.notes if real.known else ()), *real.notes],
    }


def _classes(labels: NDArray[np.str_], real: RealSet) -> list[str]:
    return sorted(set(labels.tolist()), key=lambda label: (not _is_healthy(label, real), label))


def _healthy(classes: list[str], real: RealSet) -> str:
    return next((label for label in classes if _is_healthy(label, real)), "")


def _is_healthy(label: str, real: RealSet) -> bool:
    return label == (real.known.healthy if real.known else None) or label.lower() in HEALTHY_WORDS


def _shaft_hz(real: RealSet, plan: Plan) -> float:
    """Mean shaft speed of the recordings used; 0 where the set names none."""
    column = _speed_column(real)
    return float(np.mean([float(real.rows[i][column]) for i in plan.used])) / 60 if column else 0.0


def _relative_speeds(real: RealSet, plan: Plan) -> NDArray[np.floating]:
    """Shaft speed of each row over the mean; 1 where the set names none."""
    column, mean = _speed_column(real), 60 * _shaft_hz(real, plan)
    if not column:
        return np.ones(len(real.rows))
    note = f"frequency axis of the envelope at the mean shaft speed, {mean:.4g} rpm, by column {column}"
    if note not in real.notes:
        real.notes.append(note)
    return np.array([float(row[column] or mean) / mean for row in real.rows])


def _speed_column(real: RealSet) -> str:
    """Column of the shaft speed in rpm, named by the catalog or beginning with rpm; numbers in all rows, or none."""
    bearing = real.known.bearing if real.known else None
    names = [bearing.shaft_hz_column] if bearing else [name for name in real.rows[0] if name.lower().startswith("rpm")]
    for name in names:
        try:
            if all(float(row[name]) > 0 for row in real.rows):
                return name
        except (KeyError, ValueError):
            continue
    return ""
