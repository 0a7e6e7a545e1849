"""Groups before windows: train, validation and test never share a specimen, asset or session."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from camvib.errors import SplitError


class Split(NamedTuple):
    """Indices of entries, each an int array; `validation` may be empty where groups are too few."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def check_no_leak(split: Split, groups: Sequence[str]) -> None:
    """Raise SplitError when a group stands on two sides.

    Raises
    ------
    SplitError
        Names the groups and the sides.
    """
    sides = {name: {groups[i] for i in part} for name, part in zip(Split._fields, split, strict=True)}
    for one, other in (("train", "test"), ("validation", "test"), ("train", "validation")):
        shared = sorted(sides[one] & sides[other])
        if shared:
            raise SplitError(
                f"{len(shared)} groups stand in both {one} and {other}, e.g. {', '.join(shared[:3])}",
                "Split by group; a figure from shared groups would be about memory, not about new machines",
            )


def group_split(
    labels: Sequence[str],
    groups: Sequence[str],
    *,
    test_fraction: float = 0.25,
    validation_fraction: float = 0.2,
    seed: int = 0,
) -> Split:
    """Split by group, keeping the share of each label as even as the groups allow.

    Parameters
    ----------
    labels, groups : sequence of str
        One each an entry.
    test_fraction, validation_fraction : float
        Share of entries for test, and of the rest for validation.
    seed : int

    Raises
    ------
    SplitError
        There are fewer than two groups, or no split has every test label in training too.
    """
    y, g = np.asarray(labels), np.asarray(groups)
    n_groups = len(set(groups))
    if n_groups < 2:
        raise SplitError(
            f"only {n_groups} group: nothing would be left to test on",
            "Give at least two groups (machines, specimens, sessions) in labels.csv, better five or more",
        )
    everything = np.arange(len(y))
    rest, test = _hold_out(everything, y, g, test_fraction, seed)
    if len(set(g[rest])) < 2:
        split = Split(rest, np.array([], np.int64), test)
    else:
        try:
            train, validation = _hold_out(rest, y, g, validation_fraction, seed + 1)
        except SplitError:  # a label with a single group left can only be trained on
            train, validation = rest, np.array([], np.int64)
        split = Split(train, validation, test)
    check_no_leak(split, groups)
    return split


def _hold_out(
    index: NDArray[np.int64], y: NDArray[np.str_], g: NDArray[np.str_], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of a few stratified folds, take the one that shows the most labels on both sides; fewer and larger if need be."""
    members = int(np.unique(y[index], return_counts=True)[1].max())
    if members < 2:
        raise SplitError(
            f"{len(index)} recordings of {len(index)} labels: each label stands there once",
            "Give each label recordings of at least two groups in labels.csv",
        )
    # More folds than the commonest label has recordings cannot be made.
    most = max(2, min(round(1 / fraction), len(set(g[index])), members))
    best: tuple[float, NDArray[np.int64], NDArray[np.int64]] | None = None
    for folds in range(most, 1, -1):
        for kept, held in _folds(folds, y[index], g[index], seed):
            unseen = set(y[index[held]]) - set(y[index[kept]])
            if unseen or not len(held):
                continue
            score = len(set(y[index[held]])) - abs(len(held) / len(index) - fraction)
            if best is None or score > best[0]:
                best = (score, index[kept], index[held])
        if best is not None and set(y[best[2]]) == set(y[index]):
            break
    if best is None:
        raise SplitError(
            "every split by group leaves a label to be tested that was never trained on",
            "Give each label at least two groups in labels.csv",
        )
    return best[1], best[2]


def _folds(
    count: int, y: NDArray[np.str_], g: NDArray[np.str_], seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    with warnings.catch_warnings():
        # A label with fewer groups than folds is no mistake here: those entries stay in training.
        warnings.simplefilter("ignore", UserWarning)
        yield from StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(y, y, g)


def grouped_folds(
    labels: Sequence[str], groups: Sequence[str], *, most: int = 5, seed: int = 0
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Hold out groups in turn; every entry is tested at most once.

    Entries of a label that has no group left in training are not tested: nothing could have been learned of it.

    Parameters
    ----------
    labels, groups : sequence of str
        One each an entry.
    most : int
        Greatest number of folds.
    seed : int

    Returns
    -------
    list of (train, test)
        Indices.

    Raises
    ------
    SplitError
        There are fewer than two groups, or each label has one group only.
    """
    y, g = np.asarray(labels), np.asarray(groups)
    n_groups = len(set(groups))
    if n_groups < 2:
        raise SplitError(f"only {n_groups} group: nothing would be left to test on", "Name another column to split by")
    if np.unique(y, return_counts=True)[1].max() < 2:
        raise SplitError(
            f"{len(y)} recordings of {len(y)} labels: each label stands there once",
            "Give each label recordings of at least two groups in labels.csv",
        )
    found = []
    count = min(most, n_groups, max(2, int(np.unique(y, return_counts=True)[1].max())))
    for train, test in _folds(count, y, g, seed):
        known = test[np.isin(y[test], y[train])]
        if len(known) and len(set(y[train])) > 1:
            found.append((train, known))
    if not found:
        raise SplitError(
            f"each label stands in one group only, e.g. {labels[0]!r} in {groups[0]!r}",
            "Give each label at least two groups in labels.csv",
        )
    return found


@dataclass(frozen=True, eq=False)
class Plan:
    """What figures are measured on, and what the model is trained on.

    Attributes
    ----------
    folds : tuple of Split
        Each is trained anew and measured on its test side; figures are those of all together. Empty where nothing is
        held out: figures are then those of the comparison within the training groups.
    final : Split
        Of the model that is kept. Where groups are many it is the only fold; where they are few every group is held out
        in turn, and the model is trained on all.
    """

    folds: tuple[Split, ...]
    final: Split

    @property
    def crossed(self) -> bool:
        """Whether groups are held out in turn."""
        return len(self.folds) > 1


def plan_splits(
    labels: Sequence[str],
    groups: Sequence[str],
    *,
    few: bool,
    test_fraction: float = 0.25,
    validation_fraction: float = 0.2,
    seed: int = 0,
) -> Plan:
    """Decide what is held out.

    Parameters
    ----------
    labels, groups : sequence of str
        One each an entry.
    few : bool
        Groups, or recordings, are few: no group is spared for validation.
    test_fraction : float
        0 holds nothing out.
    validation_fraction, seed
        See `group_split`.

    Raises
    ------
    SplitError
        There are fewer than two groups, or each label has one group only.
    """
    none, everything = np.array([], np.int64), np.arange(len(labels))
    if few and test_fraction:
        folds = tuple(Split(train, none, held) for train, held in grouped_folds(labels, groups, seed=seed))
        return Plan(folds, Split(everything, none, none))
    if few:
        return Plan((), Split(everything, none, none))
    if not test_fraction:
        train, validation, held = group_split(
            labels, groups, test_fraction=validation_fraction, validation_fraction=validation_fraction, seed=seed
        )
        return Plan((), Split(np.sort(np.concatenate([train, validation])), held, none))
    split = group_split(labels, groups, test_fraction=test_fraction, validation_fraction=validation_fraction, seed=seed)
    return Plan((split,), split)
