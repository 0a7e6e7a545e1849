"""A stretch of a recording to listen to: four bits a sample, so that it fits into the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

LENGTH_S = 1.0  # of the recording
RATE_HZ = 4096.0  # what is above half of it is not heard; a page has no room for more
LEAST_AUDIBLE_HZ = 8000.0
_STEPS = np.array([-0.9, -0.9, -0.9, -0.9, 0.6, 1.2, 1.8, 2.4])  # log2 of the step, scaled by 1/4, by magnitude


@dataclass(frozen=True)
class Clip:
    """Coded samples; `speed` says how much faster than the machine they are to be played."""

    code: str
    n: int
    rate_hz: float
    speed: float


def clip(samples: NDArray[np.floating], sampling_rate_hz: float, peak: float | None = None) -> Clip:
    """Code the middle of a recording.

    Parameters
    ----------
    samples : ndarray, shape (n,)
    sampling_rate_hz : float
    peak : float, optional
        Full scale, so that two clips can be compared by ear; by default the clip's own.
    """
    n = min(len(samples), int(LENGTH_S * sampling_rate_hz))
    first = (len(samples) - n) // 2
    cut = np.asarray(samples[first : first + n], np.float64)
    cut = cut - cut.mean()
    rate = sampling_rate_hz
    if rate > RATE_HZ:
        rate = RATE_HZ
        cut = signal.resample(cut, max(1, int(len(cut) * rate / sampling_rate_hz)))
    scaled = 0.8 * cut / (peak or float(np.abs(cut).max()) or 1.0)
    speed = float(max(1, round(LEAST_AUDIBLE_HZ / rate)))
    return Clip(base64.b64encode(encode(np.clip(scaled, -1, 1))).decode(), len(scaled), rate, speed)


def encode(samples: NDArray[np.floating]) -> bytes:
    """Adaptive differential code: a sign and three bits of magnitude; the step follows the magnitudes."""
    value, log_step, codes = 0.0, -6.0, np.zeros(len(samples), np.uint8)
    for i, sample in enumerate(samples):
        step = 2.0**log_step
        difference = sample - value
        size = min(7, int(abs(difference) / step))
        codes[i] = size | (8 if difference < 0 else 0)
        value += (-1 if difference < 0 else 1) * (size + 0.5) * step
        log_step = min(-1.0, max(-10.0, log_step + _STEPS[size] / 4))
    padded = np.append(codes, np.zeros(len(codes) % 2, np.uint8))
    return (padded[::2] << 4 | padded[1::2]).astype(np.uint8).tobytes()


def decode(data: bytes, n: int) -> NDArray[np.float64]:
    """Undo `encode`, as the page's script does."""
    packed = np.frombuffer(data, np.uint8)
    codes = np.column_stack([packed >> 4, packed & 15]).reshape(-1)[:n]
    value, log_step, samples = 0.0, -6.0, np.zeros(n)
    for i, code in enumerate(codes):
        size = int(code & 7)
        value += (-1 if code & 8 else 1) * (size + 0.5) * 2.0**log_step
        samples[i] = value
        log_step = min(-1.0, max(-10.0, log_step + _STEPS[size] / 4))
    return samples
