"""Map scores against known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from camvib.evaluation.maps.scores import bootstrap_macro, by_class, macro, score_map


@given(st.integers(0, 10_000), st.integers(2, 40))
@settings(max_examples=60, deadline=None)
def test_scores_agree_with_scikit_learn_ties_and_all(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    values, evidence = rng.integers(0, levels, (8, 9)), rng.integers(-1, 2, (8, 9))
    evidence[0, :2] = 0, 1
    ap, _, _, auroc = score_map(values, evidence)
    assert ap == pytest.approx(average_precision_score(evidence.ravel() != 0, values.ravel()))
    assert auroc == pytest.approx(roc_auc_score(evidence.ravel() != 0, values.ravel()))


def test_a_uniform_map_scores_at_chance_and_the_truth_at_one() -> None:
    evidence = np.zeros((10, 10), np.int8)
    evidence[2:4] = 1
    evidence[6, :5] = -1
    assert score_map(np.full((10, 10), 3.0), evidence) == pytest.approx((0.25, 0.25, 1.0, 0.5))
    assert score_map(np.abs(evidence), evidence) == pytest.approx((1.0, 1.0, 4.0, 1.0))


@given(st.integers(0, 10_000), st.floats(0.1, 50))
@settings(max_examples=30, deadline=None)
def test_scale_does_not_matter_and_offset_only_to_the_mass(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    values, evidence = rng.normal(size=(12, 12)), (rng.random((12, 12)) < 0.2).astype(np.int8)
    evidence[0, 0] = 1
    plain = score_map(values, evidence)
    assert score_map(scale * values, evidence) == pytest.approx(plain)
    moved = score_map(values + 5, evidence)
    assert (moved[0], moved[1], moved[3]) == pytest.approx((plain[0], plain[1], plain[3]))


def test_a_class_that_a_net_cannot_find_stays_in_the_mean() -> None:
    scores = np.array([[0.0, 0, 0, 0], [1.0, 1, 1, 1], [1.0, 1, 1, 1]])
    assert by_class(scores, np.array(["crack", "impact", "impact"]))["macro"]["ap"] == 0.5


def test_the_interval_is_over_specimens_not_recordings() -> None:
    rng = np.random.default_rng(0)
    specimen = rng.normal(0, 1, 20)
    values, groups = np.repeat(specimen, 50), np.repeat(np.arange(20).astype(str), 50)
    labels = np.array(["crack"] * 1000)
    low, high = bootstrap_macro(values, labels, groups)
    assert high - low == pytest.approx(2 * 1.96 * specimen.std() / np.sqrt(20), rel=0.15)
    assert low < macro(values, labels) < high
