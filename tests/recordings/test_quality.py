import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camvib.errors import SignalError
from camvib.recordings.quality import InputSpec, check
from camvib.recordings.resampling import resample
from camvib.recordings.signal_checks import QualitySettings
from camvib.records import Recording

RATE_HZ = 2048.0


def recording(samples, rate_hz=RATE_HZ, unit="m/s2", channel="x", start_s=0.0):
    return Recording(np.asarray(samples), rate_hz, unit, channel, "file.csv", "0", start_s=start_s)


def noise(n=8192, seed=0):
    return np.random.default_rng(seed).standard_normal(n)


def kinds(found, refused=True):
    return {finding.kind for finding in found if finding.refuse or not refused}


def time_s(n=8192, rate_hz=RATE_HZ):
    return np.arange(n) / rate_hz


@given(st.integers(0, 2**32 - 1), st.floats(-3, 3), st.sampled_from([200.0, 2048.0, 51200.0]))
@settings(max_examples=40, deadline=None)
def test_noise_at_any_level_and_rate_passes(seed, exponent, rate_hz):
    assert check(recording(10**exponent * noise(4096, seed), rate_hz)) == ()


@given(st.integers(2, 300), st.floats(3, 500), st.floats(0, 6.28))
@settings(max_examples=60, deadline=None)
def test_a_quantised_sine_is_neither_clipped_nor_lost(levels, frequency_hz, phase):
    x = np.round(levels * np.sin(2 * np.pi * frequency_hz * time_s() + phase) + 0.3 * noise())
    assert kinds(check(recording(x))) == set()


def test_a_ring_down_below_one_step_of_the_converter_is_no_dropout():
    x = np.round(200 * np.exp(-8 * time_s()) * np.sin(2 * np.pi * 30 * time_s()))
    assert np.mean(x[-2048:] == 0) == 1
    assert kinds(check(recording(x))) == set()


def test_silence_between_hammer_blows_is_no_dropout():
    t = time_s() % 1.0
    x = np.exp(-30 * t) * np.sin(2 * np.pi * 200 * t) + 1e-5 * noise()
    assert kinds(check(recording(x))) == set()


@pytest.mark.parametrize("per_period", [4, 16, 128])
def test_a_tone_in_step_with_the_sampling_is_not_clipping(per_period):
    x = 1000 * np.sin(2 * np.pi * np.arange(8192) / per_period + 0.5 * np.pi)
    assert check(recording(x + 1e-3 * noise())) == ()


def test_a_signal_that_rests_at_one_end_of_its_range_is_not_clipping():
    t = time_s() % 0.5
    assert check(recording(np.exp(-40 * t) * np.sin(2 * np.pi * 200 * t) ** 2 + 1e-4 * noise())) == ()


def test_an_impact_alone_is_not_clipping():
    x = 0.1 * noise()
    x[4000:4005] = [20, 60, 100, 55, 15]
    assert check(recording(x)) == ()


@pytest.mark.parametrize("one_side", [False, True])
def test_clipping_says_share_and_place(one_side):
    x = np.clip(noise(), -9 if one_side else -1.5, 1.5)
    x[:2048] *= 0.3
    (finding,) = check(recording(x, start_s=10.0))
    assert (finding.kind, finding.refuse) == ("clipping", True)
    assert finding.value == pytest.approx((np.abs(x) == 1.5).mean(), rel=0.05)
    assert 11.0 <= finding.start_s < 11.2
    assert 13.9 < finding.end_s <= 14.0


def test_a_few_clipped_samples_are_noted_not_refused():
    (finding,) = check(recording(np.clip(noise(), -3.0, 3.0)))
    assert (finding.kind, finding.refuse) == ("clipping", False)


@pytest.mark.parametrize("value", [0.0, None], ids=["zeros", "held"])
def test_a_dropout_is_found_where_it_is(value):
    x = noise()
    x[3000:3100] = x[2999] if value is None else value
    (finding,) = check(recording(x))
    assert (finding.kind, finding.refuse) == ("dropout", True)
    assert finding.start_s == pytest.approx(3000 / RATE_HZ, abs=1 / RATE_HZ)
    assert finding.end_s == pytest.approx(3100 / RATE_HZ, abs=1 / RATE_HZ)


def test_a_cable_that_breaks_leaves_only_electronic_noise():
    x = noise()
    x[6000:] = 1e-5 * noise(2192, 1)
    (finding,) = check(recording(x))
    assert finding.kind == "dropout"
    assert finding.start_s == pytest.approx(6000 / RATE_HZ, abs=32 / RATE_HZ)


@pytest.mark.parametrize("x", [np.full(4096, 3.2), 5.0 + (noise(4096) > 0)], ids=["constant", "last bit"])
def test_flat_line(x):
    assert kinds(check(recording(x))) == {"flat_line"}


def test_one_value_that_is_no_number_refuses():
    x = noise()
    x[1024] = np.nan
    (finding,) = check(recording(x))
    assert (finding.kind, finding.refuse, finding.start_s, finding.end_s) == ("gap", True, 0.5, 1025 / RATE_HZ)


def test_drift_against_a_slow_vibration():
    assert kinds(check(recording(noise() + 40 * time_s() / 4))) == {"drift"}
    assert kinds(check(recording(np.sin(2 * np.pi * 1.0 * time_s()) + 0.1 * noise()))) == set()


def hum(frequency_hz, power=5.0):
    lines = sum(a * np.sin(2 * np.pi * k * frequency_hz * time_s() + k) for k, a in ((1, 1.0), (2, 0.4), (3, 0.6)))
    return np.sqrt(power) * lines / lines.std()


