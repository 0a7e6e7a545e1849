"""The envelope image shows how often it strikes, at which speed, and lines rather than slopes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from camvib.errors import SettingsError
from camvib.images.envelope import EnvelopeLayer, carrier_bands
from camvib.images.layer import make_layer
from camvib.images.spectrogram import SpectrogramLayer
from camvib.settings import ImageSettings

RATE = 12000.0
ENVELOPE = ImageSettings(kind="envelope", window_s=2.0, fft_s=1.0, rows=256, columns=8)


def wave(modulation_hz: float, carrier_hz: float = 3000.0, rate: float = RATE, seconds: float = 2.0) -> torch.Tensor:
    """A carrier whose amplitude swings, in noise: (1, samples)."""
    t = np.arange(round(seconds * rate)) / rate
    carrier = np.sin(2 * np.pi * carrier_hz * t)
    samples = (1 + 0.8 * np.sin(2 * np.pi * modulation_hz * t)) * carrier
    samples = samples + 0.02 * np.random.default_rng(0).standard_normal(len(t))
    return torch.from_numpy(samples.astype(np.float32))[None]


def top_row(layer: EnvelopeLayer, samples: torch.Tensor, speed: float | None = None) -> int:
    given = None if speed is None else torch.tensor([speed])
    with torch.inference_mode():
        return int(layer(samples, given)[0].mean(dim=1).argmax())


def row_of(layer: EnvelopeLayer, hz: float) -> int:
    return int(np.searchsorted(layer.axes.frequency_hz, hz)) - 1


@pytest.fixture(scope="module")
def layer() -> EnvelopeLayer:
    made = make_layer(ENVELOPE, RATE)
    assert isinstance(made, EnvelopeLayer)
    return made


@settings(max_examples=10)
@given(modulation_hz=st.floats(20, 450), carrier_hz=st.floats(1000, 4500))
def test_a_modulated_carrier_shows_its_modulation_wherever_it_rings(
    layer: EnvelopeLayer, modulation_hz: float, carrier_hz: float
) -> None:
    assert abs(top_row(layer, wave(modulation_hz, carrier_hz)) - row_of(layer, modulation_hz)) <= 1


def test_impacts_show_their_rate_and_its_multiples_alone(layer: EnvelopeLayer) -> None:
    strike_hz = 107.0
    t = np.arange(layer.n) / RATE
    since = t % (1 / strike_hz)
    samples = np.exp(-since * 800) * np.sin(2 * np.pi * 3200 * since)
    samples += 0.05 * np.random.default_rng(1).standard_normal(len(t))
    whitened = make_layer(ENVELOPE.model_copy(update={"whiten": 41}), RATE)
    with torch.inference_mode():
        image = whitened(torch.from_numpy(samples.astype(np.float32))[None])[0].mean(dim=1).numpy()
    strongest = layer.axes.centres().frequency_hz[np.argsort(-image)[:4]]
    assert np.abs(strongest / strike_hz - np.round(strongest / strike_hz)).max() < 0.03


def test_at_shaft_speed_what_turns_stands_in_one_row() -> None:
    at_speed = make_layer(ENVELOPE.model_copy(update={"at_shaft_speed": True}), RATE)
    assert isinstance(at_speed, EnvelopeLayer)
    rows = {top_row(at_speed, wave(100.0 * speed), speed) for speed in (0.8, 1.0, 1.25)}
    assert len(rows) == 1
    assert abs(rows.pop() - row_of(at_speed, 100.0)) <= 1
    # Without the speed the line goes where its hertz are.
    assert abs(top_row(at_speed, wave(125.0)) - row_of(at_speed, 125.0)) <= 1


def test_whitening_takes_a_slope_away_and_leaves_a_line() -> None:
    """Noise whose density falls by some 30 dB over the band, with one line on it."""
    rate, n = 4096.0, 4 * 4096
    spectrum = np.fft.rfft(np.random.default_rng(2).standard_normal(n)) / (1 + np.arange(n // 2 + 1) / 200)
    samples = np.fft.irfft(spectrum, n)
    samples = samples / samples.std() + 0.5 * np.sin(2 * np.pi * 1000 * np.arange(n) / rate)
    given = torch.from_numpy(samples.astype(np.float32))[None]
    plain = ImageSettings(window_s=4.0, frequency_axis="linear")
    slope = []
    for whiten in (0, 31):
        layer = SpectrogramLayer(plain.model_copy(update={"whiten": whiten}), rate)
        with torch.inference_mode():
            spectrum_db = layer(given)[0].mean(dim=1).numpy()
        line = int(np.searchsorted(layer.axes.frequency_hz, 1000)) - 1
        around = np.r_[line - 12 : line - 3, line + 4 : line + 13]
        assert spectrum_db[line] > spectrum_db[around].mean() + 6
        slope.append(spectrum_db[20:60].mean() - spectrum_db[80:120].mean())
    assert slope[0] > 6
    assert abs(slope[1]) < 0.1 * slope[0]


@given(rate=st.floats(1000, 100_000))
def test_bands_lie_within_what_the_rate_holds(rate: float) -> None:
    bands = carrier_bands(rate)
    assert len(bands) >= 4
    assert all(0 < low < high <= 0.46 * rate + 1e-3 for low, high in bands)


def test_a_gain_changes_nothing(layer: EnvelopeLayer) -> None:
    with torch.inference_mode():
        assert torch.allclose(layer(wave(100.0) * 40), layer(wave(100.0)), atol=0.02)


def test_too_short_a_window_is_refused_with_its_length() -> None:
    with pytest.raises(SettingsError, match=r"0\.01 s at 12000 Hz"):
        make_layer(ENVELOPE.model_copy(update={"window_s": 0.01, "fft_s": None}), RATE)
