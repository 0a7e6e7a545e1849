import numpy as np
import pytest

from camvib.images.envelope import ImageRecipe, images
from camvib.records import Recording


def recording(samples: np.ndarray, rate: float) -> Recording:
    return Recording(samples.astype(np.float32), rate, "m/s2", "a", "made", "0" * 64)


def test_the_envelope_image_shows_how_often_it_strikes_not_where_it_rings() -> None:
    rate, strike_hz = 12000.0, 107.0
    rng = np.random.default_rng(1)
    for carrier in (1500.0, 3200.0):
        t = np.arange(round(3 * rate)) / rate
        since = t % (1 / strike_hz)
        samples = np.exp(-since * 800) * np.sin(2 * np.pi * carrier * since) + 0.05 * rng.standard_normal(len(t))
        recipe = ImageRecipe(window_s=2.0, fft_s=1.0, rows=256, columns=8, envelope=True, whiten=41)
        made = images(recording(samples, rate), recipe, 2.0, 4)
        mean = made.values_db.max(axis=1).mean(axis=(0, 2))
        assert made.axes.centres().frequency_hz[mean.argmax()] % strike_hz == pytest.approx(0, abs=3) or (
            made.axes.centres().frequency_hz[mean.argmax()] % strike_hz
        ) == pytest.approx(strike_hz, abs=3)
