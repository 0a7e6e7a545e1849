"""Training images vary in what a fault does not depend on, and in nothing else."""

import numpy as np
import pytest
import torch

from camvib.augmentation.transforms import augment_image, mask_image
from camvib.settings import AugmentationSettings

IMAGE = torch.from_numpy(np.random.default_rng(0).normal(-60, 6, (4, 64, 16)).astype(np.float32))


def augmented(seed: int = 0, **settings: object) -> torch.Tensor:
    torch.manual_seed(seed)
    return augment_image(IMAGE, AugmentationSettings.model_validate(settings))


def test_nothing_changes_unless_asked() -> None:
    assert augmented() is IMAGE


def test_a_tilt_is_a_smooth_gain_over_frequency_alike_at_all_times() -> None:
    gain = (augmented(tilt_db=6.0) - IMAGE).numpy()
    assert np.ptp(gain, axis=2).max() < 1e-3
    assert gain.std() == pytest.approx(6.0, rel=0.05)
    assert np.abs(np.diff(gain[:, :, 0], axis=1)).max() < 3.0


def test_a_floor_hides_what_lies_below_and_keeps_the_strongest() -> None:
    raised = augmented(floor_db=(15.0, 50.0))
    assert bool((raised >= IMAGE - 1e-4).all())
    top = IMAGE.flatten(1).argmax(dim=1, keepdim=True)
    assert (raised - IMAGE).flatten(1).gather(1, top).max() < 3.0
    assert (raised - IMAGE).mean() > 0.5


def test_the_same_seed_gives_the_same_image() -> None:
    settings = {"tilt_db": 6.0, "floor_db": (15.0, 50.0)}
    assert torch.equal(augmented(3, **settings), augmented(3, **settings))
    assert not torch.equal(augmented(3, **settings), augmented(4, **settings))


def test_hidden_stretches_stay_within_their_share() -> None:
    torch.manual_seed(0)
    hidden = mask_image(torch.ones(32, 64, 16), 0.25) == 0
    assert (hidden.all(dim=2).sum(dim=1) <= 16).all()
    assert (hidden.all(dim=1).sum(dim=1) <= 4).all()
    assert hidden.any()
