"""Time stepping: damping, transfer function, contacts, convergence."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camvib.simulation.beam import Cantilever, Crack
from camvib.simulation.faults import BreathingCrack, Fault, LooseClamp, StopImpact
from camvib.simulation.fleet import FleetPlan
from camvib.simulation.integrate import Clock, ModalModel, OneSidedSpring, march
from camvib.simulation.twins import simulate

BEAM = Cantilever(0.5, 0.03, 0.003, 205e9, 7850.0)
STEP_S = 1 / 32768


def model_of(beam: Cantilever, n: int, damping_ratio: float, sensor: np.ndarray | None = None) -> ModalModel:
    modes = beam.modes
    return ModalModel(
        modes.angular_frequency_rad_s[:n],
        np.full(n, damping_ratio),
        modes.participation[:n],
        modes.deflection(1.0)[:n] if sensor is None else sensor,
    )


def rising_crossings_s(signal: np.ndarray) -> np.ndarray:
    """Times at which a signal rises through zero, interpolated."""
    before = np.flatnonzero((signal[:-1] < 0) & (signal[1:] >= 0))
    return (before - signal[before] / (signal[before + 1] - signal[before])) * STEP_S


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
@pytest.mark.parametrize("damping_ratio", [0.002, 0.01, 0.05])
def test_released_mode_decays_at_its_damping_ratio(mode: int, damping_ratio: float) -> None:
    omega = BEAM.modes.angular_frequency_rad_s[mode]
    cycles = 10
    steps = round((cycles + 1.2) * 2 * np.pi / omega / STEP_S)
    free = march(model_of(BEAM, 4, damping_ratio), np.zeros(steps), STEP_S, start=1e-3 * np.eye(4)[mode]).acceleration
    period = 2 * np.pi / (omega * np.sqrt(1 - damping_ratio**2)) / STEP_S
    peaks = [np.max(np.abs(free[round((k + 0.25) * period) : round((k + 0.75) * period)])) for k in (0, cycles)]
    decrement = np.log(peaks[0] / peaks[1]) / cycles
    assert decrement == pytest.approx(2 * np.pi * damping_ratio / np.sqrt(1 - damping_ratio**2), rel=0.01)


@pytest.mark.parametrize("frequency_hz", [5.0, 61.0, 180.0, 700.0, 1400.0])
def test_steady_vibration_follows_the_transfer_function(frequency_hz: float) -> None:
    model = model_of(BEAM, 9, 0.05)
    turn = np.exp(2j * np.pi * frequency_hz * STEP_S * np.arange(round(6 / STEP_S)))
    response = march(model, turn.real, STEP_S).acceleration
    w, omega = 2 * np.pi * frequency_hz, model.angular_frequency_rad_s
    modal = -(w**2) * -model.participation / (omega**2 - w**2 + 2j * 0.05 * omega * w)
    expected = ((1 + model.sensor @ modal) * turn).real
    late = slice(round(5 / STEP_S), None)
    assert np.max(np.abs(response[late] - expected[late])) < 1e-3 * np.max(np.abs(expected[late]))


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**31), st.floats(-5, 5), st.floats(-5, 5))
def test_a_beam_without_contacts_is_linear(seed: int, alpha: float, beta: float) -> None:
    one, two = np.random.default_rng(seed).standard_normal((2, 4096))
    cracked = BEAM.altered(crack=Crack(0.2, 0.4))
    first, second, both = (
        march(model_of(cracked, 9, 0.01), base, STEP_S).acceleration for base in (one, two, alpha * one + beta * two)
    )
    np.testing.assert_allclose(both, alpha * first + beta * second, atol=1e-9 * np.abs(first).max())


@pytest.mark.parametrize(("position", "depth"), [(80 / 300, 0.3), (0.1, 0.5), (0.4, 0.6)])
def test_breathing_crack_swings_at_the_bilinear_frequency(position: float, depth: float) -> None:
    """Half a period closed, half a period open: f = 2 f_o f_c / (f_o + f_c)."""
    n = 8
    sensor = np.eye(n)[0]
    start = 1e-3 * sensor
    springs = BreathingCrack(position, depth).springs(BEAM, n, 0.0, 0.0)
    free = march(model_of(BEAM, n, 1e-4, sensor), np.zeros(round(4 / STEP_S)), STEP_S, springs, start=start)
    crossings = rising_crossings_s(free.acceleration)
    # High modes wriggle around each crossing: one a period is kept.
    closed = BEAM.natural_frequencies_hz(1)[0]
    kept = crossings[np.diff(crossings, prepend=-1) > 0.5 / closed]
    measured = (len(kept) - 1) / (kept[-1] - kept[0])
    opened = BEAM.altered(crack=Crack(position, depth)).natural_frequencies_hz(1)[0]
    assert measured == pytest.approx(2 * opened * closed / (opened + closed), rel=2e-3)
    assert opened * 1.002 < measured < closed * 0.998


def test_published_bilinear_frequency() -> None:
    opened, closed = 175.3, 185.1  # Shock and Vibration 2019, 7302057: model, crack at 80 mm, 6 mm deep
    omega_c, omega_o = 2 * np.pi * closed, 2 * np.pi * opened
    oscillator = ModalModel(np.array([omega_c]), np.array([0.0]), np.array([1.0]), np.array([1.0]))
    crack = OneSidedSpring(np.array([1.0]), omega_o**2 - omega_c**2)
    free = march(oscillator, np.zeros(32768), STEP_S, (crack,), start=np.array([1.0])).acceleration
    times = rising_crossings_s(free)
    assert (len(times) - 1) / (times[-1] - times[0]) == pytest.approx(180.1, abs=0.05)


def test_only_the_breathing_crack_makes_superharmonics() -> None:
    drive_hz = 16.0
    base = np.sin(2 * np.pi * drive_hz * STEP_S * np.arange(round(5 / STEP_S)))
    crack = BreathingCrack(0.15, 0.5)
    levels = {}
    for name, beam, springs in (
        ("healthy", BEAM, ()),
        ("open", BEAM.altered(crack=Crack(0.15, 0.5)), ()),
        ("breathing", BEAM, crack.springs(BEAM, 9, 0.0, 0.0)),
    ):
        response = march(model_of(beam, 9, 0.02), base, STEP_S, springs).acceleration[-32768:]
        spectrum = np.abs(np.fft.rfft(response))  # 1 s: whole cycles, 1 Hz lines
        levels[name] = spectrum[int(2 * drive_hz)] / spectrum[int(drive_hz)]
    assert levels["breathing"] > 0.01
    assert levels["healthy"] < 1e-4
    assert levels["open"] < 1e-4


@pytest.mark.parametrize(("dissipation", "kept_low", "kept_high"), [(0.0, 0.999, 1.001), (0.02, 0.05, 0.9)])
def test_bounces_keep_their_energy_unless_the_stop_dissipates(
    dissipation: float, kept_low: float, kept_high: float
) -> None:
    omega = 2 * np.pi * 20.0
    oscillator = ModalModel(np.array([omega]), np.array([0.0]), np.array([1.0]), np.array([1.0]))
    stop = OneSidedSpring(np.array([1.0]), 200 * omega**2, gap=0.3, dissipation=dissipation)
    free = march(oscillator, np.zeros(5 * 32768), STEP_S, (stop,), start=np.array([-1.0])).acceleration
    # Away from the stop the acceleration is −ω²q, so its peak is the amplitude.
    assert kept_low < free[-8192:].max() / free[:8192].max() < kept_high


@pytest.mark.parametrize(
    "fault",
    [BreathingCrack(0.1, 0.6), LooseClamp(12.0, 60.0, 0.6), StopImpact(150.0, 0.8, ((0.1, 0.8),))],
    ids=lambda fault: fault.label,
)
def test_contact_faults_converge_with_the_step(fault: Fault) -> None:
    spec = replace(FleetPlan(1, 11).spec(0), faults=(fault,), duration_s=1.0)
    finest = simulate(spec, Clock(1.0, 4096.0, 64))[0]
    error = {
        factor: np.linalg.norm(simulate(spec, Clock(1.0, 4096.0, factor))[0] - finest) / np.linalg.norm(finest)
        for factor in (4, 8, 16)
    }
    assert error[8] < 0.005  # 32768 Hz, the rate that fleets are made with
    assert error[16] < 0.6 * error[8] < 0.4 * error[4]


@settings(deadline=None, max_examples=20)
@given(st.floats(20, 1650))
def test_decimation_keeps_the_band(frequency_hz: float) -> None:
    clock = Clock.at_least(0.5, 4096.0)
    time_s = np.arange(clock.steps) * clock.step_s - clock.lead_in / clock.sampling_rate_hz
    kept = clock.decimate(np.sin(2 * np.pi * frequency_hz * time_s))
    expected = np.sin(2 * np.pi * frequency_hz * np.arange(clock.samples) / 4096.0)
    np.testing.assert_allclose(kept, expected, atol=5e-3)


@pytest.mark.parametrize("frequency_hz", [2200.0, 3000.0, 4100.0, 9000.0])
def test_decimation_does_not_alias(frequency_hz: float) -> None:
    clock = Clock.at_least(0.5, 4096.0)
    tone = np.sin(2 * np.pi * frequency_hz * np.arange(clock.steps) * clock.step_s)
    assert np.abs(clock.decimate(tone)).max() < 2e-3
