"""Which recipes to trust, told by training recordings alone; and their common verdict.

A difference that chance explains is no reason to prefer one recipe: all within one standard error of the best vote.
The rule was written down in docs/log.md before its first figure was seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from camvib.errors import SplitError
from camvib.evaluation.real import network
from camvib.evaluation.real.recipes import Recipe
from camvib.evaluation.real.windows import Pick, Windows
from camvib.images.envelope import ImageRecipe
from camvib.learning.scores import Verdicts, case_means, figures
from camvib.learning.splits import grouped_folds

MOST_INNER_FOLDS = 2
INNER_SEED = 0

Fold = tuple[Pick, Pick]  # cases for training and for test


@dataclass(frozen=True, eq=False)
class Tested:
    """A fitted recipe on the held-out windows `rows` of its `windows`."""

    recipe: Recipe
    fitted: network.Fitted
    windows: Windows
    rows: Pick
    logits: NDArray[np.float32]
    maps: NDArray[np.float32]
    embedding: NDArray[np.float32]

    def case_logits(self) -> NDArray[np.floating]:
        """Mean logits of each case, in the order of the case numbers."""
        return case_means(self.logits, self.windows.case[self.rows])[1]


def run_fold(recipe: Recipe, windows: Windows, fold: Fold, classes: Sequence[str], seed: int) -> Tested:
    """Fit a recipe on one side of a fold and look at the other."""
    train, held = windows.rows(fold[0]), windows.rows(fold[1])
    targets = np.array([classes.index(label) for label in windows.label[train]])
    fitted = network.fit(windows.layers_db[train], targets, len(classes), recipe.fit, seed)
    return Tested(recipe, fitted, windows, held, *fitted.predict(windows.layers_db[held]))


def vote(tested: Sequence[Tested], classes: Sequence[str]) -> Verdicts:
    """Truth and verdict of each case, by the mean probability of all recipes."""
    windows, rows = tested[0].windows, tested[0].rows
    _, first = np.unique(windows.case[rows], return_index=True)
    mean = np.mean([softmax(one.case_logits(), axis=1) for one in tested], axis=0)
    return windows.label[rows][first], np.array(classes)[mean.argmax(axis=1)]


def choose(
    recipes: Sequence[Recipe],
    made: Mapping[ImageRecipe, Windows],
    train: Pick,
    group_of: Sequence[Mapping[int, str]],
    classes: Sequence[str],
) -> tuple[list[int], list[float]]:
    """Compare recipes within the cases of one training side.

    Parameters
    ----------
    recipes : sequence of Recipe
    made : mapping
        Windows by image recipe.
    train : ndarray of int
    group_of : sequence of mappings
        Case → group, by columns in order of preference: the first that can be held out in turn is taken.
    classes : sequence of str

    Returns
    -------
    chosen : list of int
        Recipes that vote, the best first. Only the first recipe where nothing can be held out.
    macro_f1 : list of float
        Of every recipe; empty where nothing was compared.
    """
    windows = made[recipes[0].image]
    label_of = dict(zip(windows.case.tolist(), windows.label.tolist(), strict=True))
    folds = _inner_folds(train, [label_of[case] for case in train.tolist()], group_of)
    if len(recipes) == 1 or not folds:
        return [0], []
    found = []
    for recipe in recipes:
        parts = [vote([run_fold(recipe, made[recipe.image], fold, classes, INNER_SEED)], classes) for fold in folds]
        found.append(figures(parts, pooled=True)["macro_f1"])
    best = max(found)
    error = np.sqrt(best * (1 - best) / sum(len(held) for _, held in folds))
    order = sorted(range(len(recipes)), key=lambda k: -found[k])
    return [k for k in order if found[k] >= best - error], found


def _inner_folds(train: Pick, labels: Sequence[str], group_of: Sequence[Mapping[int, str]]) -> list[Fold]:
    for groups in group_of:
        try:
            folds = grouped_folds(labels, [groups[case] for case in train.tolist()], most=MOST_INNER_FOLDS)
        except SplitError:
            continue
        return [(train[kept], train[held]) for kept, held in folds]
    return []
