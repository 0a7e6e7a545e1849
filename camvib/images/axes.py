"""The cells of an image in Hz and s."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from camvib.errors import SettingsError
from camvib.settings import SpectrogramSettings

# The log axis is linear up to a twelfth of its top and logarithmic above, as mel is around 700 Hz:
# low bending modes get fine rows without the empty decades that a pure logarithm would give.
LOG_AXIS_KNEE = 1 / 12


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


def frequency_edges(settings: SpectrogramSettings, sampling_rate_hz: float) -> NDArray[np.floating]:
    """Row edges of the image, in Hz, shape (rows + 1,).

    Raises
    ------
    SettingsError
        The band is empty or reaches past half the sampling rate.
    """
    low, high = settings.low_hz, settings.high_hz or 0.45 * sampling_rate_hz
    if not low < high <= sampling_rate_hz / 2:
        raise SettingsError(
            f"frequency band {low:g} to {high:g} Hz does not fit a sampling rate of {sampling_rate_hz:g} Hz",
            f"Set spectrogram.low_hz < spectrogram.high_hz ≤ {sampling_rate_hz / 2:g}",
        )
    if settings.frequency_axis == "linear":
        return np.linspace(low, high, settings.rows + 1)
    knee = LOG_AXIS_KNEE * high
    steps = np.linspace(np.log1p(low / knee), np.log1p(high / knee), settings.rows + 1)
    return knee * np.expm1(steps)
