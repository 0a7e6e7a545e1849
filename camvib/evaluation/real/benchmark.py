"""Measured recordings: a split that does not leak, a network with its maps, and trivial classifiers beside it.

``evaluate_real`` gives one result; tests/benchmarks/results/real.json is a list of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedShuffleSplit
from tqdm import tqdm

from camvib.errors import SplitError
from camvib.evaluation.real import events, trivial
from camvib.evaluation.real.choice import Fold, Tested, choose, run_fold, vote
from camvib.evaluation.real.evidence import Evidence, life_scores
from camvib.evaluation.real.protocols import Plan, check_content, plan_folds
from camvib.evaluation.real.recipes import Recipe, recipes_for
from camvib.evaluation.real.sets import Read, RealSet, open_set, read_entries
from camvib.evaluation.real.trivial import Table, trivial_tables
from camvib.evaluation.real.windows import Windows, long_enough, make_windows
from camvib.images.envelope import ImageRecipe
from camvib.learning.scores import Verdicts, case_means, figures
from camvib.recordings.labels import HEALTHY_WORDS
from camvib.recordings.shaft_speed import relative_speeds, shaft_speed_hz


def evaluate_real(
    name: str,
    data: Path,
    *,
    split: str | None = None,
    seeds: int = 5,
    leaky: bool = False,
    unit: str | None = None,
    channel: str | None = None,
    recipes: Sequence[Recipe] | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Train on one side of a split of a real set and measure on the other.

    Parameters
    ----------
    name : str
        A set of the catalog, or any name for a folder with labels.csv.
    data : Path
    split : str, optional
        See `camvib.evaluation.real.protocols.plan_folds`.
    seeds : int
        Networks to train a fold; figures are means over them.
    leaky : bool
        Allow a split that leaks; the result is stamped.
    unit, channel : str, optional
        For files that do not say; an unknown unit counts as arbitrary, and of several channels the first is taken.
    recipes : sequence of Recipe, optional
        To choose from, instead of the set's own; see `camvib.evaluation.real.choice.choose`.
    progress : bool

    Returns
    -------
    dict
        name, split, leaky, accuracy, macro_f1, baselines, bands (share of positive map mass), regions, seeds,
        and what explains them: by_seed, folds, choices, findings, notes.

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
    labels = [row["label"] for row in real.rows]
    rate = read.recordings[0].sampling_rate_hz
    recipes = tuple(recipes or recipes_for(name, labels, real.groups, rate))[: 1 if plan.by_window else None]
    task = _prepare(real, read, recipes, plan, progress)
    by_seed, life, evidence = _train(task, seeds, progress)
    result = _result(task, by_seed, evidence)
    tables = trivial_tables(real, task.read, task.made, plan)
    result["baselines"] = {
        name: _trivial(name, table, task.folds, plan.pooled)
        for name, table in tqdm(tables.items(), desc="baselines", disable=not progress, delay=2)
    }
    if life:
        result["unknown_score"] = life_scores(life)
    return result


@dataclass(frozen=True, eq=False)
class _Task:
    """All that training needs: windows by image recipe, folds over cases, and in each the recipes that vote."""

    real: RealSet
    read: Read
    plan: Plan
    recipes: tuple[Recipe, ...]
    made: dict[ImageRecipe, Windows]
    folds: list[Fold]
    classes: list[str]
    shaft_hz: float


def _prepare(real: RealSet, read: Read, recipes: tuple[Recipe, ...], plan: Plan, progress: bool) -> _Task:
    column = real.known.bearing.shaft_hz_column if real.known and real.known.bearing else ""
    shaft_hz = shaft_speed_hz(real.rows, plan.used, column)
    on_shaft = any(recipe.image.envelope and recipe.image.shaft_axis for recipe in recipes)
    speeds, note = relative_speeds(real.rows, shaft_hz, column) if on_shaft else (np.ones(len(real.rows)), "")
    if note:
        real.notes.append(note)
    read, longest_s = long_enough(real, read, speeds)
    kinds = list(dict.fromkeys(recipe.image for recipe in recipes))
    with tqdm(total=len(kinds) * len(read.recordings), desc="images", disable=not progress, delay=2) as bar:
        made = {kind: make_windows(real, read, kind, plan, longest_s, speeds, bar) for kind in kinds}
    windows = made[recipes[0].image]
    return _Task(real, read, plan, recipes, made, _folds(plan, windows), _classes(windows.label, real), shaft_hz)


def _train(task: _Task, seeds: int, progress: bool) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Evidence]:
    """Figures of every seed, lives, and evidence; the recipes are chosen once a fold."""
    windows = task.made[task.recipes[0].image]
    healthy = _healthy(task.classes, task.real)
    evidence = Evidence(task.real, task.recipes[0], windows.axes, task.classes, healthy, task.shaft_hz)
    judged: list[list[Verdicts]] = [[] for _ in range(seeds)]
    life = []
    with tqdm(
        total=len(task.folds) * (seeds + 1), desc=f"{task.real.name} {task.plan.name}", disable=not progress
    ) as bar:
        for number, fold in enumerate(task.folds):
            chosen, compared = choose(task.recipes, task.made, fold[0], _groups(task, windows), task.classes)
            evidence.choices.append({"fold": number, "voting": chosen, "macro_f1": compared})
            bar.update(1)
            for seed in range(seeds):
                tested = [
                    run_fold(task.recipes[k], task.made[task.recipes[k].image], fold, task.classes, seed)
                    for k in chosen
                ]
                judged[seed].append(vote(tested, task.classes))
                _add(evidence, number, tested[0])
                if task.recipes[0].life:
                    life.append(_life(evidence, tested[0], fold))
                bar.update(1)
    return [figures(one, task.plan.pooled) for one in judged], life, evidence


def _groups(task: _Task, windows: Windows) -> list[dict[int, str]]:
    """Case → group, by the column that is split by, else by the set's own groups."""
    columns = [task.real.groups]
    if task.plan.name.startswith("group:"):
        columns.insert(0, task.real.column(task.plan.name.removeprefix("group:")))
    pairs = list(zip(windows.case.tolist(), windows.entry.tolist(), strict=True))
    return [{case: column[entry] for case, entry in pairs} for column in columns]


