"""The mean over neighbouring cells: of powers, so never below 0."""

import numpy as np
import pytest
from scipy import ndimage

from camvib.images.difference import mean_3x3, smooth_difference


def test_it_is_the_mean_of_nine_cells() -> None:
    power = np.random.default_rng(0).exponential(size=(2, 20, 30))
    assert mean_3x3(power) == pytest.approx(ndimage.uniform_filter(power, (1, 3, 3)))


def test_a_range_of_200_db_leaves_no_negative_power() -> None:
    power = np.full((32, 32), 1e-12)
    power[4:8] = 1e8
    assert ndimage.uniform_filter(power, 3).min() < 1e-13  # what a running sum makes of it
    assert mean_3x3(power).min() == pytest.approx(1e-12)
    image = 10 * np.log10(power)[None]
    assert np.isfinite(smooth_difference(image, image, np.zeros(1))).all()
