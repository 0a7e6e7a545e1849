"""Natural frequencies against theory and against published measurements."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camvib.diagnosis.rigs import load_rig
from camvib.errors import SettingsError
from camvib.simulation.beam import Cantilever, Crack
from camvib.simulation.faults import BreathingCrack, LooseClamp
from camvib.simulation.fleet import CANTILEVER, NOMINAL_BEAM, OTHER_RIG

STEEL = Cantilever(0.5, 0.03, 0.003, 205e9, 7850.0)
# Rizos, Aspragathos and Dimarogonas' beam; Young's modulus from its first measured frequency.
RIZOS = Cantilever(0.3, 0.02, 0.02, 205e9, 7850.0)
RIZOS = RIZOS.altered(youngs_modulus_pa=205e9 * (185.2 / RIZOS.natural_frequencies_hz(1)[0]) ** 2)


@pytest.mark.parametrize("beam", [STEEL, RIZOS, OTHER_RIG.beam])
def test_natural_frequencies_are_those_of_the_theory(beam: Cantilever) -> None:
    beta_l = np.array([1.8751, 4.6941, 7.8548, 10.9955])
    area_density = beam.density_kg_m3 * beam.width_m * beam.thickness_m
    expected = beta_l**2 / (2 * np.pi * beam.length_m**2) * np.sqrt(beam.bending_stiffness_nm2 / area_density)
    np.testing.assert_allclose(beam.natural_frequencies_hz(4), expected, rtol=1e-3)


def test_effective_modal_masses_of_a_shaken_base() -> None:
    fractions = STEEL.modes.participation**2 / STEEL.mass_kg
    np.testing.assert_allclose(fractions[:5], [0.6131, 0.1883, 0.0647, 0.0331, 0.0200], atol=1e-4)
    assert fractions.sum() == pytest.approx(1, abs=0.01)  # the clamped node keeps the rest


@pytest.mark.parametrize("mass_ratio", [0.01, 0.05, 0.1, 0.2, 0.5, 1.0])
def test_tip_mass_lowers_the_first_mode_by_the_rule(mass_ratio: float) -> None:
    loaded = STEEL.altered(tip_mass_kg=mass_ratio * STEEL.mass_kg)
    ratio = loaded.natural_frequencies_hz(1) / STEEL.natural_frequencies_hz(1)
    np.testing.assert_allclose(ratio, np.sqrt(0.2427 / (0.2427 + mass_ratio)), rtol=5e-3)


@pytest.mark.parametrize(("kappa", "change_percent"), [(100, -1.9), (50, -3.8), (20, -8.8), (10, -15.6), (5, -25.7)])
def test_soft_clamp_lowers_the_first_mode(kappa: float, change_percent: float) -> None:
    soft = STEEL.altered(clamp_stiffness_nm_per_rad=STEEL.clamp_stiffness(kappa))
    change = 100 * (soft.natural_frequencies_hz(1)[0] / STEEL.natural_frequencies_hz(1)[0] - 1)
    assert change == pytest.approx(change_percent, abs=0.06)


@pytest.mark.parametrize(
    ("x_mm", "depth_mm", "f1_hz", "f2_hz"),
    [(80, 2, 184.0, 1160.0), (80, 6, 174.7, 1155.3), (140, 2, 184.7, 1153.1),
     (140, 6, 181.2, 1092.9), (200, 2, 185.0, 1155.0), (200, 6, 184.3, 1106.3)],
)  # fmt: skip
def test_cracked_steel_beam_as_measured(x_mm: float, depth_mm: float, f1_hz: float, f2_hz: float) -> None:
    """Shock and Vibration 2019, 7302057, tables 1 and 3."""
    cracked = RIZOS.altered(crack=Crack(x_mm / 300, depth_mm / 20))
    ratio = cracked.natural_frequencies_hz(2) / RIZOS.natural_frequencies_hz(2)
    np.testing.assert_allclose(ratio, [f1_hz / 185.2, f2_hz / 1160.6], rtol=0.01)


def test_uncracked_steel_beam_as_measured() -> None:
    np.testing.assert_allclose(RIZOS.natural_frequencies_hz(2), [185.2, 1160.6], rtol=1e-3)


def test_softly_clamped_steel_strip_as_measured() -> None:
    strip = Cantilever(0.759, 0.05066, 0.00514, 200e9, 7850.0)
    soft = strip.altered(clamp_stiffness_nm_per_rad=strip.clamp_stiffness(20))
    np.testing.assert_allclose(soft.natural_frequencies_hz(3), [6.62, 41.4, 117.5], rtol=0.02)
    assert np.all(strip.natural_frequencies_hz(3) > 1.07 * np.array([6.62, 41.4, 117.5]))  # an ideal clamp is wrong


@pytest.mark.parametrize(("length_m", "f1_hz"), [(0.3, 16.493), (0.4, 9.383), (0.5, 6.02), (0.6, 4.25)])
def test_aluminium_strip_with_a_tip_mass_as_measured(length_m: float, f1_hz: float) -> None:
    strip = Cantilever(length_m, 0.05, 0.002, 70e9, 2700.0, tip_mass_kg=0.005)
    assert strip.natural_frequencies_hz(1)[0] == pytest.approx(f1_hz, rel=0.03)


@settings(deadline=None, max_examples=40)
@given(st.floats(0.05, 1), st.floats(0.05, 1), st.floats(2, 500), st.floats(0.05, 0.95), st.floats(0.1, 0.7))
def test_static_influence_is_reciprocal_and_exact(a: float, b: float, kappa: float, x_c: float, depth: float) -> None:
    """Deflection at b of a force at a: bending, plus the rotations that clamp and crack allow."""
    beam = STEEL.altered(clamp_stiffness_nm_per_rad=STEEL.clamp_stiffness(kappa), crack=Crack(x_c, depth))
    modes = beam.modes
    at_a, at_b = modes.deflection(a), modes.deflection(b)
    there = np.sum(at_a * at_b / modes.angular_frequency_rad_s**2)
    back = np.sum(at_b * at_a / modes.angular_frequency_rad_s**2)
    near, far, hinge = (x * beam.length_m for x in (min(a, b), max(a, b), x_c))
    exact = near**2 * (3 * far - near) / (6 * beam.bending_stiffness_nm2)
    exact += near * far / beam.clamp_stiffness_nm_per_rad
    exact += max(0, near - hinge) * max(0, far - hinge) / beam.crack_stiffness_nm_per_rad(depth)
    assert there == pytest.approx(back, rel=1e-12)
    # A force inside an element is interpolated: near the clamp that error counts against the beam's own scale.
    tip = beam.length_m**3 / (3 * beam.bending_stiffness_nm2)
    assert there == pytest.approx(exact, rel=2e-4, abs=1e-7 * tip)


@settings(deadline=None, max_examples=25)
@given(st.floats(0.04, 0.9), st.floats(0.1, 0.7))
def test_condensed_crack_has_the_frequencies_of_the_hinge(position: float, depth: float) -> None:
    """Nine modes of the intact beam with the crack law always open, against the finite elements with a hinge."""
    n = 9
    (law,) = BreathingCrack(position, depth).springs(STEEL, n, 1.0, 1.0)
    stiffness = np.diag(STEEL.modes.angular_frequency_rad_s[:n] ** 2) + law.stiffness * np.outer(
        law.coupling, law.coupling
    )
    condensed = np.sqrt(np.linalg.eigvalsh(stiffness)[:4]) / (2 * np.pi)
    hinged = STEEL.altered(crack=Crack(position, depth)).natural_frequencies_hz(4)
    np.testing.assert_allclose(condensed, hinged, rtol=1e-3)


@pytest.mark.parametrize("contact_kappa", [18.0, 90.0])
def test_clamp_in_contact_is_as_stiff_as_both_springs(contact_kappa: float) -> None:
    n = 9
    loose = LooseClamp(20.0, contact_kappa, 0.0)
    beam = loose.alter(STEEL)
    stop, _ = loose.springs(beam, n, 1.0, 1.0)
    stiffness = np.diag(beam.modes.angular_frequency_rad_s[:n] ** 2) + stop.stiffness * np.outer(
        stop.coupling, stop.coupling
    )
    in_contact = np.sqrt(np.linalg.eigvalsh(stiffness)[:4]) / (2 * np.pi)
    both = STEEL.altered(clamp_stiffness_nm_per_rad=STEEL.clamp_stiffness(20.0 + contact_kappa))
    np.testing.assert_allclose(in_contact, both.natural_frequencies_hz(4), rtol=1e-3)


def test_a_crack_at_the_root_looks_like_a_loose_clamp_and_one_at_the_second_modes_inflection_does_not() -> None:
    healthy = STEEL.natural_frequencies_hz(4)
    root, inflection = (
        STEEL.altered(crack=Crack(position, 0.3)).natural_frequencies_hz(4) / healthy - 1 for position in (0.02, 0.2)
    )
    assert root.max() < 0.4 * root.min() < 0  # every mode falls
    assert 0.05 * inflection[0] < inflection[1] < 0  # no bending moment there in the second mode


def test_the_rig_file_is_the_beam_that_fleets_are_drawn_around() -> None:
    rig = load_rig("cantilever")
    specimens = [CANTILEVER.specimen(str(i), np.random.default_rng(i)) for i in range(40)]
    frequencies = np.array([s.beam.natural_frequencies_hz(5) for s in specimens])
    named = np.array([hz for _, hz in rig.modes[:5]])
    assert NOMINAL_BEAM.length_m == 0.5
    assert np.all(np.abs(np.median(frequencies, axis=0) / named - 1) < 0.03)
    assert np.mean(np.abs(frequencies / named - 1) < rig.tolerance) > 0.8


@pytest.mark.parametrize(
    "wrong", [{"length_m": 0.0}, {"tip_mass_kg": -1.0}, {"sensor_position": 1.2}, {"youngs_modulus_pa": float("nan")}]
)
def test_an_impossible_beam_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong)) if "length" in next(iter(wrong)) else "beam"):
        STEEL.altered(**wrong)
