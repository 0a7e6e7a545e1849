"""How far a recording is from its asset's healthy baseline, in one number that a trend can be made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SMOOTHED_ROWS = 3  # a line that moved by less than its own width must not count as a change


class Rise(NamedTuple):
    """The largest deviation from healthy.

    Attributes
    ----------
    db : float
        Signed: power gained is positive.
    hz : float
        Where it is.
    """

    db: float
    hz: float


def profile_db(image_db: NDArray[np.floating], mean_db: NDArray[np.floating]) -> NDArray[np.floating]:
    """Level of each row above healthy, shape (rows,), in dB.

    Parameters
    ----------
    image_db : ndarray, shape (rows, columns)
        Spectrogram image; its own mean level is taken out, as in `camvib.images.baseline`.
    mean_db : ndarray, shape (rows,)
        Of the asset's baseline.
    """
    # The median difference is the excitation of the day; the mean would let one strong line shift all the rest.
    difference = np.asarray(image_db, np.float64).mean(axis=1) - mean_db
    return np.asarray(difference - np.median(difference))


def largest_rise(
    image_db: NDArray[np.floating], frequency_hz: NDArray[np.floating], mean_db: NDArray[np.floating]
) -> Rise:
    """Find the row, smoothed over its neighbours, that lies furthest from healthy.

    Parameters
    ----------
    image_db : ndarray, shape (rows, columns)
    frequency_hz : ndarray, shape (rows,)
        Centres of the rows.
    mean_db : ndarray, shape (rows,)
    """
    profile = profile_db(image_db, mean_db)
    padded = np.pad(profile, SMOOTHED_ROWS // 2, mode="edge")
    smooth = np.convolve(padded, np.full(SMOOTHED_ROWS, 1 / SMOOTHED_ROWS), mode="valid")
    row = int(np.abs(smooth).argmax())
    return Rise(float(smooth[row]), float(frequency_hz[row]))
