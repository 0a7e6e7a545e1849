"""The one number of a trend says how far and where a recording lies from healthy."""

import numpy as np
import pytest

from camvib.images.rise import largest_rise, profile_db

HZ = np.linspace(5, 500, 64)
MEAN = -40 - 0.02 * HZ


def image(seed: int = 0) -> np.ndarray:
    return MEAN[:, None] + np.random.default_rng(seed).normal(0, 5.6, (64, 256))


def test_a_line_that_rose_is_found_with_its_sign_and_place():
    gained, lost = image(), image()
    gained[20:23] += 9
    lost[40:43] -= 12
    up, down = largest_rise(gained, HZ, MEAN), largest_rise(lost, HZ, MEAN)
    assert (up.db, up.hz) == (pytest.approx(9, abs=1), HZ[21])
    assert (down.db, down.hz) == (pytest.approx(-12, abs=1), HZ[41])


def test_a_louder_day_is_no_change():
    assert abs(largest_rise(image() + 15, HZ, MEAN).db) < 1.5
    np.testing.assert_allclose(profile_db(image() + 15, MEAN), profile_db(image(), MEAN))


def test_one_strong_line_does_not_shift_the_others():
    loud = image()
    loud[10:13] += 60
    assert abs(np.median(profile_db(loud, MEAN))) < 0.3
