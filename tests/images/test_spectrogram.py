"""The image says the right hertz, seconds and decibels."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import welch

from camvib.errors import SettingsError, SignalError
from camvib.images.axes import frequency_edges
from camvib.images.spectrogram import SpectrogramLayer, spectrogram, window_length_s
from camvib.records import Recording
from camvib.settings import ImageSettings

RATE = 4096.0


def layer(**changes: object) -> SpectrogramLayer:
    return SpectrogramLayer(ImageSettings(window_s=4.0, **changes), RATE)  # type: ignore[arg-type]


def tone(hz: float, seconds: float = 4.0, amplitude: float = 1.0) -> torch.Tensor:
    t = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    return (amplitude * torch.sin(2 * torch.pi * hz * t)).float()[None]


@pytest.mark.parametrize("axis", ["log", "linear"])
@given(hz=st.floats(20, 1750))
def test_a_tone_lights_the_row_of_its_frequency(axis: str, hz: float) -> None:
    module = layer(frequency_axis=axis)
    row = int(module(tone(hz))[0].mean(dim=1).argmax())
    edges = module.axes.frequency_hz
    bin_hz = RATE / module.n_fft
    assert edges[row] - bin_hz <= hz <= edges[row + 1] + bin_hz


def test_a_burst_lights_the_columns_of_its_time() -> None:
    module = layer()
    waveform = 1e-3 * torch.randn(1, module.n, generator=torch.Generator().manual_seed(1))
    waveform[0, round(2.5 * RATE) : round(2.6 * RATE)] += tone(300, 0.1)[0, : round(2.6 * RATE) - round(2.5 * RATE)]
    column = int(module(waveform)[0].max(dim=0).values.argmax())
    middle = module.axes.centres().time_s[column]
    assert 2.5 - 0.04 <= middle <= 2.6 + 0.04


def test_white_noise_reads_its_power_density() -> None:
    """A density of s²/(fs/2) per hertz for noise of variance s², whatever the FFT length; Welch agrees."""
    noise = 0.3 * torch.randn(1, 16384, generator=torch.Generator().manual_seed(0))
    expected = 10 * np.log10(0.3**2 / (RATE / 2))
    _, density = welch(noise[0].numpy(), RATE, nperseg=1024)
    assert 10 * np.log10(density[5:-5].mean()) == pytest.approx(expected, abs=0.2)
    for fft_s in (0.1, 0.25, 0.5):
        image = layer(fft_s=fft_s, frequency_axis="linear")(noise)[0, 4:]
        assert 10 * np.log10(float((10 ** (image / 10)).mean())) == pytest.approx(expected, abs=0.3)


@given(gain_db=st.floats(-100, 60))
def test_gain_shifts_every_cell_by_its_decibels(gain_db: float) -> None:
    noise = torch.randn(1, 16384, generator=torch.Generator().manual_seed(3))
    module = layer()
    shift = module(noise * 10 ** (gain_db / 20)) - module(noise)
    assert torch.allclose(shift, torch.full_like(shift, gain_db), atol=0.02)


def test_bias_is_not_vibration() -> None:
    noise = torch.randn(1, 16384, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(layer()(noise + 9.81), layer()(noise), atol=0.05)


@pytest.mark.parametrize("rate", [64.0, 1000.0, 12000.0, 48000.0])
@pytest.mark.parametrize("seconds", [0.4, 1.0, 3.7])
def test_every_rate_and_length_gives_the_same_grid(rate: float, seconds: float) -> None:
    module = SpectrogramLayer(ImageSettings(window_s=seconds), rate)
    image = module(torch.randn(2, module.n))
    assert image.shape == (2, 128, 128)
    assert torch.isfinite(image).all()
    assert module.axes.time_s[-1] == pytest.approx(module.n / rate)


def test_silence_is_finite() -> None:
    assert torch.isfinite(layer()(torch.zeros(1, 16384))).all()


def test_a_band_past_half_the_rate_is_refused() -> None:
    with pytest.raises(SettingsError, match="2048"):
        frequency_edges(ImageSettings(high_hz=3000), RATE)


def test_the_spectrogram_of_a_segment_has_the_times_of_the_file() -> None:
    recording = Recording(tone(100)[0].numpy(), RATE, "m/s2", "a", "x.csv", "0" * 64, start_s=7.0)
    picture = spectrogram(recording, ImageSettings())
    assert 7.0 < picture.time_s[0] < picture.time_s[-1] < 11.0
    with pytest.raises(SignalError, match="shorter"):
        spectrogram(recording, ImageSettings(window_s=5.0))


def test_one_broken_recording_does_not_choose_the_window() -> None:
    assert window_length_s([0.001] + [3.0] * 99) == 3.0
    assert window_length_s([60.0] * 10) == 4.0
    assert window_length_s([1.019, 1.0206] + [1.05] * 78) == 1.019
