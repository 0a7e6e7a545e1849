"""What an asset looks like when healthy: the mean spectrum of a few healthy recordings, and its spread."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

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
    """Healthy spectrum of one asset; or one each of many recordings, (n, rows), to go through a network together.

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

    @cached_property
    def digest(self) -> str:
        """Name of these values, 12 hexadecimal digits."""
        values = (np.ascontiguousarray(v, np.float32).tobytes() for v in (self.mean_db, self.spread_db))
        return hashlib.sha256(b"".join(values)).hexdigest()[:12]

    @classmethod
    def of(cls, images_db: NDArray[np.floating], recordings: int | None = None) -> Baseline:
        """Make it from healthy images of one asset, shape (n, rows, columns), in dB.

        Parameters
        ----------
        images_db : ndarray
        recordings : int, optional
            How many recordings the images are windows of; by default each is a recording.

        Raises
        ------
        SignalError
            Fewer than `MIN_RECORDINGS` recordings, or values that are not finite.
        """
        recordings = len(images_db) if recordings is None else recordings
        if recordings < MIN_RECORDINGS or not np.isfinite(images_db).all():
            raise SignalError(
                f"a healthy baseline from {recordings} recordings, "
                f"{np.count_nonzero(~np.isfinite(images_db))} cells not finite",
                f"Give {MIN_RECORDINGS} or more intact recordings of the healthy asset; {USUAL_RECORDINGS} are usual",
            )
        flat = level_free(images_db)
        return cls(flat.mean(axis=(0, 2)), flat.std(axis=(0, 2)), recordings)


@dataclass(frozen=True, eq=False)
class HealthyPool:
    """Healthy images of several assets, to draw baselines from that do not hold the recording they are for.

    Attributes
    ----------
    images_db : dict of str to ndarray, shape (windows, rows, columns)
        By recording.
    assets : dict of str to str
        By recording.
    """

    images_db: dict[str, NDArray[np.float32]]
    assets: dict[str, str]

    @cached_property
    def _of_asset(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for recording in self.images_db:
            found.setdefault(self.assets[recording], []).append(recording)
        return found

    def others(self, asset: str, recording: str) -> list[str]:
        """The asset's healthy recordings other than this one."""
        return [other for other in self._of_asset.get(asset, []) if other != recording]

    def draw(self, asset: str, recording: str, rng: np.random.Generator) -> Baseline:
        """Baseline from at most `USUAL_RECORDINGS` of `others`.

        Raises
        ------
        SignalError
            There are fewer than `MIN_RECORDINGS`.
        """
        chosen = rng.permutation(self.others(asset, recording))[:USUAL_RECORDINGS].tolist()
        images = [self.images_db[other] for other in chosen] or [np.zeros((0, 1, 1), np.float32)]
        return Baseline.of(np.concatenate(images), len(chosen))


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
