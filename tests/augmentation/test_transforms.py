"""Training images vary in what a fault does not depend on, and in nothing else."""

import numpy as np
import pytest
from numpy.typing import NDArray

from camvib.augmentation.transforms import augmented
from camvib.settings import AugmentationSettings, ImageSettings

STACKS = np.random.default_rng(0).normal(-60, 6, (4, 1, 64, 16)).astype(np.float32)
IMAGES = STACKS[:, 0] - STACKS[:, 0].mean(axis=(1, 2), keepdims=True)
NOTHING = {"time_shift": False, "noise_db": 0.0, "mask_fraction": 0.0}


def changed(seed: int = 0, stacks: NDArray[np.floating] = STACKS, **settings: object) -> NDArray[np.floating]:
    given = AugmentationSettings.model_validate({**NOTHING, **settings})
    return augmented(stacks, ImageSettings(), given, np.random.default_rng(seed))


def test_nothing_but_the_level_changes_unless_asked() -> None:
    assert changed() == pytest.approx(IMAGES, abs=1e-5)


def test_a_time_shift_is_circular_and_the_same_for_all_rows() -> None:
    for image, shifted in zip(IMAGES, changed(time_shift=True), strict=True):
        assert any(np.roll(image, by, axis=1) == pytest.approx(shifted, abs=1e-5) for by in range(16))


def test_a_tilt_is_a_smooth_gain_over_frequency_alike_at_all_times() -> None:
    gain = changed(tilt_db=6.0) - IMAGES
    assert np.ptp(gain, axis=2).max() < 1e-3
    assert gain[:, :, 0].std(axis=1) == pytest.approx(np.full(4, 6.0), rel=0.6)
    assert np.abs(np.diff(gain[:, :, 0], axis=1)).max() < 3.0


def test_a_floor_hides_what_lies_below_and_keeps_the_strongest() -> None:
    raised = changed(floor_db=(15.0, 50.0))
    added = raised - IMAGES
    top = np.unravel_index(IMAGES[0].argmax(), IMAGES[0].shape)
    assert added[0].min() == pytest.approx(added[0][top], abs=3.0)  # the level taken out apart, the top stays
    assert np.ptp(added, axis=(1, 2)).min() > 0.5


def test_a_jitter_of_speed_moves_a_line_by_its_share_at_most() -> None:
    lines = np.full((32, 1, 64, 16), -60.0)
    lines[:, :, 40] = -20.0
    rows = changed(stacks=lines, speed_jitter=0.05).mean(axis=2).argmax(axis=1)
    assert set(rows) <= {38, 39, 40, 41, 42, 43}
    assert len(set(rows)) > 1


def test_one_image_of_some_layers_never_shows_what_no_layer_has() -> None:
    stacks = np.random.default_rng(1).normal(0, 1, (8, 5, 16, 4))
    given = AugmentationSettings.model_validate(NOTHING)
    kept = ImageSettings(keep_level=True)
    loudness = given.model_copy(update={"gain_db": 0.0})
    images = augmented(stacks, kept, loudness, np.random.default_rng(0))
    assert (images <= stacks.max(axis=1) + 1e-9).all()
    assert (images >= stacks.min(axis=1) - 1e-9).all()
    assert not np.allclose(images, stacks.max(axis=1))
    whole = augmented(stacks, kept, loudness.model_copy(update={"some_layers": False}), np.random.default_rng(0))
    assert whole == pytest.approx(stacks.max(axis=1))


def test_gain_counts_only_where_the_level_is_kept() -> None:
    given = AugmentationSettings.model_validate({**NOTHING, "gain_db": 6.0})
    shift = augmented(STACKS, ImageSettings(keep_level=True), given, np.random.default_rng(0)) - STACKS[:, 0]
    assert np.ptp(shift, axis=(1, 2)).max() < 1e-3
    assert 0.1 < np.abs(shift).max() <= 6.0


def test_the_same_seed_gives_the_same_image() -> None:
    settings = {"tilt_db": 6.0, "floor_db": (15.0, 50.0), "mask_fraction": 0.2, "time_shift": True}
    assert np.array_equal(changed(3, **settings), changed(3, **settings))
    assert not np.array_equal(changed(3, **settings), changed(4, **settings))


def test_hidden_stretches_stay_within_their_share_and_stand_at_the_mean() -> None:
    images = changed(stacks=np.random.default_rng(0).normal(-60, 6, (32, 1, 64, 16)), mask_fraction=0.25)
    hidden = images == 0
    assert (hidden.all(axis=2).sum(axis=1) <= 16).all()
    assert (hidden.all(axis=1).sum(axis=1) <= 4).all()
    assert hidden.any()
