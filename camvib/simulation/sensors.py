"""Faults of the sensor, the cable and the recorder, applied to the samples of a clean recording.

Every amplitude is relative to the clean recording's own RMS, so that a fault fits any signal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from camvib.simulation.excitation import log_uniform

Array = NDArray[np.float64]


class SensorFault(Protocol):
    """What every sensor fault can do."""

    label: ClassVar[str]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> SensorFault:
        """Draw a severity from the one that spoils a verdict just visibly up to a gross one."""

    def apply(self, samples: NDArray[np.floating], sampling_rate_hz: float, rng: np.random.Generator) -> Array:
        """Return a spoiled copy of the samples, shape (n,)."""


@dataclass(frozen=True)
class Clipping:
    """The converter's range is too small: `share` of the samples lie outside it."""

    label: ClassVar[str] = "clipping"
    share: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Clipping:
        """Draw 2 to 30 % of lost samples."""
        return cls(log_uniform(rng, 0.02, 0.3))

    def apply(self, samples: NDArray[np.floating], sampling_rate_hz: float, rng: np.random.Generator) -> Array:
        """Cut both sides off at the same distance from the mean."""
        x = np.array(samples, np.float64)
        mean = x.mean()
        limit = np.quantile(np.abs(x - mean), 1 - self.share)
        return np.clip(x, mean - limit, mean + limit)


@dataclass(frozen=True)
class Dropout:
    """Packets are lost: `gaps` stretches of `gap_s` are zero, or hold the last value."""

    label: ClassVar[str] = "dropout"
    gaps: int
    gap_s: float
    hold: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Dropout:
        """Draw 1 to 20 gaps of 8 to 200 ms."""
        return cls(int(rng.integers(1, 21)), log_uniform(rng, 0.008, 0.2), bool(rng.random() < 0.5))

    def apply(self, samples: NDArray[np.floating], sampling_rate_hz: float, rng: np.random.Generator) -> Array:
        """Overwrite the gaps."""
        x = np.array(samples, np.float64)
        for first, last in _stretches(self.gaps, self.gap_s * sampling_rate_hz, len(x), rng):
            x[first:last] = x[first - 1] if self.hold else 0.0
        return x


@dataclass(frozen=True)
class Gap:
    """The export wrote no number for `gaps` stretches of `gap_s`."""

    label: ClassVar[str] = "gap"
    gaps: int
    gap_s: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Gap:
        """Draw 1 to 10 gaps of 0.1 to 200 ms."""
        return cls(int(rng.integers(1, 11)), log_uniform(rng, 1e-4, 0.2))

    def apply(self, samples: NDArray[np.floating], sampling_rate_hz: float, rng: np.random.Generator) -> Array:
        """Overwrite the gaps with NaN."""
        x = np.array(samples, np.float64)
        for first, last in _stretches(self.gaps, self.gap_s * sampling_rate_hz, len(x), rng):
            x[first:last] = np.nan
        return x


@dataclass(frozen=True)
class FlatLine:
    """The cable breaks after the fraction `start`: a constant, with the converter's noise or without.

    `noise_db` is re the clean RMS; minus infinity for none.
    """

    label: ClassVar[str] = "flat_line"
    start: float
    noise_db: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> FlatLine:
        """Draw a break at 0 to 80 % of the recording, a third of them before it."""
        start = max(0.0, float(rng.uniform(-0.4, 0.8)))
        return cls(start, float(rng.uniform(-100, -75)) if rng.random() < 0.5 else -np.inf)

    def apply(self, samples: NDArray[np.floating], sampling_rate_hz: float, rng: np.random.Generator) -> Array:
        """Replace what follows the break."""
        x = np.array(samples, np.float64)
        first = int(self.start * len(x))
        noise = 10 ** (self.noise_db / 20) * x.std()
        x[first:] = x.mean() + noise * rng.standard_normal(len(x) - first)
        return x


