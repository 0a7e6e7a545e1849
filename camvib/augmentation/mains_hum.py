"""Mains hum put into images: a change that is no fault, which a twin must show all the same.

A twin that has seen drive harmonics come and go takes a mains line for one more of them, and what it calls harmless no
class map can point at: a shortcut would stay hidden. So some of the images it is trained on carry hum.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from camvib.images.layer import ImageLayer

GRIDS_HZ = (50.0, 60.0)
HARMONICS = 8
POWER = (0.01, 4.0)  # of the hum, relative to the signal's


def line_rows(layer: ImageLayer) -> NDArray[np.float32]:
    """Power in each row of an image that a mains line of mean square 1 gives.

    Returns
    -------
    ndarray, shape (grids, harmonics, rows)
        0 for lines above half the sampling rate.
    """
    time_s = torch.arange(layer.n, dtype=torch.float64) / layer.sampling_rate_hz
    lines_hz = np.outer(GRIDS_HZ, np.arange(1, HARMONICS + 1))
    waves = np.sqrt(2) * torch.sin(2 * np.pi * torch.from_numpy(lines_hz).reshape(-1, 1) * time_s)
    with torch.inference_mode():
        power = 10 ** (layer(waves.float()).numpy().mean(axis=2) / 10)
    power[(lines_hz >= layer.sampling_rate_hz / 2).ravel()] = 0
    return power.reshape(len(GRIDS_HZ), HARMONICS, -1)


def draw_hum(rows: NDArray[np.floating], count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Power spectra of `count` hums on grids and with harmonics drawn at random, shape (count, rows).

    Their mean square is 1; see `line_rows` for `rows`.
    """
    grid = rng.integers(len(rows), size=count)
    decay = rng.uniform(0.2, 0.9, size=(count, 1))
    weight = (decay ** np.arange(rows.shape[1]) * rng.uniform(0.5, 1.5, size=(count, rows.shape[1]))) ** 2
    weight *= rows[grid].any(axis=2)
    return np.einsum("nh,nhr->nr", weight / weight.sum(axis=1, keepdims=True), rows[grid]).astype(np.float32)


def add_hum(
    image_db: NDArray[np.floating],
    difference_db: NDArray[np.floating],
    rows: NDArray[np.floating],
    height_hz: NDArray[np.floating],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Add hum to images, and to their difference to the healthy twin, which has none.

    Parameters
    ----------
    image_db, difference_db : ndarray, shape (n, rows, columns)
    rows : ndarray
        See `line_rows`.
    height_hz : ndarray, shape (rows,)
        Of the image's rows, to weigh the hum against the signal.

    Returns
    -------
    image_db, difference_db : ndarray
        Powers are added without the interference of line and signal, which is 0 on average.
    """
    power = 10 ** (np.asarray(image_db, np.float32) / 10)
    signal = (power.mean(axis=2) * height_hz).sum(axis=1)
    low, high = np.log(POWER)
    strength = np.exp(rng.uniform(low, high, size=len(power))) * signal
    hum = (strength[:, None] * draw_hum(rows, len(power), rng)).astype(np.float32)[:, :, None]
    smooth = ndimage.uniform_filter(power, 3, axes=(-2, -1))
    wide = ndimage.uniform_filter1d(hum, 3, axis=1)
    return 10 * np.log10(power + hum), difference_db + 10 * np.log10(1 + wide / smooth)
