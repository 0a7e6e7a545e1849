"""What an asset looks like when healthy: the mean spectrum of a few healthy recordings, and its spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camvib.errors import SignalError

MIN_RECORDINGS = 3
USUAL_RECORDINGS = 5


def level_free(images_db: NDArray[np.floating]) -> NDArray[np.float32]:
    """Take the mean level out of each image, shape (..., rows, columns), in dB: excitation differs by the day."""
    return np.asarray(images_db - images_db.mean(axis=(-2, -1), keepdims=True), np.float32)


@dataclass(frozen=True, eq=False)
class Baseline:
    """Healthy spectrum of one asset.

    Attributes
    ----------
    mean_db : ndarray, shape (rows,), float32
        Mean over time and recordings of the level-free images.
    spread_db : ndarray, shape (rows,), float32
        Their standard deviation.
    recordings : int
        How many it was made from.
    """

    mean_db: NDArray[np.float32]
    spread_db: NDArray[np.float32]
    recordings: int

    @classmethod
    def of(cls, images_db: NDArray[np.floating]) -> Baseline:
        """Make it from healthy images of one asset, shape (recordings, rows, columns), in dB.

        Raises
        ------
        SignalError
            Fewer than `MIN_RECORDINGS` images, or values that are not finite.
        """
        if len(images_db) < MIN_RECORDINGS or not np.isfinite(images_db).all():
            raise SignalError(
                f"a healthy baseline from {len(images_db)} recordings, "
                f"{np.count_nonzero(~np.isfinite(images_db))} cells not finite",
                f"Give {MIN_RECORDINGS} or more intact recordings of the healthy asset; {USUAL_RECORDINGS} are usual",
            )
        flat = level_free(images_db)
        return cls(flat.mean(axis=(0, 2)), flat.std(axis=(0, 2)), len(images_db))


def leave_one_out(
    healthy_db: NDArray[np.floating], groups: NDArray[np.str_], *, recordings: int = USUAL_RECORDINGS, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Baselines for training: row i from healthy images of its asset other than image i.

    Parameters
    ----------
    healthy_db : ndarray, shape (n, rows, columns)
        A healthy image for each recording (for a faulty one its twin).
    groups : ndarray, shape (n,)
        Asset of each.
    recordings : int
        How many each baseline is made from, at most.
    seed : int

    Returns
    -------
    mean_db, spread_db : ndarray, shape (n, rows)
    """
    baselines = []
    for i, group in enumerate(groups):
        others = np.flatnonzero(groups == group)
        others = others[others != i]
        chosen = np.random.default_rng([seed, i]).permutation(others)[:recordings]
        baselines.append(Baseline.of(healthy_db[chosen]))
    return np.stack([b.mean_db for b in baselines]), np.stack([b.spread_db for b in baselines])
