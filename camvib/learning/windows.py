"""Recordings → windows → images, made once for each kind of image that is tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from camvib.images.layer import ImageLayer, layer_stacks, make_layer
from camvib.learning.data import TrainingData
from camvib.settings import ImageSettings, Settings

MOST_WINDOWS = 16  # of one recording that overlap
MOST_WINDOWS_IN_ALL = 4000
MOST_OVERLAPPING = 1600  # in all: more of the same recordings teach little more
_PART_OF_SHORTEST = 0.9  # a window of a little less can start elsewhere

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Windows:
    """Images of windows.

    Attributes
    ----------
    stacks_db : ndarray, shape (windows, layers, rows, columns), float32
    entry : ndarray, shape (windows,)
        Index of each window's recording.
    layer : ImageLayer
        That made them.
    """

    stacks_db: NDArray[np.float32]
    entry: Rows
    layer: ImageLayer

    def __len__(self) -> int:
        return len(self.entry)

    def rows(self, recordings: Sequence[int] | Rows) -> Rows:
        """Windows of these recordings."""
        return np.flatnonzero(np.isin(self.entry, recordings))

    def images_db(self, rows: Rows) -> NDArray[np.float32]:
        """The one image of each of these windows, (n, rows, columns)."""
        import torch

        return self.layer.merged(torch.from_numpy(self.stacks_db[rows])).numpy()


def settle_window(image: ImageSettings, data: TrainingData, overlap: float) -> ImageSettings:
    """Set the window's length, where it is not, to what the recordings allow; a frame is no longer than the window."""
    longest = min(one.duration_s for one in data.recordings)
    usual = min(data.window_s, _PART_OF_SHORTEST * longest) if overlap else data.window_s
    window_s = min(image.window_s or usual, longest)
    # A whole number of samples: the folder says what is computed.
    window_s = int(window_s * data.sampling_rate_hz + 1e-6) / data.sampling_rate_hz
    fft_s = min(image.fft_s, window_s) if image.fft_s else None
    return image.model_copy(update={"window_s": window_s, "fft_s": fft_s})


def window_starts(samples: int, n: int, overlap: float, most: int) -> Rows:
    """First samples of windows: end to end, or at most `most` that overlap, evenly spread."""
    last = samples - n
    if not overlap:
        count = samples // n
        return np.arange(count)[np.linspace(0, count - 1, min(count, most)).round().astype(int)] * n
    count = max(1, min(most, 1 + int(last / max(1.0, (1 - overlap) * n))))
    return np.linspace(0, last, count).round().astype(np.int64) if count > 1 else np.zeros(1, np.int64)


def make_windows(
    data: TrainingData, settings: Settings, *, overlap: float | None = None, progress: bool = True
) -> Windows:
    """Make the images of all recordings.

    Parameters
    ----------
    data : TrainingData
    settings : Settings
        With the image's window set, see `settle_window`.
    overlap : float, optional
        Instead of the training's.
    progress : bool
    """
    layer = make_layer(settings.image, data.sampling_rate_hz).eval()
    overlap = settings.training.overlap if overlap is None else overlap
    in_all = MOST_OVERLAPPING if overlap else MOST_WINDOWS_IN_ALL
    most = min(MOST_WINDOWS if overlap else in_all, max(1, in_all // len(data)))
    stacks, entry = [], []
    name = f"{settings.image.kind} images"
    for i, recording in enumerate(tqdm(data.recordings, desc=name, disable=not progress, delay=2, leave=False)):
        starts = window_starts(len(recording.samples), layer.n, overlap, most)
        cut = np.stack([np.asarray(recording.samples[s : s + layer.n], np.float32) for s in starts])
        speed = np.full(len(cut), data.speeds[i]) if settings.image.at_shaft_speed else None
        stacks.append(layer_stacks(layer, cut, speed))
        entry.append(np.full(len(cut), i))
    return Windows(np.concatenate(stacks), np.concatenate(entry), layer)


def recording_means(scores: NDArray[np.floating], entry: Rows) -> tuple[Rows, NDArray[np.floating]]:
    """Recordings, in order, and the mean score of the windows of each."""
    names = np.unique(entry)
    return names, np.stack([scores[entry == name].mean(axis=0) for name in names])
