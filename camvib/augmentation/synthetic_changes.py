"""Changes made by hand on healthy recordings: what a twin is trained on where no simulator is.

A plant has healthy recordings of several assets and no twins. So a healthy image is altered in ways that faults
are known to alter images, whatever the fault: its spectrum moves towards another asset's, resonances shift,
bursts and noise are added, power goes missing in patches. The difference to the unaltered image is known.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from camvib.images.difference import mean_3x3

Image = NDArray[np.floating]  # rows × columns, dB
Alter = Callable[[Image, Image, Image, np.random.Generator], Image]


def synthetic_change(
    image_db: Image, baseline_db: Image, other_baseline_db: Image, rng: np.random.Generator, *, untouched: float = 0.15
) -> tuple[Image, Image]:
    """Alter a healthy image once or twice, or (a share `untouched`) not at all.

    Parameters
    ----------
    image_db : ndarray, shape (rows, columns)
    baseline_db, other_baseline_db : ndarray, shape (rows,)
        Level-free baselines of its asset, and of another.

    Returns
    -------
    image_db, difference_db : ndarray, shape (rows, columns)
        The altered image; 10 log10 of the ratio of the 3 × 3 smoothed powers to those of the unaltered one.
    """
    altered = np.asarray(image_db, np.float64)
    if rng.random() >= untouched:
        for number in rng.choice(len(_ALTERATIONS), size=rng.integers(1, 3), p=_ODDS):
            altered = _ALTERATIONS[number](altered, baseline_db, other_baseline_db, rng)
    before, after = (mean_3x3(10 ** (db / 10)) for db in (np.asarray(image_db, np.float64), altered))
    return altered, 10 * np.log10(after / before)


def _smooth(values: Image, width: float | tuple[float, float]) -> Image:
    smooth = ndimage.gaussian_filter(values, width, mode="wrap")
    smooth = (
        smooth - smooth.mean()
    )  # a wide filter leaves next to nothing but the mean: over its spread, hundreds of dB
    return smooth / (smooth.std() + 1e-9)


def _window(image: Image, rng: np.random.Generator, share: float = 0.3) -> Image:
    """1 everywhere, or in one stretch of time only."""
    window = np.ones((1, image.shape[1]))
    if rng.random() < share:
        window[:] = 0
        start, length = rng.integers(image.shape[1]), rng.integers(10, image.shape[1] // 2)
        window[:, (start + np.arange(length)) % image.shape[1]] = 1
    return window


def _towards_other(image: Image, baseline: Image, other: Image, rng: np.random.Generator) -> Image:
    """Move the spectrum to another asset's, in full or in part."""
    step = ndimage.gaussian_filter1d(other - baseline, 0.7) * rng.choice([0.5, 1.0, 1.0, 1.5])
    return image + _window(image, rng) * step[:, None]


def _resonances_moved(image: Image, baseline: Image, other: Image, rng: np.random.Generator) -> Image:
    """Stretch the baseline along frequency, by fractions of a row to several."""
    rows = np.arange(len(baseline))
    size = rng.choice([-1, 1]) * np.exp(rng.uniform(np.log(0.4), np.log(8)))
    local = np.exp(0.6 * rng.random() * _smooth(rng.standard_normal(len(rows)), rng.uniform(4, 40)))
    smooth = ndimage.gaussian_filter1d(baseline, 0.5)
    step = np.interp(rows + size * local, rows, smooth) - smooth
    return image + _window(image, rng) * step[:, None]


def _bursts(image: Image, baseline: Image, other: Image, rng: np.random.Generator) -> Image:
    """Add short broadband responses, loosely shaped like the baseline, with decay."""
    columns = image.shape[1]
    strength = np.zeros(columns)
    starts = rng.integers(columns, size=rng.integers(1, 40))
    if rng.random() < 0.5:  # together in one stretch
        starts = (rng.integers(columns) + rng.integers(rng.integers(8, 50), size=len(starts))) % columns
    decay = rng.uniform(0.3, 3)
    for after in range(6):
        np.maximum.at(strength, (starts + after) % columns, np.exp(-after / decay) * rng.uniform(0.3, 1, len(starts)))
    tilt = rng.uniform(0.0, 1.0)
    level = (1 - tilt) * baseline + tilt * rng.uniform(-15, 15) * np.linspace(-1, 1, len(baseline))
    level = level + image.mean() + rng.uniform(-12, 6)
    return _added(image, level[:, None] + 10 * np.log10(strength + 1e-9)[None, :], rng)


def _noise(image: Image, baseline: Image, other: Image, rng: np.random.Generator) -> Image:
    """Add a steady coloured noise."""
    colour = 4 * _smooth(rng.standard_normal(len(baseline)), rng.uniform(2, 20))
    level = np.quantile(image, rng.uniform(0.1, 0.8)) + colour
    return _added(image, level[:, None] + 10 * np.log10(_window(image, rng) + 1e-9), rng)


def _patches(image: Image, baseline: Image, other: Image, rng: np.random.Generator) -> Image:
    """Gain and loss in patches of any size."""
    widths = (float(rng.choice([1, 2, 4, 8])), float(rng.choice([1, 3, 8, 25])))
    field = _smooth(rng.standard_normal(image.shape), widths)
    amount = np.sign(field) * np.maximum(np.abs(field) - rng.uniform(0, 1.5), 0)
    return image + _window(image, rng) * rng.uniform(4, 12) * amount


def _added(image: Image, level_db: Image, rng: np.random.Generator) -> Image:
    """Sum of powers, the second with the speckle of a spectrogram of noise."""
    speckle = -np.log(rng.random(image.shape) + 1e-9)
    return 10 * np.log10(10 ** (image / 10) + 10 ** (level_db / 10) * speckle)


_ALTERATIONS: tuple[Alter, ...] = (_towards_other, _resonances_moved, _bursts, _noise, _patches)
_ODDS = (0.25, 0.3, 0.25, 0.1, 0.1)