def _add(evidence: Evidence, fold: int, tested: Tested) -> None:
    windows, rows = tested.windows, tested.rows
    cases = windows.case[rows]
    for case, logits in zip(*case_means(tested.logits, cases), strict=True):
        own = cases == case
        truth = windows.label[rows][own][0]
        evidence.add(fold, logits, tested.maps[own], windows.start_s[rows][own], truth, windows.axes)


def _life(evidence: Evidence, tested: Tested, fold: Fold) -> dict[str, Any]:
    windows, train = tested.windows, tested.windows.rows(fold[0])
    _, _, known = tested.fitted.predict(windows.layers_db[train])
    held = windows.entry[tested.rows], windows.label[tested.rows]
    return evidence.life(known, windows.label[train], tested.embedding, *held)


def _folds(plan: Plan, windows: Windows) -> list[Fold]:
    if plan.by_window:
        rarest, count = Counter(windows.label.tolist()).most_common()[-1]
        if count < 2:
            raise SplitError(f"{plan.name}: one window of {rarest!r}", "Give each label more, or longer, recordings")
        splitter = StratifiedShuffleSplit(1, test_size=0.25, random_state=0)
        return [(train, test) for train, test in splitter.split(windows.label, windows.label)]
    folds = []
    for sides in plan.folds:
        seen, held = (np.flatnonzero(np.isin(windows.entry, side)) for side in sides)
        if len(set(windows.label[seen])) < 2 or not len(held):
            raise SplitError(f"{plan.name}: a fold has {len(held)} windows to test", "Fetch the missing recordings")
        folds.append((np.unique(windows.case[seen]), np.unique(windows.case[held])))
    return folds


def _trivial(name: str, table: Table, folds: list[Fold], pooled: bool) -> dict[str, Any]:
    judged = []
    for sides in folds:
        train, held = (np.isin(table.case, side) for side in sides)
        scores, classes = trivial.predict(name, table.features[train], table.label[train], table.features[held])
        _, first = np.unique(table.case[held], return_index=True)
        _, means = case_means(scores, table.case[held])
        judged.append((table.label[held][first], classes[means.argmax(axis=1)]))
    return figures(judged, pooled)


def _result(task: _Task, by_seed: list[dict[str, Any]], evidence: Evidence) -> dict[str, Any]:
    real, plan, read = task.real, task.plan, task.read
    accuracy, macro_f1 = ([one[key] for one in by_seed] for key in ("accuracy", "macro_f1"))
    averaged = "all folds together" if plan.pooled else "mean over folds"
    return {
        "name": real.name,
        "split": plan.name,
        "leaky": plan.leaky,
        "networks": [recipe.describe() for recipe in task.recipes],
        "choices": evidence.choices,
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
