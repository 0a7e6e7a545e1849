"""What is drawn of a recording, walked through block by block: memory does not grow with its length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.signal.windows import hann

from camvib.readers.parsing.blocks import blocks

Array = NDArray[np.floating]


def extremes(samples: Array, stretches: int) -> tuple[Array, Array]:
    """Find the smallest and the largest sample of each of so many equal stretches.

    Parameters
    ----------
    samples : ndarray, shape (n,)
        May be memory-mapped.
    stretches : int
        At most n.

    Returns
    -------
    lowest, highest : ndarray, shape (stretches,)
    """
    begins = np.linspace(0, len(samples), stretches + 1).astype(int)[:-1]
    lowest, highest = np.full(stretches, np.inf), np.full(stretches, -np.inf)
    first = 0
    for block in blocks(samples):
        inside = np.flatnonzero((begins > first) & (begins < first + len(block)))
        cuts = np.concatenate([[0], begins[inside] - first])
        start = int(np.searchsorted(begins, first, side="right")) - 1
        here = slice(start, start + len(cuts))
        lowest[here] = np.minimum(lowest[here], np.minimum.reduceat(block, cuts))
        highest[here] = np.maximum(highest[here], np.maximum.reduceat(block, cuts))
        first += len(block)
    return lowest, highest


def power_density(samples: Array, sampling_rate_hz: float, segment: int) -> tuple[Array, Array]:
    """Average the power spectral density over half-overlapping Hann segments, as `scipy.signal.welch` does at once.

    Parameters
    ----------
    samples : ndarray, shape (n,)
        In some unit; may be memory-mapped.
    sampling_rate_hz : float
    segment : int
        Samples a segment, at most n.

    Returns
    -------
    frequency_hz : ndarray, shape (segment // 2 + 1,)
    density : ndarray, shape (segment // 2 + 1,)
        Unit squared per hertz.
    """
    hop = segment - segment // 2
    frequency_hz = np.fft.rfftfreq(segment, 1 / sampling_rate_hz)
    window = hann(segment, sym=False)
    scale = 1 / (sampling_rate_hz * float(np.sum(window**2)))
    total, count = np.zeros(len(frequency_hz)), 0
    rest: Array = np.empty(0)
    for block in blocks(samples):
        rest = np.concatenate([rest, block])
        whole = (len(rest) - segment) // hop + 1
        if whole > 0:
            # Written out: welch itself takes ten times as long for a short recording, of which there are many.
            parts = np.lib.stride_tricks.sliding_window_view(rest, segment)[: (whole - 1) * hop + 1 : hop]
            lines = rfft((parts - parts.mean(axis=-1, keepdims=True)) * window)
            total += scale * np.sum(lines.real**2 + lines.imag**2, axis=0)
            count += whole
            rest = rest[whole * hop :]
    total[1 : len(total) - 1 + segment % 2] *= 2  # one-sided: all lines but 0 Hz and the highest of an even segment
    return frequency_hz, total / max(count, 1)