@pytest.mark.parametrize("mains_hz", [49.96, 50.0, 60.03])
def test_hum_that_dominates_is_refused_and_weak_hum_noted(mains_hz):
    assert kinds(check(recording(noise() + hum(mains_hz)))) == {"mains_hum"}
    (weak,) = check(recording(noise() + hum(mains_hz, power=0.2)))
    assert (weak.kind, weak.refuse) == ("mains_hum", False)
    assert weak.value == pytest.approx(0.2 / 1.2, rel=0.15)


@pytest.mark.parametrize("motor_hz", [48.5, 49.7, 50.4, 59.4])
def test_a_motor_that_slips_is_not_hum(motor_hz):
    assert check(recording(noise() + hum(motor_hz))) == ()


def test_one_strong_line_at_100_hz_is_not_hum():
    x = noise() + 5 * np.sin(2 * np.pi * 100 * time_s()) + 5 * np.sin(2 * np.pi * 150 * time_s())
    assert check(recording(x)) == ()


@pytest.mark.parametrize(("scale", "unit"), [(1e6, "m/s2"), (1e-9, "m/s2"), (1e3, "m/s"), (1e5, "V")])
def test_implausible_levels_name_the_unit(scale, unit):
    (finding,) = check(recording(scale * noise(), unit=unit))
    assert (finding.kind, finding.refuse) == ("implausible", True)
    assert unit in finding.remedy


def test_the_input_specification_is_compared():
    spec = InputSpec(RATE_HZ, "m/s2", window_s=4.0, channel="x")
    assert check(recording(noise()), spec) == ()
    assert kinds(check(recording(noise()[:4000]), spec)) == {"too_short"}
    assert kinds(check(recording(noise(), unit="m/s"), spec)) == {"other_unit"}
    assert kinds(check(recording(noise(), unit="arbitrary"), spec)) == set()
    assert kinds(check(recording(noise(), channel="y"), spec), refused=False) == {"other_channel"}
    (rate,) = (f for f in check(recording(noise(), 4096.0), spec) if f.kind == "other_rate")
    assert "--resample 2048" in rate.remedy
    assert (rate.value, rate.limit) == (4096.0, 2048.0)


def test_what_is_quieter_or_duller_than_anything_seen_is_refused_and_louder_is_said():
    spec = InputSpec.learn([recording(a * noise(seed=k)) for k, a in enumerate((1.0, 2.0))], 4.0)
    dull = np.convolve(noise(), np.ones(40) / 6, "same")
    assert kinds(check(recording(0.05 * noise()), spec)) == {"low_level"}
    assert kinds(check(recording(dull), spec)) == {"low_high_share"}
    assert kinds(check(recording(40 * noise()), spec)) == set()
    assert kinds(check(recording(40 * noise()), spec), refused=False) == {"high_level"}


def test_short_recordings_are_refused_not_judged():
    for n in (0, 1, 64, 127):
        assert kinds(check(recording(noise(n)))) == {"too_short"}
    assert check(recording(noise(128))) == ()


def test_a_long_recording_is_checked_in_blocks_with_one_finding_a_kind():
    x = noise(4 * 2**15)
    x[40_000:40_100] = 0
    x[100_000:100_100] = 0
    (finding,) = check(recording(x), settings=QualitySettings(block_samples=2**15))
    assert finding.kind == "dropout"
    assert finding.start_s == pytest.approx(40_000 / RATE_HZ)
    assert finding.end_s == pytest.approx(100_100 / RATE_HZ)


@given(st.sampled_from([(2048.0, 1024.0), (51200.0, 12000.0), (1000.0, 1500.0), (25600.0, 10240.0)]))
@settings(max_examples=8, deadline=None)
def test_resampling_keeps_lines_below_the_new_nyquist_and_removes_those_above(rates):
    old, new = rates
    t = np.arange(int(4 * old)) / old
    line_hz, above_hz = 0.1 * min(rates), 0.45 * old
    x = np.sin(2 * np.pi * line_hz * t) + (np.sin(2 * np.pi * above_hz * t) if new < 0.9 * old else 0)
    y = resample(recording(x + 7.0, old), new)
    assert y.sampling_rate_hz == new
    assert y.duration_s == pytest.approx(4.0, abs=2 / new)
    middle = slice(len(y.samples) // 4, 3 * len(y.samples) // 4)
    expected = 7.0 + np.sin(2 * np.pi * line_hz * np.arange(len(y.samples)) / new)
    assert np.abs(y.samples - expected)[middle].max() < 0.01


def test_resampling_is_written_down_and_keeps_the_type():
    item = recording(noise().astype(np.float32))
    down, up = resample(item, 1024.0), resample(item, 4096.0)
    assert "2048 Hz to 1024 Hz" in down.history[0]
    assert "nothing was measured above 1024 Hz" in up.history[0]
    assert down.samples.dtype == np.float32
    assert resample(item, RATE_HZ) is item
    assert item.history == ()


@pytest.mark.parametrize("rate_hz", [0.0, -5.0, float("nan"), float("inf"), 1e-3, 1e9])
def test_rates_out_of_reach_are_refused_with_a_remedy(rate_hz):
    with pytest.raises(SignalError) as error:
        resample(recording(noise()), rate_hz)
    assert error.value.remedy


def test_a_ratio_with_too_large_terms_offers_the_nearest():
    with pytest.raises(SignalError, match="no ratio of integers up to 50") as error:
        resample(recording(noise()), 1999.0, max_term=50)
    assert "Ask for 1999.2381 Hz" in error.value.remedy
