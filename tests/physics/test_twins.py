"""A twin differs from its recording by the fault alone; evidence is where they differ."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camvib.simulation.excitation import ExcitationFamily
from camvib.simulation.faults import FAULTS, BreathingCrack, Fault, OpenCrack, StopImpact, TipMass
from camvib.simulation.fleet import FleetPlan, simulate_batch
from camvib.simulation.integrate import FILTER_SPAN
from camvib.simulation.twins import RecordingSpec, evidence_mask, noise_floor, render, simulate


def spec_with(*faults: Fault, seed: int = 5, **changes: object) -> RecordingSpec:
    return replace(FleetPlan(1, seed).spec(0), faults=faults, duration_s=1.0, **changes)


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10_000))
def test_without_a_fault_the_twin_is_the_recording(seed: int) -> None:
    recording, twin = simulate(spec_with(seed=seed))
    np.testing.assert_array_equal(recording, twin)


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10_000), st.floats(0.1, 0.6))
def test_before_the_stop_swings_in_nothing_differs(seed: int, start_s: float) -> None:
    recording, twin = simulate(spec_with(StopImpact(100.0, 0.5, ((start_s, 1.0),)), seed=seed))
    onset = int(start_s * 4096) - FILTER_SPAN  # the decimation filter looks that far ahead
    np.testing.assert_array_equal(recording[:onset], twin[:onset])
    assert np.abs(recording[onset:] - twin[onset:]).max() > 0.1 * twin.std()


@pytest.mark.parametrize("kind", [*FAULTS, OpenCrack], ids=lambda kind: kind.label)
def test_every_drawn_fault_changes_the_recording_within_reason(kind: type[Fault]) -> None:
    for seed in range(4):
        recording, twin = simulate(spec_with(kind.draw(np.random.default_rng(seed), 1.0), seed=seed))
        assert np.isfinite(recording).all()
        assert 0.02 < np.std(recording - twin) / twin.std() < 5


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10_000), st.sampled_from([2.0, 8.0, 0.25]))
def test_faults_scale_with_the_level(seed: int, factor: float) -> None:
    """Gaps follow the response, so that no class can be told by its level."""
    fault = FAULTS[seed % len(FAULTS)].draw(np.random.default_rng(seed), 1.0)
    quiet, loud = (
        simulate(spec_with(fault, seed=seed, excitation=ExcitationFamily(level_m_s2=(level, level))))[0]
        for level in (1.0, factor)
    )
    np.testing.assert_allclose(loud, factor * quiet, atol=1e-4 * factor * quiet.std())


def test_the_sensor_noise_has_the_asked_ratio() -> None:
    spec = spec_with(seed=2, snr_db=15.0)
    noisy = render(spec, [()])
    clean = render(replace(spec, snr_db=200.0), [()])
    noise = noisy.acceleration[0].astype(float) - clean.acceleration[0]
    assert noise.std() == pytest.approx(noisy.noise_rms, rel=0.05)
    assert 20 * np.log10(clean.acceleration[0].std() / noise.std()) == pytest.approx(15.0, abs=0.4)


def test_two_faults_can_be_switched_off_one_at_a_time() -> None:
    crack, mass = BreathingCrack(0.1, 0.6), TipMass(0.05)
    both, no_crack, no_mass, healthy = render(
        spec_with(crack, mass), [(crack, mass), (mass,), (crack,), ()]
    ).acceleration
    np.testing.assert_array_equal(no_mass, simulate(spec_with(crack))[0])
    np.testing.assert_array_equal(no_crack, simulate(spec_with(mass))[0])
    np.testing.assert_array_equal(healthy, simulate(spec_with(crack))[1])
    assert min(np.std(both - other) for other in (no_crack, no_mass)) > 0.05 * healthy.std()


def test_a_batch_of_two_fault_recordings_names_both() -> None:
    batch = simulate_batch(FleetPlan(7, 4, recordings_per_specimen=7, duration_s=0.5, faults_per_recording=2))
    assert set(batch.labels) == {
        "healthy", "crack+loose_clamp", "crack+impact", "crack+tip_mass",
        "loose_clamp+impact", "loose_clamp+tip_mass", "impact+tip_mass",
    }  # fmt: skip
    assert batch.one_off.shape == (7, 2, 2048)
    healthy = list(batch.labels).index("healthy")
    np.testing.assert_array_equal(batch.acceleration[healthy], batch.twin[healthy])


def slow_mask(fault: np.ndarray, twin: np.ndarray, floor: float) -> np.ndarray:
    """Evidence cell by cell: the protocol in words."""
    padded = [np.pad(power, 1, mode="symmetric") for power in (fault, twin)]
    mask = np.zeros(fault.shape, int)
    for i, j in np.ndindex(fault.shape):
        a, b = (power[i : i + 3, j : j + 3].mean() for power in padded)
        if max(a, b) > floor and abs(10 * np.log10(a / b)) > 6:
            mask[i, j] = 1 if a > b else -1
    return mask


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.floats(0.05, 5))
def test_evidence_mask_is_the_protocol(seed: int, floor: float) -> None:
    fault, twin = np.random.default_rng(seed).lognormal(0, 2.5, (2, 12, 9))
    mask = evidence_mask(fault, twin, floor)
    np.testing.assert_array_equal(mask, slow_mask(fault, twin, floor))
    np.testing.assert_array_equal(evidence_mask(twin, fault, floor), -mask)
    np.testing.assert_array_equal(evidence_mask(np.stack([fault, twin]), np.stack([twin, twin]), floor)[0], mask)


def test_silence_in_both_is_no_evidence() -> None:
    assert not evidence_mask(np.zeros((5, 5)), np.zeros((5, 5)), 0.0).any()


def test_white_noise_lies_below_the_floor_on_average() -> None:
    rms, rate = 0.3, 4096.0
    noise = rms * np.random.default_rng(0).standard_normal(1 << 16)
    density = 2 * np.abs(np.fft.rfft(noise)) ** 2 / (len(noise) * rate)
    assert noise_floor(rms, rate) == pytest.approx(2 * density.mean(), rel=0.02)
