"""A recording with its evidence brought back to the healthy level: what moves, what stays, what is said of it."""

import numpy as np
import pytest
from scipy import signal

from camvib.diagnosis.proof import Proof, notch
from camvib.records import Region, Spectrogram

RATE_HZ, N = 4096.0, 4 * 4096
HZ = np.linspace(10, 1500, 100)


def noise(extra: tuple[tuple[float, float], ...] = ()) -> np.ndarray:
    t = np.arange(N) / RATE_HZ
    x = np.random.default_rng(0).standard_normal(N)
    return x + sum(a * np.sin(2 * np.pi * f * t) for f, a in extra)


def levels(x: np.ndarray) -> np.ndarray:
    """Spectrogram on the rows of HZ, dB, shape (100, 64)."""
    hz, _, power = signal.spectrogram(x, RATE_HZ, nperseg=1024, noverlap=768)
    db = 10 * np.log10(np.stack([np.interp(HZ, hz, column) for column in power.T], 1) + 1e-12)
    return db[:, :60]


def image_of(x: np.ndarray) -> Spectrogram:
    return Spectrogram(levels(x), HZ, np.linspace(0.1, 3.9, 60), "m/s2")


MEAN_DB = levels(noise()).mean(axis=1) - levels(noise()).mean()
WHOLE = Region(0.0, 4.0, 280.0, 320.0, 0.5, 1)


def test_a_line_that_appeared_goes_back_to_healthy_and_the_rest_stays():
    today = noise(((300.0, 3.0),))
    moved, touched = notch(today, RATE_HZ, 0.0, [WHOLE], image_of(today), MEAN_DB)
    inside = (HZ >= 280) & (HZ <= 320)
    healthy = levels(noise()).mean(axis=1)
    assert levels(today).mean(axis=1)[inside].max() - healthy[inside].max() > 15
    assert abs(levels(moved).mean(axis=1)[inside].max() - healthy[inside].max()) < 4
    far = (HZ < 230) | (HZ > 370)
    assert np.abs(levels(moved).mean(axis=1) - levels(today).mean(axis=1))[far].max() < 0.3
    assert 0 < touched < 0.05
    assert len(moved) == N


def test_only_the_time_of_the_region_is_changed():
    today = noise(((300.0, 3.0),))
    half = Region(0.0, 2.0, 280.0, 320.0, 0.5, 1)
    moved, _ = notch(today, RATE_HZ, 0.0, [half], image_of(today), MEAN_DB)
    np.testing.assert_allclose(moved[int(2.3 * RATE_HZ) :], today[int(2.3 * RATE_HZ) :], atol=1e-6)
    assert np.abs(moved[: int(1.7 * RATE_HZ)] - today[: int(1.7 * RATE_HZ)]).max() > 1


def test_seconds_are_those_of_the_file():
    today = noise(((300.0, 3.0),))
    later = Spectrogram(levels(today), HZ, 100 + np.linspace(0.1, 3.9, 60), "m/s2")
    region = Region(100.0, 104.0, 280.0, 320.0, 0.5, 1)
    moved, touched = notch(today, RATE_HZ, 100.0, [region], later, MEAN_DB)
    assert touched > 0
    assert np.abs(moved - today).max() > 1


def test_without_a_region_nothing_moves():
    today = noise()
    moved, touched = notch(today, RATE_HZ, 0.0, [], image_of(today), MEAN_DB)
    np.testing.assert_allclose(moved, today, atol=1e-9)
    assert touched == 0


@pytest.mark.parametrize(
    ("before", "after", "label_after", "holds"),
    [(0.9, 0.2, "healthy", True), (0.9, 0.44, "crack", True), (0.9, 0.8, "crack", False), (0.9, 0.9, "mass", True)],
)
def test_an_explanation_holds_when_the_verdict_goes_with_it(before, after, label_after, holds):
    assert Proof("crack", before, after, None, None, label_after, 1, 0.1).holds is holds
