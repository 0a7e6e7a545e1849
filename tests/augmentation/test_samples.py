"""A sample moves all that belongs to an image together; healthy ones teach nothing of faults."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from camvib.augmentation.samples import ChangeData, HumLines, draw_sample
from camvib.images.baseline import level_free
from camvib.learning.change_cnn import train_twin
from camvib.learning.healthy_pairs import healthy_only
from camvib.settings import ChangeTraining

ROWS, COLUMNS = 32, 32


@pytest.fixture
def data() -> ChangeData:
    """Healthy images, and faulty ones with a line of their own 20 dB above their twin's."""
    rng = np.random.default_rng(0)
    healthy = rng.normal(0, 0.5, (12, ROWS, COLUMNS))
    difference = np.zeros_like(healthy)
    for i in range(6, 12):
        difference[i, 8 + i] = 20.0
    flat = level_free(healthy).mean(axis=2)
    return ChangeData(
        images_db=(healthy + difference).astype(np.float16),
        healthy_db=healthy.astype(np.float16),
        difference_db=difference.astype(np.float16),
        targets=np.eye(2, dtype=np.float32)[(np.arange(12) >= 6).astype(int)],
        baselines_db=flat[None].astype(np.float32),
        spreads_db=np.full((1, 12, ROWS), 0.5, np.float32),
        lines=HumLines(np.zeros((2, 8, ROWS), np.float32), np.ones(ROWS)),
    )


def test_a_sample_moves_image_difference_and_baseline_together(data: ChangeData) -> None:
    rows = np.arange(6, 12)
    baselines = data.baselines_db.copy()
    baselines[0, rows, rows + 8] = 40.0  # a mark in the row of the fault
    marked = replace(data, baselines_db=baselines)
    moved = set()
    for seed in range(6):
        sample = draw_sample(marked, rows, ChangeTraining(healthy_share=0.0), np.random.default_rng(seed))
        line = sample.difference.mean(dim=2).argmax(dim=1)
        assert torch.equal(sample.image.mean(dim=2).argmax(dim=1), line)
        assert torch.equal(sample.baseline.argmax(dim=1), line)
        moved.add(int(line[0]) - 14)
    assert len(moved) > 1
    assert max(moved) <= 4
    assert min(moved) >= -4


def test_a_recording_shown_as_its_twin_is_healthy_and_unchanged(data: ChangeData) -> None:
    sample = draw_sample(data, np.arange(12), ChangeTraining(healthy_share=0.999999), np.random.default_rng(0))
    assert (sample.difference == 0).all()
    assert (sample.targets[:, 0] == 1).all()


def test_without_twins_no_faulty_recording_teaches_the_change_network(data: ChangeData) -> None:
    """Faulty images may be replaced by noise: what is learned stays the same."""
    spoiled = data.images_db.copy()
    spoiled[6:] = 1.0
    settings = ChangeTraining(epochs=1, batch_size=6, widths=(8, 8, 8), bfloat16=False)
    twins = [
        train_twin(replace(healthy_only(one), difference_db=None), settings).state_dict()
        for one in (data, replace(data, images_db=spoiled))
    ]
    assert all(torch.equal(a, b) for a, b in zip(twins[0].values(), twins[1].values(), strict=True))
