"""Which recordings of a real set are for training and which for test; a leak is refused, or stamped."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

from camvib.errors import SplitError
from camvib.evaluation.real.sets import Read, RealSet
from camvib.learning.splits import grouped_folds

LONGEST_WINDOW_S = 4.0
WINDOWS, RECORDINGS = "windows", "recordings"  # splits that leak: kept to show what they hide
_WHY = "a figure from such a split is about memory, not about new machines"


@dataclass(frozen=True, eq=False)
class Plan:
    """Folds of a real set.

    Attributes
    ----------
    name : str
    folds : list of (train, test)
        Entry indices. For a split by windows both hold all entries; windows are split later.
    leaky : bool
        Windows of one recording or one group stand on both sides.
    by_window : bool
    pooled : bool
        Each entry is tested once, and figures are those of all folds together; else they are means over folds.
    why : str
    """

    name: str
    folds: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
    leaky: bool
    by_window: bool = False
    pooled: bool = False
    why: str = ""

    @property
    def used(self) -> list[int]:
        """All entries of all folds."""
        return sorted({int(i) for fold in self.folds for side in fold for i in side})


def plan_folds(real: RealSet, split: str | None, leaky: bool) -> Plan:
    """Find the folds.

    Parameters
    ----------
    real : RealSet
    split : str, optional
        A split of the catalog, ``group:COLUMN`` (each fold holds out values of that column), ``recordings`` or
        ``windows`` (at random). None takes the set's first split, or folds over its groups; with `leaky` windows.
    leaky : bool
        Allow a split that leaks.

    Raises
    ------
    SplitError
        The split leaks and `leaky` is False, or there is no such split.
    """
    if split is None and leaky:
        split = WINDOWS
    plan = _plan(real, split)
    if plan.leaky and not leaky:
        raise SplitError(
            f"{real.name}: split {plan.name!r} {_what_leaks(real, plan)}; {_WHY}",
            f"{_honest(real)}, or --leaky to see what it hides: the result is stamped",
        )
    if plan.pooled:
        _note_untested(real, plan)
    return plan


def _note_untested(real: RealSet, plan: Plan) -> None:
    tested = {int(i) for _, held in plan.folds for i in held}
    labels = Counter(row["label"] for row in real.rows)
    missing = Counter(row["label"] for i, row in enumerate(real.rows) if i not in tested)
    real.notes.extend(
        f"{count} of {labels[label]} recordings {label!r} are never tested: no other group of that label to learn from"
        for label, count in sorted(missing.items())
    )


def _honest(real: RealSet) -> str:
    names = [split.name for split in real.known.splits if split.honest] if real.known else []
    return f"Use --split {' or '.join(names)}" if names else "Leave --split out for folds over the column group"


def check_content(plan: Plan, entry: Sequence[int], ids: Sequence[str], leaky: bool) -> Plan:
    """Find copies: the same recording under two names, on both sides of a fold.

    Parameters
    ----------
    plan : Plan
    entry, ids : sequence
        Entry, and `Recording.id`, of each recording read.
    leaky : bool
        Stamp the plan instead of refusing it.

    Raises
    ------
    SplitError
        There are copies, and `leaky` is False.
    """
    if plan.by_window:
        return plan
    for train, test in plan.folds:
        sides = [
            {one for one, of in zip(ids, entry, strict=True) if of in set(side.tolist())} for side in (train, test)
        ]
        copies = sides[0] & sides[1]
        if copies and not leaky:
            raise SplitError(
                f"split {plan.name!r}: {len(copies)} recordings stand on both sides under two names; {_WHY}",
                "Remove the copies from labels.csv, or --leaky to see what they hide: the result is stamped",
            )
        if copies:
            return replace(plan, leaky=True)
    return plan


def _plan(real: RealSet, split: str | None) -> Plan:
    labels = [row["label"] for row in real.rows]
    if split == WINDOWS:
        everything = np.arange(len(labels))
        return Plan(split, [(everything, everything)], leaky=True, by_window=True, why="windows at random")
    if split == RECORDINGS:
        most = max(labels.count(label) for label in labels)
        if most < 2:
            raise SplitError(f"{real.name}: each label stands there once", "Add recordings of each label")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a label with fewer recordings than folds is no mistake here
            folds = list(StratifiedKFold(min(5, most), shuffle=True, random_state=0).split(labels, labels))
        return _stamped(real, Plan(split, folds, False, pooled=True, why="recordings at random"))
    if split is not None and split.startswith("group:"):
        column = split.removeprefix("group:")
        folds = grouped_folds(labels, real.column(column))
        return _stamped(real, Plan(split, folds, False, pooled=True, why=f"each fold holds out values of {column}"))
    if real.known is None or (split is None and not real.known.splits):
        if split is not None:
            raise SplitError(
                f"{real.name} is in no catalog and has no split {split!r}",
                "Use group:COLUMN with a column of labels.csv, or leave --split out for folds over its groups",
            )
        folds = grouped_folds(labels, real.groups)
        return _stamped(real, Plan("group:group", folds, False, pooled=True, why="each fold holds out groups"))
    chosen = real.known.split(split)
    named = [(np.array(train), np.array(test)) for train, test in chosen.rows(real.rows)]
    why = chosen.why if chosen.honest else f"not an honest split: {chosen.why}"
    return _stamped(real, Plan(chosen.name, named, False, why=why))


def _stamped(real: RealSet, plan: Plan) -> Plan:
    return replace(plan, leaky=bool(_shared(real, plan)))


def _shared(real: RealSet, plan: Plan) -> set[str]:
    """Groups, and files, that stand on both sides of a fold."""
    found: set[str] = set()
    for train, test in plan.folds:
        for names in (real.groups, [row["file"] for row in real.rows]):
            found |= {names[i] for i in train} & {names[i] for i in test}
    return found


def _what_leaks(real: RealSet, plan: Plan) -> str:
    if plan.by_window:
        return "puts windows of one recording on both sides"
    shared = sorted(_shared(real, plan))
    return f"has {len(shared)} groups or files on both sides, e.g. {', '.join(shared[:3])}"


def as_windows(real: RealSet, read: Read) -> tuple[Read, list[tuple[NDArray[np.int64], NDArray[np.int64]]]]:
    """Cut recordings into windows, and split these at random: what hides a leak.

    Raises
    ------
    SplitError
        A label has one window only.
    """
    window_s = min(LONGEST_WINDOW_S, min(one.duration_s for one in read.recordings))
    parts, entry = [], []
    for recording, of in zip(read.recordings, read.entry, strict=True):
        n = int(window_s * recording.sampling_rate_hz)
        for first in range(0, (len(recording.samples) // n) * n, n):
            start_s = recording.start_s + first / recording.sampling_rate_hz
            parts.append(replace(recording, samples=recording.samples[first : first + n], start_s=start_s))
            entry.append(of)
    labels = np.array([real.rows[i]["label"] for i in entry])
    rarest, count = Counter(labels.tolist()).most_common()[-1]
    if count < 2:
        raise SplitError(f"{WINDOWS}: one window of {rarest!r}", "Give each label more, or longer, recordings")
    splitter = StratifiedShuffleSplit(1, test_size=0.25, random_state=0)
    folds = [(np.sort(train), np.sort(test)) for train, test in splitter.split(labels, labels)]
    return Read(parts, np.array(entry), read.findings), folds
