"""Maps become regions and shares that say where."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camvib.diagnosis.contrast import check_add_up, contrast
from camvib.diagnosis.regions import band_share, regions
from camvib.errors import ModelError
from camvib.images.axes import Axes
from camvib.records import ActivationMap

AXES = Axes(np.linspace(0, 320, 33), np.linspace(10, 14, 33))


def as_map(values: np.ndarray, bias: float = 0.0) -> ActivationMap:
    centres = AXES.centres()
    return ActivationMap(values, centres.frequency_hz, centres.time_s, "crack", "healthy", bias)


def test_a_contrast_adds_up_to_the_log_odds() -> None:
    rng = np.random.default_rng(0)
    maps, bias = rng.normal(size=(3, 32, 32)), np.array([0.5, -1.0, 2.0])
    logits = maps.mean(axis=(1, 2)) + bias
    shown = contrast(maps, logits, ("healthy", "crack", "loose"), "crack", "healthy", AXES)
    assert shown.logit == pytest.approx(logits[1] - logits[0])
    assert shown.bias == pytest.approx(-1.5)
    chances = np.exp(logits) / np.exp(logits).sum()
    assert shown.logit == pytest.approx(np.log(chances[1] / chances[0]))
    check_add_up(shown, logits[1] - logits[0])
    with pytest.raises(ModelError, match="adds up"):
        check_add_up(shown, logits[1] - logits[0] + 0.1)


def test_a_block_becomes_its_box_in_hertz_and_seconds() -> None:
    values = np.zeros((32, 32))
    values[4:8, 16:24] = 2.0  # 40–80 Hz, 12–13 s
    values[20:22, 0:4] = -1.2  # 200–220 Hz, 10–10.5 s
    first, second = regions(as_map(values), AXES)
    assert (first.low_hz, first.high_hz, first.start_s, first.end_s) == (40, 80, 12, 13)
    assert (first.sign, first.share) == (1, 1.0)
    assert (second.low_hz, second.high_hz, second.start_s, second.end_s) == (200, 220, 10, 10.5)
    assert (second.sign, second.share) == (-1, 1.0)


def test_what_is_below_half_the_peak_is_no_region() -> None:
    values = np.zeros((32, 32))
    values[2, 2], values[20, 20] = 1.0, 0.49
    assert len(regions(as_map(values), AXES)) == 1
    values[20, 20] = 0.51
    assert len(regions(as_map(values), AXES)) == 2


def test_an_empty_map_has_no_region() -> None:
    assert regions(as_map(np.zeros((32, 32))), AXES) == ()


@given(st.integers(0, 2**20), st.floats(0.05, 0.9))
def test_shares_of_one_sign_never_pass_one(seed: int, threshold: float) -> None:
    values = np.random.default_rng(seed).normal(size=(32, 32))
    found = regions(as_map(values), AXES, threshold=threshold, most=1000, least_share=0.0)
    for sign in (1, -1):
        assert sum(region.share for region in found if region.sign == sign) <= 1 + 1e-9
    assert all(AXES.time_s[0] <= region.start_s < region.end_s <= AXES.time_s[-1] for region in found)
    assert all(0 <= region.low_hz < region.high_hz <= 320 for region in found)


def test_band_shares_add_up_and_split_cells() -> None:
    values = np.zeros((32, 32))
    values[4] = 1.0  # 40–50 Hz
    values[10] = -5.0
    activation = as_map(values)
    assert band_share(activation, AXES, 40, 50) == pytest.approx(1.0)
    assert band_share(activation, AXES, 40, 42.5) == pytest.approx(0.25)
    assert band_share(activation, AXES, 100, 110) == 0.0
