"""Fixed palettes, the ends of level scales, and maps brought onto an image's cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from camvib.records import ActivationMap, ChangeMap, Spectrogram

FOR_RGB = (208, 28, 31)
AGAINST_RGB = (24, 92, 190)
# Orange and purple stay apart for all kinds of colour blindness, and apart from the pair above.
GAIN_RGB = (226, 120, 0)
LOSS_RGB = (112, 56, 190)
_MAX_CELLS = 192  # a side; finer images are pooled so that a recording stays within its share of the page
# From dark to light without red, which is kept for evidence. Lightness rises all the way, so that
# the same picture turned grey on the page still reads as a level.
_LEVEL_ANCHORS = ((12, 14, 32), (38, 42, 96), (28, 96, 128), (52, 156, 122), (172, 206, 84), (254, 247, 190))


def level_palette() -> NDArray[np.uint8]:
    """Return the 256 colours of a spectrogram, shape (256, 3)."""
    at = np.linspace(0, 1, len(_LEVEL_ANCHORS))
    anchors = np.array(_LEVEL_ANCHORS, float)
    return np.stack([np.interp(np.linspace(0, 1, 256), at, anchors[:, k]) for k in range(3)], 1).astype(np.uint8)


def evidence_palette() -> NDArray[np.uint8]:
    """Return the 256 colours of a signed map, shape (256, 4): against, through transparent, to for."""
    return _signed_palette(AGAINST_RGB, FOR_RGB)


def change_palette() -> NDArray[np.uint8]:
    """Return the 256 colours of a change map, shape (256, 4): power lost, through transparent, to power gained."""
    return _signed_palette(LOSS_RGB, GAIN_RGB)


def _signed_palette(low: tuple[int, int, int], high: tuple[int, int, int]) -> NDArray[np.uint8]:
    signed = np.linspace(-1, 1, 256)
    rgb = np.where(signed[:, None] < 0, low, high)
    alpha = 240 * np.clip((np.abs(signed) - 0.05) / 0.95, 0, 1) ** 0.7
    return np.column_stack([rgb, alpha]).astype(np.uint8)


def _group_starts(n: int, most: int = _MAX_CELLS) -> NDArray[np.intp]:
    groups = min(n, most)
    return np.arange(groups) * n // groups


def group_means(values: NDArray[np.floating], starts: NDArray[np.intp]) -> NDArray[np.floating]:
    """Mean of the values from each start to the next."""
    return np.add.reduceat(values, starts) / np.diff(starts, append=len(values))


def level_range_db(values_db: NDArray[np.floating]) -> tuple[float, float]:
    """Choose the ends of a level scale: whole fives, at most 80 dB apart."""
    finite = values_db[np.isfinite(values_db)]
    if finite.size == 0:
        return -80.0, 0.0
    low, high = np.percentile(finite, (2, 99.95))
    top = 5 * np.ceil(high / 5) + 0.0  # -0 becomes 0
    return float(min(max(5 * np.floor(low / 5), top - 80), top - 10)), float(top)


def on_grid(drawn: ActivationMap | ChangeMap, spectrogram: Spectrogram) -> NDArray[np.floating]:
    """Read a map at the cells of a spectrogram, by its own axes (bilinear; beyond its ends the last cell holds).

    Of a map finer than the spectrogram the strongest cell of each group is kept, so that nothing falls between.
    """
    frequency, time = spectrogram.frequency_hz, spectrogram.time_s
    values, have_hz = _strongest(drawn.values, drawn.frequency_hz, len(frequency))
    turned, have_s = _strongest(values.T, drawn.time_s, len(time))
    return _along(_along(turned, have_s, time).T, have_hz, frequency)


def _strongest(
    values: NDArray[np.floating], have: NDArray[np.floating], most: int
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Pool the first axis to at most `most` cells: of each group the value of largest magnitude, with its sign."""
    if len(have) <= most:
        return values, have
    starts = _group_starts(len(have), most)
    high, low = np.maximum.reduceat(values, starts, axis=0), np.minimum.reduceat(values, starts, axis=0)
    return np.where(high >= -low, high, low), group_means(have, starts)


def _along(
    values: NDArray[np.floating], have: NDArray[np.floating], want: NDArray[np.floating]
) -> NDArray[np.floating]:
    at = np.interp(want, have, np.arange(len(have)))
    below = np.floor(at).astype(int)
    above = np.minimum(below + 1, len(have) - 1)
    weight = (at - below)[:, None]
    return values[below] * (1 - weight) + values[above] * weight
