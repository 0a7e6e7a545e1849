"""The difference of two images in dB, where either is above the noise floor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def smooth_difference(
    image_db: NDArray[np.floating], twin_db: NDArray[np.floating], floor: NDArray[np.floating]
) -> NDArray[np.float32]:
    """10 log10 of the ratio of the 3 × 3 smoothed powers of images, (n, rows, columns); 0 where both are below `floor`.

    `floor` is a power density, shape (n,).
    """
    powers = [ndimage.uniform_filter(10 ** (db.astype(np.float64) / 10), (1, 3, 3)) for db in (image_db, twin_db)]
    seen = np.maximum(*powers) > floor[:, None, None]
    return np.where(seen, 10 * np.log10(powers[0] / powers[1]), 0.0).astype(np.float32)
