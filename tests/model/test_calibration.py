"""The odds past which a fault is called hold the stated share of false alarms, and say nothing where too few tell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camvib.model.calibration import LEAST_HEALTHY, MOST_MARGIN, healthy_margin


@given(st.integers(LEAST_HEALTHY, 400), st.floats(0.01, 0.3), st.integers(0, 2**16))
def test_no_more_of_the_held_out_recordings_pass_than_is_allowed(n: int, share: float, seed: int) -> None:
    odds = np.random.default_rng(seed).uniform(-4, MOST_MARGIN, n)
    assert np.mean(odds > healthy_margin(odds, share)) <= share


def test_the_share_holds_for_new_recordings() -> None:
    rng = np.random.default_rng(0)
    false = [np.mean(rng.normal(-1, 1, 2000) > healthy_margin(rng.normal(-1, 1, 100), 0.05)) for _ in range(200)]
    assert np.mean(false) == pytest.approx(0.05, abs=0.01)


def test_it_stays_between_nothing_and_its_bound() -> None:
    assert healthy_margin(np.full(LEAST_HEALTHY - 1, 9.0), 0.02) == 0.0
    assert healthy_margin(np.full(100, 9.0), 0.02) == MOST_MARGIN
    assert healthy_margin(np.full(100, -9.0), 0.02) == 0.0
