"""Windows of a real set: images for the networks and features for the trivial classifiers, by one recipe of images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from camvib.evaluation.real.protocols import Plan
from camvib.evaluation.real.sets import Read, RealSet
from camvib.images.axes import Axes
from camvib.images.envelope import ImageRecipe, images

MOST_WINDOWS = 16  # of one recording
MOST_WINDOWS_IN_ALL = 4000
MUCH_SHORTER = 0.25  # of the median length: a few such recordings would shorten the window of all
LONGEST_WINDOW_S = 4.0

Pick = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Windows:
    """Images of all windows.

    Attributes
    ----------
    layers_db : ndarray, shape (windows, layers, rows, columns)
    case : ndarray, shape (windows,)
        What is judged as one: the recording, or the window itself in a split by windows.
    label : ndarray, shape (windows,)
    owner : ndarray, shape (windows,)
        Number of the recording.
    entry : ndarray, shape (windows,)
        Row of labels.csv.
    start_s : ndarray, shape (windows,)
        Within the recording.
    """

    layers_db: NDArray[np.float32]
    case: Pick
    label: NDArray[np.str_]
    owner: Pick
    entry: Pick
    start_s: NDArray[np.floating]
    axes: Axes

    def rows(self, cases: Pick) -> Pick:
        """Windows of these cases."""
        return np.flatnonzero(np.isin(self.case, cases))


def long_enough(real: RealSet, read: Read, speeds: NDArray[np.floating]) -> tuple[Read, float]:
    """Leave out what is much shorter than the rest; and the longest window that fits in all others, in s.

    `speeds` is the relative shaft speed of each entry: an image at one shaft speed asks a slow recording for more.
    """
    length_s = np.array([one.duration_s for one in read.recordings]) * np.minimum(1.0, speeds[read.entry])
    kept = length_s >= MUCH_SHORTER * np.median(length_s)
    if not kept.all():
        gone = Counter(real.rows[i]["label"] for i in read.entry[~kept])
        listed = ", ".join(f"{count} of {label!r}" for label, count in sorted(gone.items()))
        real.notes.append(
            f"{int((~kept).sum())} recordings are shorter than {MUCH_SHORTER:.0%} of the median, "
            f"{np.median(length_s):.3g} s, and left out: {listed}"
        )
    chosen = [one for one, keep in zip(read.recordings, kept, strict=True) if keep]
    return Read(chosen, read.entry[kept], read.findings), float(length_s[kept].min())


def make_windows(
    real: RealSet,
    read: Read,
    recipe: ImageRecipe,
    plan: Plan,
    longest_s: float,
    speeds: NDArray[np.floating],
    bar: tqdm,
) -> Windows:
    """Make the images of every recording; `bar` advances by one for each."""
    window_s = min(recipe.window_s, longest_s) if recipe.window_s else min(LONGEST_WINDOW_S, 0.9 * longest_s)
    most = max(1, min(MOST_WINDOWS, MOST_WINDOWS_IN_ALL // len(read.recordings)))
    if plan.by_window:
        recipe = recipe.model_copy(update={"overlap": 0.0})
    layers, starts, owner = [], [], []
    for number, recording in enumerate(read.recordings):
        speed = float(speeds[read.entry[number]]) if recipe.envelope and recipe.shaft_axis else 1.0
        made = images(recording, recipe, window_s, most, speed)
        layers.append(made.values_db)
        starts.append(made.start_s)
        owner.append(np.full(len(made.start_s), number))
        bar.update(1)
    number_of = np.concatenate(owner)
    entry = read.entry[number_of]
    label = np.array([real.rows[i]["label"] for i in entry])
    case = np.arange(len(number_of)) if plan.by_window else number_of
    return Windows(np.concatenate(layers), case, label, number_of, entry, np.concatenate(starts), made.axes)
