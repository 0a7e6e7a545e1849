"""The learned twin and the class maps on its change: shapes, identities, what must not leak."""

import math

import numpy as np
import pytest
import torch

from camvib.augmentation.synthetic_changes import synthetic_change
from camvib.errors import SignalError
from camvib.images.baseline import Baseline, leave_one_out
from camvib.learning.change_cnn import twin_loss
from camvib.networks.change_cnn import ChangeCnn, contrasted
from camvib.networks.twin import Change, TwinNet, laplace_tails, twin_channels

SIDE = 32


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return 8 * torch.randn(4, SIDE, SIDE) - 40, 5 * torch.randn(4, SIDE), 5 + torch.rand(4, SIDE)


@pytest.fixture
def network(batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> ChangeCnn:
    torch.manual_seed(3)
    net = ChangeCnn(5, (8, 12, 16), SIDE)
    with torch.no_grad():  # a fresh net sees no change; this one sees some
        net.twin.out.weight.mul_(40)
        for _ in range(20):
            net(*batch)
    return net.eval()


def test_a_baseline_does_not_see_the_level_of_the_day() -> None:
    image = np.random.default_rng(0).normal(-60, 6, (4, SIDE, SIDE)).astype(np.float32)
    louder = image + np.array([0, 5, -8, 12], np.float32)[:, None, None]
    assert Baseline.of(louder).mean_db == pytest.approx(Baseline.of(image).mean_db, abs=1e-4)
    assert Baseline.of(louder).spread_db == pytest.approx(Baseline.of(image).spread_db, abs=1e-4)


def test_a_baseline_of_two_recordings_is_refused() -> None:
    with pytest.raises(SignalError, match="from 2 recordings"):
        Baseline.of(np.zeros((2, SIDE, SIDE)))


def test_a_training_baseline_never_holds_its_own_recording() -> None:
    images = np.random.default_rng(0).normal(0, 1, (8, SIDE, SIDE))
    groups = np.array(["a"] * 4 + ["b"] * 4)
    before, _ = leave_one_out(images, groups)
    images[2, 5] += 1000
    after, _ = leave_one_out(images, groups)
    moved = np.abs(after - before).max(axis=1) > 1
    assert moved.tolist() == [True, True, False, True, False, False, False, False]


def test_logits_are_the_mean_of_the_maps_plus_the_bias(network: ChangeCnn, batch) -> None:
    output = network(*batch)
    total = output.maps.mean(dim=(2, 3)) + network.classes.bias
    change = output.change.probability
    assert change.max() > 2 * change.min()  # the identity is not one of uniform maps
    assert torch.allclose(total, output.logits, atol=1e-5)


def test_contrasted_maps_add_up_to_the_same_logits(network: ChangeCnn, batch) -> None:
    output = network(*batch)
    named = torch.zeros_like(output.logits, dtype=torch.bool)
    named[:, 1] = named[:, 3] = True
    maps = contrasted(output.maps, named)
    total = maps.double().mean(dim=(2, 3)) + network.classes.bias
    assert torch.allclose(total, output.logits.double(), atol=1e-4)
    assert torch.equal(maps[:, [0, 2, 4]], output.maps[:, [0, 2, 4]])
    assert not torch.allclose(maps[:, 1], output.maps[:, 1], atol=1e-2)


def test_a_verdict_of_one_fault_changes_no_map(network: ChangeCnn, batch) -> None:
    maps = network(*batch).maps
    for named in ([True, False, True, False, False], [False] * 5):
        assert torch.allclose(contrasted(maps, torch.tensor([named] * 4)), maps, rtol=1e-5)


def test_the_contrast_takes_from_a_fault_what_is_rather_the_other_ones() -> None:
    maps = torch.zeros(1, 3, 4, 4)
    maps[:, 1, :2], maps[:, 2, 1:] = 3.0, 5.0
    seen = contrasted(maps, torch.tensor([[False, True, True]]))
    own, shared, others = seen[0, 1, 0], seen[0, 1, 1], seen[0, 1, 2:]
    assert maps[0, 1, 0, 0] == maps[0, 1, 1, 0]
    assert (own > shared).all()
    assert (shared > 0).all()
    assert (others < 0).all()


def test_presence_of_a_fault_starts_from_its_logit_and_moves_neither_logits_nor_maps(network: ChangeCnn, batch) -> None:
    before = network(*batch)
    network.classes.add_presence()
    after = network(*batch)
    assert before.presence is None
    assert torch.equal(before.logits, after.logits)
    assert torch.allclose(after.presence, after.logits[:, 1:] - after.logits[:, :1])
    after.presence.sum().backward()
    assert all(value.grad is None for name, value in network.named_parameters() if ".presence." not in name)


def test_the_map_of_healthy_is_zero_and_nothing_shows_where_nothing_changed(network: ChangeCnn, batch) -> None:
    output = network(*batch)
    assert output.maps[:, 0].abs().max() == 0
    still = torch.ones_like(output.change.gain)
    still[:, :, : SIDE // 2] = 0
    part = output.change._replace(gain=output.change.gain * still, loss=output.change.loss * still)
    maps = network.classes(part).maps
    assert maps[:, 1:, :, : SIDE // 2].abs().max() == 0
    assert maps[:, 1:, :, SIDE // 2 :].min() >= 0
    assert maps.max() > 0


def test_level_changes_nothing(network: ChangeCnn, batch) -> None:
    image, baseline, spread = batch
    assert torch.allclose(
        network(image, baseline, spread).logits, network(image + 17, baseline, spread).logits, atol=1e-3
    )


def test_the_classifier_goes_by_the_change_alone(network: ChangeCnn, batch) -> None:
    """Two recordings with the same change get the same answer, whatever else is in them."""
    change = network(*batch).change
    other = Change(*(value[:1].expand_as(value) for value in change))
    logits = network.classes(other).logits
    assert torch.allclose(logits, logits[:1].expand_as(logits), atol=1e-5)
    assert not torch.allclose(network.classes(change).logits[0], network.classes(change).logits[1], atol=1e-3)


def test_gain_loss_and_none_are_probabilities(network: ChangeCnn, batch) -> None:
    change = network(*batch).change
    assert change.gain.min() >= 0
    assert change.loss.min() >= 0
    assert change.probability.max() <= 1 + 1e-6
    assert (change.signed.abs() <= change.probability + 1e-6).all()


def test_laplace_tails_against_the_closed_form() -> None:
    mean, scale = torch.tensor([0.0, 8.0, -7.0]), torch.tensor([2.0, 2.0, 1.0])
    above, below = laplace_tails(mean, scale)
    assert above.tolist() == pytest.approx([0.5 * math.exp(-3), 1 - 0.5 * math.exp(-1), 0.5 * math.exp(-13)])
    assert below.tolist() == pytest.approx([0.5 * math.exp(-3), 0.5 * math.exp(-7), 1 - 0.5 * math.exp(-1)])


def test_the_loss_prefers_the_truth() -> None:
    truth = torch.zeros(1, SIDE, SIDE)
    truth[:, :8] = 12.0
    truth[:, 8:12] = -9.0

    def said(difference: torch.Tensor) -> Change:
        return Change(
            difference,
            torch.full_like(difference, 1.0),
            (difference > 6) * 0.9 + 0.05,
            (difference < -6) * 0.9 + 0.025,
        )

    right, flipped, none = (
        float(twin_loss(said(values), truth)) for values in (truth, -truth, torch.zeros_like(truth))
    )
    assert right < none < flipped


def test_the_twin_learns_a_change_that_the_baseline_shows() -> None:
    torch.manual_seed(0)
    net = TwinNet((8, 12, 16))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    baseline, spread = torch.zeros(16, SIDE), torch.full((16, SIDE), 2.0)
    for _ in range(40):
        image, difference = 2 * torch.randn(16, SIDE, SIDE), torch.zeros(16, SIDE, SIDE)
        for i, row in enumerate(torch.randint(0, SIDE - 4, (16,)).tolist()):
            difference[i, row : row + 4] = 15.0
        change = net(twin_channels(image + difference, baseline, spread))
        loss = twin_loss(change, difference)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()
    image, difference = 2 * torch.randn(4, SIDE, SIDE), torch.zeros(4, SIDE, SIDE)
    difference[:, 10:14] = 15.0
    change = net(twin_channels(image + difference, baseline[:4], spread[:4]))
    assert change.gain[:, 10:14].mean() > 0.8
    assert change.gain[:, 20:].mean() < 0.1


def test_a_synthetic_change_is_what_it_says() -> None:
    rng = np.random.default_rng(5)
    image, baseline, other = rng.normal(-40, 5, (64, 64)), rng.normal(0, 8, 64), rng.normal(0, 8, 64)
    same, none = synthetic_change(image, baseline, other, rng, untouched=1.0)
    assert np.array_equal(same, image)
    assert np.abs(none).max() < 1e-9
    areas = []
    for _ in range(40):
        altered, difference = synthetic_change(image, baseline, other, rng, untouched=0.0)
        assert np.isfinite(altered).all()
        quiet = np.abs(altered - image) < 1e-9
        # Far from any altered cell, the smoothed powers are the same.
        far = ~np.pad(~quiet, 1).astype(bool)
        inside = far[1:-1, 1:-1] & far[:-2, 1:-1] & far[2:, 1:-1] & far[1:-1, :-2] & far[1:-1, 2:]
        inside &= far[:-2, :-2] & far[:-2, 2:] & far[2:, :-2] & far[2:, 2:]
        assert np.abs(difference[inside]).max(initial=0) < 1e-6
        areas.append((np.abs(difference) > 6).mean())
    assert 0.01 < np.median(areas) < 0.6
