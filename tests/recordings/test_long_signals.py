"""Block by block is the same as at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import welch

from camvib.readers.parsing import blocks as _blocks
from camvib.recordings.long_signals import extremes, power_density


@pytest.fixture(scope="module", autouse=True)
def short_blocks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_blocks, "BLOCK", 100)
        yield


@given(n=st.integers(2, 900), segment=st.integers(2, 300), seed=st.integers(0, 9))
def test_power_density_is_that_of_scipy(n: int, segment: int, seed: int) -> None:
    segment = min(segment, n)
    samples = np.random.default_rng(seed).normal(3, 1, size=n)
    hz, density = power_density(samples, 2000.0, segment)
    true_hz, truth = welch(samples, 2000.0, nperseg=segment)
    np.testing.assert_allclose(hz, true_hz)
    np.testing.assert_allclose(density, truth, rtol=1e-9, atol=1e-15)


@given(n=st.integers(1, 900), stretches=st.integers(1, 400), seed=st.integers(0, 9))
def test_extremes_are_those_of_the_stretches(n: int, stretches: int, seed: int) -> None:
    stretches = min(stretches, n)
    samples = np.random.default_rng(seed).normal(size=n).astype(np.float32)
    begins = np.linspace(0, n, stretches + 1).astype(int)[:-1]
    lowest, highest = extremes(samples, stretches)
    np.testing.assert_array_equal(lowest, np.minimum.reduceat(samples, begins))
    np.testing.assert_array_equal(highest, np.maximum.reduceat(samples, begins))
