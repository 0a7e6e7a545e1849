"""Rigs of very wide ranges: what a change network is trained on that has to serve a machine nobody simulated.

A rig here is a cantilever of any size, material, clamp and sensor place, on any base: quiet or loud, with a steady
drive, a drifting one, a run-up, or none. Training on more variety than the world has is domain randomisation [1]_.

References
----------
.. [1] J. Tobin et al. Domain randomization for transferring deep neural networks from simulation to the real world.
   IROS 2017. arXiv:1703.06907.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camvib.settings import ImageSettings
from camvib.simulation.beam import Cantilever
from camvib.simulation.excitation import ExcitationFamily, Range, log_uniform
from camvib.simulation.fleet import Family, FleetPlan

RECORDINGS = 10  # of each rig, of one specimen
_RIGS_A_SEED = 100_000  # plans of different seeds never share a seed
# Young's modulus in Pa and density in kg/m³: steel, aluminium, brass, titanium, glass fibre, acrylic.
_MATERIALS = ((205e9, 7850.0), (70e9, 2700.0), (100e9, 8500.0), (110e9, 4500.0), (30e9, 1900.0), (3.2e9, 1190.0))


@dataclass(frozen=True)
class Rig:
    """One rig, and the image that its recordings are seen on.

    Attributes
    ----------
    plan : FleetPlan
        `RECORDINGS` recordings of one specimen.
    image : ImageSettings
        Of 128 × 128 cells; window, frame length, frequency axis and band differ from rig to rig.
    """

    plan: FleetPlan
    image: ImageSettings


def draw_rig(seed: int, number: int) -> Rig:
    """Draw rig `number` of a seed; the same whatever the number of rigs.

    Parameters
    ----------
    seed, number : int
    """
    rng = np.random.default_rng([seed, number])
    family = Family(
        beam=_beam(rng),
        geometry_spread=0.03,
        daily_modulus_spread=log_uniform(rng, 0.001, 0.02),
        clamp_kappa=_wider(rng, 15, 600, 1.5),
        damping_ratio=_wider(rng, 0.001, 0.02, 3.0),
        sensor_mass_ratio=_wider(rng, 0.001, 0.05, 1.2),
        snr_db=_range(rng, 5, 30, 2, 15),
        excitation=_excitation(rng),
    )
    return Rig(FleetPlan(RECORDINGS, seed * _RIGS_A_SEED + number, RECORDINGS, family=family), _image(rng))


def _beam(rng: np.random.Generator) -> Cantilever:
    modulus, density = _MATERIALS[rng.integers(len(_MATERIALS))]
    length = log_uniform(rng, 0.12, 1.0)
    return Cantilever(
        length,
        length * rng.uniform(0.03, 0.15),
        length * log_uniform(rng, 0.003, 0.02),
        modulus,
        density,
        sensor_position=1.0 if rng.random() < 0.4 else rng.uniform(0.25, 1.0),
    )


def _excitation(rng: np.random.Generator) -> ExcitationFamily:
    run_up = rng.random() < 0.2
    low = rng.uniform(-0.3, 1.0)
    return ExcitationFamily(
        level_m_s2=(0.3, 3.0),
        band_hz=(log_uniform(rng, 1, 30), log_uniform(rng, 400, 2040)),
        tilt=(low, low + rng.uniform(0.05, 0.6)),
        drive_hz=_wider(rng, 5, 150, log_uniform(rng, 1.02, 2.5)),
        drift=_wider(rng, 0.0005, 0.02, 5.0),
        drive_share=(0.0, 0.0) if rng.random() < 0.25 else _wider(rng, 0.05, 1.5, 3.0),
        knock_probability=rng.uniform(0, 0.8),
        knocks=(1, int(rng.integers(1, 9))),
        sweep=(log_uniform(rng, 0.4, 0.9), log_uniform(rng, 1.1, 3.0)) if run_up else (1.0, 1.0),
    )


def _image(rng: np.random.Generator) -> ImageSettings:
    window_s = float(rng.choice([4.0, 4.0, 4.0, 2.0, 0.9]))
    fraction = float(rng.choice([1 / 16, 1 / 16, 1 / 16, 1 / 8, 1 / 4, 0.44]))
    return ImageSettings.model_validate(
        {
            "window_s": window_s,
            "fft_s": window_s * max(fraction, 0.06 / window_s),
            "frequency_axis": "linear" if rng.random() < 0.2 else "log",
            "high_hz": float(rng.choice([1843.2, 1843.2, 1843.2, 1000.0, 500.0])),
        }
    )


def _wider(rng: np.random.Generator, low: float, high: float, ratio: float) -> Range:
    """A log-uniform place with a range above it of up to `ratio` to one."""
    start = log_uniform(rng, low, high)
    return start, start * float(rng.uniform(1, ratio))


def _range(rng: np.random.Generator, low: float, high: float, narrow: float, wide: float) -> Range:
    start = float(rng.uniform(low, high))
    return start, start + float(rng.uniform(narrow, wide))
