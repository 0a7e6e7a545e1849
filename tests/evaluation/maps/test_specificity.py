"""Two faults at once: an oracle is told from a map that knows no fault from another."""

import numpy as np
import pytest
import torch

from camvib.evaluation.maps.answers import Answers, baseline_for
from camvib.evaluation.maps.data import MapData, true_faults
from camvib.evaluation.maps.specificity import both_visible, exclusive_auroc, named_pairs, specificity


def test_an_oracle_owns_its_cells_and_a_flat_map_half_of_them(pairs: MapData) -> None:
    both = pairs.select(both_visible(pairs))
    own, other = both.one_off[:, 0] != 0, both.one_off[:, 1] != 0
    oracle = exclusive_auroc(own.astype(float) - other, own, other)
    known = ~np.isnan(oracle)
    assert known.any()
    assert (oracle[known] == 1).all()
    assert (exclusive_auroc(other.astype(float) - own, own, other)[known] == 0).all()
    assert (exclusive_auroc(np.ones(own.shape), own, other)[known] == 0.5).all()


def test_cells_that_both_changed_do_not_count() -> None:
    own, other = np.array([[[1, 1, 0, 0]]], bool), np.array([[[1, 0, 1, 0]]], bool)
    assert exclusive_auroc(np.array([[[0.0, 2.0, 1.0, 9.0]]]), own, other) == [1.0]
    assert np.isnan(exclusive_auroc(np.ones((1, 1, 4)), own, own)).all()


def test_the_change_map_alone_knows_no_fault_from_another(pairs: MapData, make_model) -> None:
    """A network whose votes are all alike has the change map as every class map: each order wins half the time."""
    model = make_model("change_cnn")
    classes = model.diagnoser.network.change.classes
    with torch.no_grad():
        classes.vote.weight.zero_()
        classes.vote.bias.zero_()
    both = pairs.select(both_visible(pairs))
    found = specificity(model, both, baseline_for(model.diagnoser.image, both))
    assert found["share"] == found["exclusive_auroc"] == 0.5
    assert found["own_auroc"] == pytest.approx(0.5, abs=1e-9)
    assert found["ap_difference"] == pytest.approx(0, abs=1e-9)
    assert found["contrast"]["own_auroc"] == pytest.approx(0.5, abs=1e-6)
    assert found["share_same_evidence"] == 0.0
    assert found["ceiling"] > 0.8


def test_both_are_named_when_the_two_highest_faults_are_the_true_ones(pairs: MapData, make_model) -> None:
    model = make_model("gap_cnn")
    both = pairs.select(both_visible(pairs))
    faults = np.array([true_faults(both, place) for place in (0, 1)]).T
    right = np.array([[5.0] + [float(name in pair) for name in model.classes[1:]] for pair in faults])
    none = np.zeros((0, 1, 1))
    named, exactly = named_pairs(model, Answers(right, none, None, 0.0), faults)
    assert named.all()
    assert exactly is None
    assert not named_pairs(model, Answers(-right, none, None, 0.0), faults)[0].any()
    odds = right[:, 1:] - 0.5
    named, exactly = named_pairs(model, Answers(-right, none, None, 0.0, odds), faults)
    assert named.all()
    assert exactly is not None
    assert exactly.all()
    too_many = named_pairs(model, Answers(right, none, None, 0.0, odds + 1), faults)[1]
    assert too_many is not None
    assert not too_many.any()
