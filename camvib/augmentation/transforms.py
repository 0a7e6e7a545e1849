"""Changes to training images that a fault does not depend on.

The moment a window starts, the path from the fault to the sensor (a smooth gain over frequency), the sensor's noise
floor, the carrier band that rings, a slip of the speed, hidden stretches of time and frequency. docs/log.md says what
each did on measured recordings.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from camvib.settings import AugmentationSettings, ImageSettings

Images = NDArray[np.floating]  # (n, rows, columns), dB


def augmented(
    stacks_db: NDArray[np.floating], image: ImageSettings, settings: AugmentationSettings, rng: np.random.Generator
) -> Images:
    """Vary what a fault does not depend on.

    Parameters
    ----------
    stacks_db : ndarray, shape (n, layers, rows, columns)
    image : ImageSettings
        How layers become one image, and whether its level counts.
    settings : AugmentationSettings
    rng : Generator

    Returns
    -------
    ndarray, shape (n, rows, columns)
        In dB; without their level unless it is kept. What is hidden stands at the image's mean.
    """
    images = _one_image(stacks_db, image, settings, rng)
    if settings.time_shift:
        images = _rolled(images, rng)
    if settings.speed_jitter:
        stretch = 1 + rng.uniform(-settings.speed_jitter, settings.speed_jitter, len(images))
        images = np.stack([_stretched(one, float(by)) for one, by in zip(images, stretch, strict=True)])
    if settings.tilt_db:
        images = tilted(images, settings.tilt_db, rng)
    if settings.floor_db:
        images = with_floor(images, settings.floor_db, rng)
    elif settings.noise_db and not image.whiten:
        images = _noisy(images, settings.noise_db, rng)
    mean = images.mean(axis=(1, 2), keepdims=True)
    if image.keep_level:
        images = images + settings.gain_db * rng.uniform(-1, 1, (len(images), 1, 1))
        return _hidden(images, settings.mask_fraction, mean[:, 0, 0], rng)
    return _hidden(images - mean, settings.mask_fraction, np.zeros(len(images)), rng)


def _one_image(
    stacks_db: NDArray[np.floating], image: ImageSettings, settings: AugmentationSettings, rng: np.random.Generator
) -> Images:
    """One image of all layers, or of a random choice of them: which carrier band rings must not matter."""
    n, layers = stacks_db.shape[:2]
    stacks = np.asarray(stacks_db)
    if layers == 1:
        return stacks[:, 0]
    chosen = np.ones((n, layers), bool)
    if settings.some_layers:
        chosen = rng.random((n, layers)) < rng.uniform(2 / layers, 1, (n, 1))
        chosen[np.arange(n), rng.integers(layers, size=n)] = True
    at = chosen[:, :, None, None]
    if image.layers == "max":
        return np.asarray(np.where(at, stacks, -np.inf).max(axis=1))
    return np.asarray(np.where(at, stacks, 0.0).sum(axis=1) / at.sum(axis=1))


def _rolled(images: Images, rng: np.random.Generator) -> Images:
    """Let each window start elsewhere: circular, and the one seam is a transient that every class gets alike."""
    columns = images.shape[2]
    at = (np.arange(columns)[None] + rng.integers(columns, size=(len(images), 1))) % columns
    return np.take_along_axis(images, at[:, None, :], axis=2)


def _stretched(image: NDArray[np.floating], by: float) -> NDArray[np.floating]:
    """Read rows at other places, by linear interpolation; beyond the last row it holds."""
    at = np.minimum(np.arange(len(image)) * by, len(image) - 1.0)
    low = np.minimum(at.astype(int), len(image) - 2)
    part = (at - low)[:, None]
    return np.asarray((1 - part) * image[low] + part * image[low + 1])


def tilted(images_db: Images, spread_db: float, rng: np.random.Generator) -> Images:
    """Add a random smooth gain over frequency, of that spread, to each image, (n, rows, columns)."""
    n, rows, _ = images_db.shape
    noise = ndimage.gaussian_filter1d(rng.standard_normal((n, 2 * rows)), rows / 10, axis=1)
    curve = noise[:, rows // 2 :][:, :rows]
    return np.asarray(images_db + spread_db * (curve / curve.std())[:, :, None])


def with_floor(images_db: Images, below_top_db: tuple[float, float], rng: np.random.Generator) -> Images:
    """Add white noise at a random level below the top of each image, (n, rows, columns)."""
    top = np.quantile(images_db, 0.995, axis=(1, 2), keepdims=True)
    return _with_noise(images_db, top - rng.uniform(*below_top_db, (len(images_db), 1, 1)), rng)


def _noisy(images_db: Images, noise_db: float, rng: np.random.Generator) -> Images:
    """Add white noise from `noise_db` down to 20 dB less, relative to each image's mean power."""
    mean = 10 * np.log10((10 ** (images_db / 10)).mean(axis=(1, 2), keepdims=True))
    return _with_noise(images_db, mean + noise_db - 20 * rng.random((len(images_db), 1, 1)), rng)


def _with_noise(images_db: Images, level_db: Images, rng: np.random.Generator) -> Images:
    power = 10 ** (images_db / 10) + 10 ** (level_db / 10) * rng.exponential(1.0, images_db.shape)
    return np.asarray(10 * np.log10(power))


def _hidden(images: Images, fraction: float, fill: NDArray[np.floating], rng: np.random.Generator) -> Images:
    """Set one band and one stretch of time of each image to its mean; each at most `fraction` of its side."""
    for axis in (1, 2):
        size = images.shape[axis]
        width = (rng.random((len(images), 1)) * fraction * size).astype(int)
        first = (rng.random((len(images), 1)) * (size - width + 1)).astype(int)
        place = np.arange(size)[None]
        hidden = (place >= first) & (place < first + width)
        hidden = hidden[:, :, None] if axis == 1 else hidden[:, None, :]
        images = np.where(hidden, fill[:, None, None], images)
    return images
