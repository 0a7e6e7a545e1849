"""The difference of two images in dB, where either is above the noise floor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mean_3x3(power: NDArray[np.floating]) -> NDArray[np.floating]:
    """3 × 3 mean over the last two axes, edges reflected.

    Summed anew for each cell: the running sums of `scipy.ndimage.uniform_filter` leave negative powers behind where an
    image spans more than about 150 dB, and their logarithm is NaN.
    """
    for axis in (-1, -2):
        pad = [(0, 0)] * power.ndim
        pad[axis] = (1, 1)
        wide = np.moveaxis(np.pad(power, pad, mode="edge"), axis, 0)
        power = np.moveaxis((wide[:-2] + wide[1:-1] + wide[2:]) / 3, 0, axis)
    return power


def smooth_difference(
    image_db: NDArray[np.floating], twin_db: NDArray[np.floating], floor: NDArray[np.floating]
) -> NDArray[np.float32]:
    """10 log10 of the ratio of the 3 × 3 smoothed powers of images, (n, rows, columns); 0 where both are below `floor`.

    `floor` is a power density, shape (n,).
    """
    powers = [mean_3x3(10 ** (db.astype(np.float64) / 10)) for db in (image_db, twin_db)]
    seen = np.maximum(*powers) > floor[:, None, None]
    return np.where(seen, 10 * np.log10(powers[0] / powers[1]), 0.0).astype(np.float32)
