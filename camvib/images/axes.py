"""Edges of an image's cells, in hertz and seconds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from camvib.errors import SettingsError
from camvib.settings import ImageSettings

# The log axis is linear up to a twelfth of its top and logarithmic above, as mel is around 700 Hz:
# low bending modes get fine rows without the empty decades that a pure logarithm would give.
LOG_AXIS_KNEE = 1 / 12
USABLE_SHARE = 0.45  # of the sampling rate: above it the recorder's anti-alias filter falls off


class Axes(NamedTuple):
    """Cell edges of an image: frequency in Hz (rows + 1), time in s from its start (columns + 1)."""

    frequency_hz: NDArray[np.floating]
    time_s: NDArray[np.floating]

    def centres(self) -> Axes:
        """Middle of each cell."""
        return Axes(*((edges[1:] + edges[:-1]) / 2 for edges in self))

    def pooled(self, rows: int, columns: int) -> Axes:
        """Edges of the same image cut into `rows` × `columns` equal blocks of cells."""
        n_rows, n_columns = len(self.frequency_hz) - 1, len(self.time_s) - 1
        return Axes(
            np.interp(np.linspace(0, n_rows, rows + 1), np.arange(n_rows + 1), self.frequency_hz),
            np.interp(np.linspace(0, n_columns, columns + 1), np.arange(n_columns + 1), self.time_s),
        )


def frequency_edges(settings: ImageSettings, sampling_rate_hz: float, fft_s: float = 0.0) -> NDArray[np.floating]:
    """Row edges of the image, in Hz, shape (rows + 1,).

    Parameters
    ----------
    settings : ImageSettings
    sampling_rate_hz : float
    fft_s : float
        Length of a frame: a geometric axis that names no `low_hz` begins at two cycles a frame.

    Raises
    ------
    SettingsError
        The band is empty or reaches past half the sampling rate.
    """
    low, high = settings.low_hz, settings.high_hz or USABLE_SHARE * sampling_rate_hz
    if settings.frequency_axis == "geometric" and not low and fft_s:
        low = 2 / fft_s
    if not low < high <= sampling_rate_hz / 2 or (settings.frequency_axis == "geometric" and not low):
        raise SettingsError(
            f"frequency band {low:g} to {high:g} Hz does not fit a sampling rate of {sampling_rate_hz:g} Hz",
            f"Set image.low_hz < image.high_hz ≤ {sampling_rate_hz / 2:g}",
        )
    if settings.frequency_axis == "linear":
        return np.linspace(low, high, settings.rows + 1)
    if settings.frequency_axis == "geometric":
        return np.geomspace(low, high, settings.rows + 1)
    knee = LOG_AXIS_KNEE * high
    steps = np.linspace(np.log1p(low / knee), np.log1p(high / knee), settings.rows + 1)
    return knee * np.expm1(steps)
