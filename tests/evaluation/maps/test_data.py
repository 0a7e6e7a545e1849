"""Truth, and maps of other resolutions brought to it."""

import numpy as np
import pytest
import torch

from camvib.evaluation.maps.data import MapData, healthy_fill, image_axes, image_layer
from camvib.evaluation.maps.grids import on_grid
from camvib.evaluation.maps.scores import score_map
from camvib.evaluation.maps.trivial import trivial_maps
from camvib.images.axes import Axes
from camvib.simulation.twins import EVIDENCE_DB


def test_the_difference_is_what_the_evidence_is_cut_from(data: MapData) -> None:
    difference = data.difference_db.astype(np.float32)
    sharp = np.abs(np.abs(difference) - EVIDENCE_DB) > 0.02  # half precision
    cut = np.where(np.abs(difference) > EVIDENCE_DB, np.sign(difference), 0)
    assert np.array_equal(cut[sharp], data.evidence[sharp])
    assert (data.evidence[data.labels == "healthy"] == 0).all()


def test_a_choice_of_recordings_keeps_all_that_belongs_to_them(data: MapData) -> None:
    chosen = data.select(data.visible).select(np.array([2, 0]))
    rows = np.flatnonzero(data.visible)[[2, 0]]
    assert np.array_equal(chosen.labels, data.labels[rows])
    assert np.array_equal(chosen.waveforms, data.batch.acceleration[rows])
    assert np.array_equal(chosen.evidence, data.evidence[rows])


def test_trivial_maps_beat_chance_and_the_ceiling_beats_them(data: MapData) -> None:
    visible = data.select(data.visible)
    scores = {
        name: np.mean([score_map(m, e)[0] for m, e in zip(values, visible.evidence, strict=True)])
        for name, values in trivial_maps(visible, data.baselines_db.mean(axis=0)).items()
    }
    assert scores["uniform"] == pytest.approx((visible.evidence != 0).mean(), abs=1e-6)
    assert scores["uniform"] < scores["baseline_difference"] < scores["ceiling"] < 1


def test_removed_cells_are_filled_from_another_healthy_recording_at_the_recordings_level(data: MapData) -> None:
    some = data.select(np.arange(3))
    fill = healthy_fill(image_layer(), some)
    assert fill.mean(axis=(1, 2)) == pytest.approx(some.images_db.astype(np.float32).mean(axis=(1, 2)), abs=0.02)
    own = data.twins_db[:3].astype(np.float32)
    assert (np.abs((fill - fill.mean()) - (own - own.mean())).mean(axis=(1, 2)) > 1).all()


def test_a_map_on_the_same_cells_stays_as_it_is() -> None:
    values = np.random.default_rng(0).normal(size=(2, 128, 128))
    assert on_grid(values, image_axes(), image_axes()) is values


def test_blocks_of_cells_are_brought_to_the_image_as_interpolation_does() -> None:
    blocks = torch.randn(1, 1, 32, 16)
    found = on_grid(blocks[0].numpy(), image_axes(), image_axes())
    expected = torch.nn.functional.interpolate(blocks, size=(128, 128), mode="bilinear")[0].numpy()
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_line_keeps_its_frequency_on_another_axis() -> None:
    own = Axes(np.linspace(0, 1800, 65), np.linspace(0, 4, 33))
    line = np.zeros((64, 32))
    line[np.searchsorted(own.frequency_hz, 700) - 1] = 1.0
    found = on_grid(line, own, image_axes())
    peak = image_axes().centres().frequency_hz[found.mean(axis=1).argmax()]
    assert peak == pytest.approx(700, abs=1800 / 64)