@dataclass(frozen=True)
class Detachment:
    """The sensor dangles: less signal, only low frequencies, and knocks of its own.

    Attributes
    ----------
    loss_db, cutoff_hz : float
        What is left of the vibration.
    rattles_per_s, rattle : float
        Knocks, and the peak of each over the clean RMS.
    noise_db : float
        Of the electronics, re the clean RMS.
    """

    label: ClassVar[str] = "detachment"
    loss_db: float
    cutoff_hz: float
    rattles_per_s: float
    rattle: float
    noise_db: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Detachment:
        """Draw a loss of 15 to 40 dB above 20 to 80 Hz."""
        return cls(
            loss_db=float(rng.uniform(15, 40)),
            cutoff_hz=log_uniform(rng, 20, 80),
            rattles_per_s=log_uniform(rng, 0.5, 5),
            rattle=log_uniform(rng, 0.1, 1.5),
            noise_db=float(rng.uniform(-80, -60)),
        )

    def apply(self, samples: NDArray[np.floating], sampling_rate_hz: float, rng: np.random.Generator) -> Array:
        """Filter, weaken, and add knocks and noise."""
        x = np.array(samples, np.float64)
        rms = x.std()
        low_pass = butter(4, self.cutoff_hz, fs=sampling_rate_hz, output="sos")
        loose = 10 ** (-self.loss_db / 20) * sosfilt(low_pass, x - x.mean())
        knock_s = np.arange(int(0.03 * sampling_rate_hz)) / sampling_rate_hz
        for _ in range(max(1, rng.poisson(self.rattles_per_s * len(x) / sampling_rate_hz))):
            ringing_hz = rng.uniform(0.1, 0.4) * sampling_rate_hz
            knock = np.exp(-knock_s / 0.004) * np.sin(2 * np.pi * ringing_hz * knock_s)
            first = int(rng.integers(len(x)))
            loose[first : first + len(knock)] += self.rattle * rms * knock[: len(x) - first]
        return loose + 10 ** (self.noise_db / 20) * rms * rng.standard_normal(len(x))


@dataclass(frozen=True)
class MainsHum:
    """The cable picks the grid up: `mains_hz` and seven harmonics, `power` times the clean signal's power."""

    label: ClassVar[str] = "mains_hum"
    mains_hz: float
    power: float
    decay: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> MainsHum:
        """Draw 3 to 100 times the power, on a grid of 50 or 60 Hz within 0.05 Hz."""
        return cls(rng.choice((50.0, 60.0)) + rng.uniform(-0.05, 0.05), log_uniform(rng, 3, 100), rng.uniform(0.3, 0.8))

    def apply(self, samples: NDArray[np.floating], sampling_rate_hz: float, rng: np.random.Generator) -> Array:
        """Add the lines below half the sampling rate, each `decay` times the one before, give or take."""
        x = np.array(samples, np.float64)
        time_s = np.arange(len(x)) / sampling_rate_hz
        hum = np.zeros(len(x))
        for k in range(1, 9):
            if k * self.mains_hz < 0.5 * sampling_rate_hz:
                amplitude = self.decay ** (k - 1) * rng.uniform(0.5, 1.5)
                hum += amplitude * np.sin(2 * np.pi * (k * self.mains_hz * time_s + rng.random()))
        return x + np.sqrt(self.power) * x.std() * hum / hum.std()


@dataclass(frozen=True)
class Drift:
    """The bias wanders by `size` times the RMS: along a line (`settling` 0), or settling in that fraction."""

    label: ClassVar[str] = "drift"
    size: float
    settling: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Drift:
        """Draw 15 to 100 times the RMS, up or down."""
        settling = float(rng.uniform(0.2, 0.6)) if rng.random() < 0.5 else 0.0
        return cls(log_uniform(rng, 15, 100) * rng.choice((-1.0, 1.0)), settling)

    def apply(self, samples: NDArray[np.floating], sampling_rate_hz: float, rng: np.random.Generator) -> Array:
        """Add the wandering bias."""
        x = np.array(samples, np.float64)
        along = np.linspace(0, 1, len(x))
        return x + self.size * x.std() * (np.exp(-along / self.settling) if self.settling else along)


SENSOR_FAULTS: tuple[type[SensorFault], ...] = (Clipping, Dropout, Gap, FlatLine, Detachment, MainsHum, Drift)


def _stretches(count: int, length: float, n: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Draw places of at least one sample, none at the first sample."""
    size = min(max(1, round(length)), n - 1)
    return [(first, first + size) for first in rng.integers(1, n - size + 1, count).tolist()]
