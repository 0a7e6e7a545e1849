"""Rigs of wide ranges: reproducible, varied, and such that the integrator can follow them."""

import numpy as np
import pytest

from camvib.simulation.excitation import ExcitationFamily
from camvib.simulation.fleet import simulate_batch
from camvib.simulation.wide_range import draw_rig


def test_a_rig_is_the_same_each_time_and_no_two_are_alike() -> None:
    assert draw_rig(5, 3) == draw_rig(5, 3)
    rigs = [draw_rig(5, number) for number in range(40)]
    first_hz = np.array([rig.plan.spec(0).beam.natural_frequencies_hz(1)[0] for rig in rigs])
    assert len({rig.plan.seed for rig in rigs}) == 40
    assert first_hz.min() < 6 < 40 < first_hz.max()
    assert len({rig.image for rig in rigs}) > 8
    assert any(rig.plan.family.excitation.sweep != (1.0, 1.0) for rig in rigs)


def test_recordings_are_finite_and_a_healthy_one_is_its_twin() -> None:
    for number in range(3):
        batch = simulate_batch(draw_rig(5, number).plan, workers=1)
        assert np.isfinite(batch.acceleration).all()
        healthy = batch.labels == "healthy"
        assert healthy.any()
        assert (batch.acceleration[healthy] == batch.twin[healthy]).all()
        assert (batch.acceleration[~healthy] != batch.twin[~healthy]).any(axis=1).all()


def test_a_run_up_ends_faster_than_it_starts() -> None:
    family = ExcitationFamily(
        level_m_s2=(1.0, 1.0), drive_hz=(20.0, 20.0), drift=(0.0, 0.0), drive_share=(50.0, 50.0),
        knock_probability=0.0, sweep=(3.0, 3.0),
    )  # fmt: skip
    motion = family.draw(np.random.default_rng(0), 4.0, 4 * 8192)
    hz = np.fft.rfftfreq(8192, 1 / 8192)
    low = (hz > 5) & (hz < 75)
    start, end = (np.abs(np.fft.rfft(part))[low] for part in (motion[:8192], motion[-8192:]))
    centre = [float(np.sum(hz[low] * part**2) / np.sum(part**2)) for part in (start, end)]
    assert centre[1] > 1.2 * centre[0]


def test_a_family_without_a_run_up_draws_what_it_always_drew() -> None:
    motion = ExcitationFamily().draw(np.random.default_rng(7), 0.5, 4096)
    rng = np.random.default_rng(7)
    drawn = ExcitationFamily(sweep=(1.0, 1.0)).draw(rng, 0.5, 4096)
    assert drawn == pytest.approx(motion, abs=0)
