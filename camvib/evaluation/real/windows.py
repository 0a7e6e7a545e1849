"""Windows of a real set: images for the networks and features for the baselines, by one recipe of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from camvib.evaluation import baselines
from camvib.evaluation.real_data import Read, RealSet
from camvib.evaluation.real_images import ImageRecipe, images
from camvib.evaluation.real_splits import Plan
from camvib.spectrograms import Axes

MOST_WINDOWS = 16  # of one recording
MOST_WINDOWS_IN_ALL = 4000
MOST_FEATURE_SAMPLES = 400_000  # of one recording: long spectra of many windows take longer than the networks
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


class Table(NamedTuple):
    """Features of windows, (windows, features), with their cases and labels as in `Windows`."""

    features: NDArray[np.floating]
    case: Pick
    label: NDArray[np.str_]


def baseline_tables(real: RealSet, read: Read, made: Mapping[ImageRecipe, Windows], plan: Plan) -> dict[str, Table]:
    """What each baseline sees: features of the first recipe's windows, and every envelope image's mean spectrum."""
    tables = _feature_tables(real, read, next(iter(made.values())), plan)
    for recipe, windows in made.items():
        if recipe.envelope:
            name = "random_forest_envelope" + ("" if recipe.shaft_axis else "_hz")
            tables[name] = Table(windows.layers_db.max(axis=1).mean(axis=2), windows.case, windows.label)
    return tables


def _feature_tables(real: RealSet, read: Read, windows: Windows, plan: Plan) -> dict[str, Table]:
    """Of long windows a few of each recording, evenly spread."""
    bands = dict(real.known.bands) if real.known else {}
    rate = read.recordings[0].sampling_rate_hz
    length = round(float(np.ptp(windows.axes.time_s)) * rate)
    most = len(windows.case) if plan.by_window else max(1, MOST_FEATURE_SAMPLES // length)
    parts, chosen = [], []
    for number, recording in enumerate(read.recordings):
        own = np.flatnonzero(windows.owner == number)
        own = own[np.unique(np.linspace(0, len(own) - 1, min(most, len(own))).round().astype(int))]
        first = np.minimum(np.round(windows.start_s[own] * rate).astype(int), len(recording.samples) - length)
        cut = np.stack([recording.samples[start : start + length] for start in first])
        parts.append(baselines.window_features(cut, rate, bands))
        chosen.append(own)
    rows = np.concatenate(chosen)
    return {
        name: Table(np.concatenate([part[name] for part in parts]), windows.case[rows], windows.label[rows])
        for name in parts[0]
    }
