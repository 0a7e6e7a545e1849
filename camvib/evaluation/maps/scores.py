"""Scores of a map against the cells where the fault truly shows (protocol B)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Evidence = NDArray[np.integer] | NDArray[np.bool_]
SCORES = ("ap", "pointing", "mass_ratio", "auroc")


def score_map(values: NDArray[np.floating], evidence: Evidence) -> tuple[float, float, float, float]:
    """Score one map; cells of equal value count as tied, so that a uniform map scores at chance.

    Parameters
    ----------
    values : ndarray, shape (rows, columns)
        Evidence for the fault; higher is more.
    evidence : ndarray, shape (rows, columns)
        The truth; any value but 0 is evidence. Neither empty nor full.

    Returns
    -------
    ap, pointing, mass_ratio, auroc : float
        Average precision; share of the highest cells (one, unless tied) that are evidence; share of the
        positive values that lies on evidence over the area's share; area under the ROC curve.
    """
    value, hit = np.asarray(values, np.float64).ravel(), np.asarray(evidence).ravel() != 0
    positives = int(hit.sum())
    order = np.argsort(-value, kind="stable")
    found = np.cumsum(hit[order])
    last_of_tie = np.flatnonzero(np.append(np.diff(value[order]) != 0, True))
    found = found[last_of_tie]
    precision = found / (last_of_tie + 1)
    ap = float(np.sum(np.diff(found, prepend=0) * precision) / positives)
    pointing = float(hit[value == value[order[0]]].mean())
    mass = np.maximum(value, 0.0)
    total = mass.sum()
    mass_ratio = float(mass[hit].sum() / total / hit.mean()) if total > 0 else 1.0
    ranks = rankdata(value)
    negatives = len(hit) - positives
    auroc = float((ranks[hit].sum() - positives * (positives + 1) / 2) / (positives * negatives))
    return ap, pointing, mass_ratio, auroc


def score_maps(maps: NDArray[np.floating], evidence: Evidence) -> NDArray[np.float64]:
    """Scores of each recording's map, shape (n, 4), in the order of `SCORES`."""
    return np.array([score_map(values, mask) for values, mask in zip(maps, evidence, strict=True)])


def by_class(scores: NDArray[np.float64], labels: NDArray[np.str_]) -> dict[str, Any]:
    """Mean scores of each class, and their mean over the classes."""
    means = {str(label): scores[labels == label].mean(axis=0) for label in sorted(set(labels.tolist()))}
    macro = np.mean(list(means.values()), axis=0)
    return {"macro": _named(macro), "by_class": {label: _named(mean) for label, mean in means.items()}}


def _named(values: NDArray[np.float64]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(SCORES, values, strict=True)}


def macro(values: NDArray[np.float64], labels: NDArray[np.str_]) -> float:
    """Mean over the classes of the mean over recordings."""
    return float(np.mean([values[labels == label].mean() for label in set(labels.tolist())]))


def bootstrap_macro(
    values: NDArray[np.float64],
    labels: NDArray[np.str_],
    groups: NDArray[np.str_],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of `macro`, drawing specimens with replacement: recordings of one specimen are alike.

    Classes that a draw holds none of are left out of its mean.
    """
    names, group = np.unique(groups, return_inverse=True)
    kinds, kind = np.unique(labels, return_inverse=True)
    total, count = np.zeros((len(names), len(kinds))), np.zeros((len(names), len(kinds)))
    np.add.at(total, (group, kind), values)
    np.add.at(count, (group, kind), 1)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    with np.errstate(invalid="ignore"):
        means = np.nanmean((weights @ total) / (weights @ count), axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def with_intervals(
    scores: Mapping[str, NDArray[np.float64]], labels: NDArray[np.str_], groups: NDArray[np.str_]
) -> dict[str, Any]:
    """The table of maps: scores by class and macro, with the macro AP's interval."""
    table = {}
    for name, values in scores.items():
        low, high = bootstrap_macro(values[:, 0], labels, groups)
        table[name] = {**by_class(values, labels), "ap_interval": [low, high]}
    return table
