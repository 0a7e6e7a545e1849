import numpy as np
import pytest
import torch

from camvib.augmentation.mains_hum import GRIDS_HZ, add_hum, line_rows
from camvib.evaluation.maps.data import MapData, image_layer, simulated
from camvib.simulation.fleet import FleetPlan


@pytest.fixture(scope="module")
def data() -> MapData:
    return simulated(FleetPlan(20, seed=77))


def test_hum_put_into_an_image_is_the_hum_of_the_waveform() -> None:
    layer = image_layer()
    time_s = np.arange(layer.n) / layer.sampling_rate_hz
    noise = np.random.default_rng(0).standard_normal(layer.n) * 1e-3
    for grid, mains_hz in enumerate(GRIDS_HZ):
        wave = noise + np.sin(2 * np.pi * mains_hz * time_s)  # mean square 0.5
        with torch.inference_mode():
            quiet, loud = layer(torch.from_numpy(np.stack([noise, wave])).float()).numpy()
        put = 10 ** (quiet / 10) + 0.5 * line_rows(layer)[grid, 0][:, None]
        inner = slice(8, -8)  # away from the mirrored ends
        strong = loud[:, inner] > loud[:, inner].max() - 20
        assert np.abs(10 * np.log10(put[:, inner]) - loud[:, inner])[strong].max() < 0.5


def test_hum_raises_the_difference_where_it_raises_the_image_and_nowhere_else(data: MapData) -> None:
    layer = image_layer()
    image = data.twins_db[:6].astype(np.float32)
    found, difference = add_hum(
        image, np.zeros_like(image), line_rows(layer), np.diff(layer.axes.frequency_hz), np.random.default_rng(3)
    )
    assert (difference >= -1e-4).all()
    raised = (found - image).mean(axis=2) > 10
    assert raised.any(axis=1).sum() >= 3  # some hums are faint
    assert (difference.mean(axis=2)[raised] > 6).mean() > 0.9  # the strongest neighbours drown a few
    above_the_lines = layer.axes.frequency_hz[:-1] > 60 * 8 + 40
    assert np.abs(difference[:, above_the_lines]).max() < 1
