"""What shakes the clamp: broadband noise, drive harmonics at a drifting speed, and harmless knocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.signal
from numpy.typing import NDArray

# Everything below is band-limited to half of this, so that it can be shown at any internal rate unchanged.
_DRAWING_RATE_HZ = 8192.0
_HARMONICS = (1, 2, 3, 4, 5, 6, 8)

Range = tuple[float, float]


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a positive number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


@dataclass(frozen=True)
class ExcitationFamily:
    """The ranges that a recording's base acceleration is drawn from.

    Attributes
    ----------
    level_m_s2 : (low, high)
        Root mean square of the random part, log-uniform.
    band_hz : (low, high)
        Of the random part.
    tilt : (low, high)
        The random part's amplitude falls as frequency to the power of minus this.
    drive_hz : (low, high)
        Fundamental of the drive, before it drifts.
    drift : (low, high)
        Relative standard deviation of the drive frequency over the recording.
    drive_share : (low, high)
        Factor on the harmonics, whose single amplitudes are 0.05 to 0.9 over the root of their order.
    knock_probability : float
        Share of recordings, healthy ones included, with harmless knocks on the base.
    knocks : (low, high)
        Number of them.
    sweep : (low, high)
        Drive frequency at the end over that at the start, log-uniform: a run-up. (1, 1): it drifts only.
    """

    level_m_s2: Range = (0.3, 3.0)
    band_hz: Range = (4.0, 1500.0)
    tilt: Range = (0.0, 0.5)
    drive_hz: Range = (18.0, 45.0)
    drift: Range = (0.01, 0.08)
    drive_share: Range = (0.3, 1.5)
    knock_probability: float = 0.6
    knocks: tuple[int, int] = (1, 3)
    sweep: Range = (1.0, 1.0)

    def draw(self, rng: np.random.Generator, duration_s: float, steps: int) -> NDArray[np.float64]:
        """Draw one base acceleration.

        Parameters
        ----------
        rng : numpy.random.Generator
            The same state gives the same motion, whatever `steps` is.
        duration_s : float
        steps : int
            Number of samples to show it with.

        Returns
        -------
        ndarray, shape (steps,)
            m/s².
        """
        n = round(duration_s * _DRAWING_RATE_HZ)
        motion = self._random(rng, n) + self._drive(rng, n)
        if rng.random() < self.knock_probability:
            for _ in range(rng.integers(self.knocks[0], self.knocks[1] + 1)):
                _add_knock(rng, motion)
        motion *= log_uniform(rng, *self.level_m_s2)
        spectrum = np.fft.rfft(motion)
        spectrum[-1] = 0  # the Nyquist line has no phase of its own to carry over
        return np.fft.irfft(spectrum, steps) * (steps / n)

    def _random(self, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        frequency = np.fft.rfftfreq(n, 1 / _DRAWING_RATE_HZ)
        low, high = self.band_hz
        shape = np.maximum(frequency, low) ** -rng.uniform(*self.tilt) * ((frequency > low) & (frequency < high))
        noise = np.fft.irfft(shape * (rng.standard_normal(len(shape)) + 1j * rng.standard_normal(len(shape))), n)
        return noise / noise.std()

    def _drive(self, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        knots = rng.standard_normal(6)
        wander = np.interp(np.linspace(0, 5, n), np.arange(6), knots)
        speed_hz = rng.uniform(*self.drive_hz) * (1 + rng.uniform(*self.drift) * wander)
        if self.sweep != (1.0, 1.0):  # without a run-up nothing is drawn: recordings of before stay as they were
            speed_hz = speed_hz * np.geomspace(1, log_uniform(rng, *self.sweep), n)
        phase = 2 * np.pi * np.cumsum(speed_hz) / _DRAWING_RATE_HZ
        amplitudes = rng.uniform(0.05, 0.9, len(_HARMONICS)) / np.sqrt(_HARMONICS)
        phases = rng.uniform(0, 2 * np.pi, len(_HARMONICS))
        # Σ a cos(kφ + p) = Re Σ a e^{ip} z^k: one exponential instead of seven cosines.
        turn = np.exp(1j * phase)
        coefficients = np.zeros(max(_HARMONICS) + 1, complex)
        coefficients[list(_HARMONICS)] = amplitudes * np.exp(1j * phases)
        harmonics = np.polynomial.polynomial.polyval(turn, coefficients).real
        return harmonics * rng.uniform(*self.drive_share)


SHOP_FLOOR = ExcitationFamily()


def _add_knock(rng: np.random.Generator, motion: NDArray[np.float64]) -> None:
    """Add a decaying burst of band-passed noise, 2 to 10 times the random part's level, in place."""
    first = int(rng.integers(0, len(motion)))
    decay_s = rng.uniform(0.015, 0.12)
    centre_hz = log_uniform(rng, 60, 900)
    size = rng.uniform(2, 10)
    burst = rng.standard_normal(int(8 * decay_s * _DRAWING_RATE_HZ))
    band = scipy.signal.butter(2, [0.5 * centre_hz, 2 * centre_hz], "bandpass", fs=_DRAWING_RATE_HZ, output="sos")
    burst = scipy.signal.sosfilt(band, burst)
    burst *= size / burst.std() * np.exp(-np.arange(len(burst)) / (decay_s * _DRAWING_RATE_HZ))
    end = min(first + len(burst), len(motion))
    motion[first:end] += burst[: end - first]
