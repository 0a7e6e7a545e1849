"""A recording and its healthy twin: same specimen, excitation, noise and knocks, only the fault switched off."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import ArrayLike, NDArray

from camvib.simulation.beam import Cantilever
from camvib.simulation.excitation import SHOP_FLOOR, ExcitationFamily
from camvib.simulation.faults import Fault, label_of
from camvib.simulation.integrate import Clock, ModalModel, OneSidedSpring, Response, march

EVIDENCE_DB = 6.0
FLOOR_FACTOR = 2.0  # the noise floor of the evidence mask, over the noise's mean power density
MAX_MODES = 24
_TINY = np.finfo(np.float64).tiny  # digital silence in both is no evidence
_EXCITATION, _NOISE = 0, 1  # random streams of one recording


@dataclass(frozen=True)
class Specimen:
    """One beam with its clamp and its sensor.

    Attributes
    ----------
    name : str
    beam : Cantilever
    damping_ratio : tuple of float
        Of each mode, at least `MAX_MODES` of them.
    sensor_gain : float
    """

    name: str
    beam: Cantilever
    damping_ratio: tuple[float, ...]
    sensor_gain: float = 1.0


@dataclass(frozen=True)
class RecordingSpec:
    """Everything that a simulated recording follows from.

    Attributes
    ----------
    specimen : Specimen
    faults : tuple of Fault
        Empty: healthy.
    excitation : ExcitationFamily
    seed : tuple of int
        Of excitation and noise.
    modulus_factor : float
        Young's modulus of the day over that of the specimen: temperature.
    snr_db : float
        Mean square of the healthy signal over that of the sensor's white noise.
    duration_s, sampling_rate_hz : float
    """

    specimen: Specimen
    faults: tuple[Fault, ...] = ()
    excitation: ExcitationFamily = SHOP_FLOOR
    seed: tuple[int, ...] = (0,)
    modulus_factor: float = 1.0
    snr_db: float = 20.0
    duration_s: float = 4.0
    sampling_rate_hz: float = 4096.0

    @property
    def label(self) -> str:
        """``"healthy"``, a fault's label, or two joined by a plus."""
        return label_of(self.faults)

    @property
    def beam(self) -> Cantilever:
        """The healthy beam at the day's temperature."""
        beam = self.specimen.beam
        return beam.altered(youngs_modulus_pa=beam.youngs_modulus_pa * self.modulus_factor)


@dataclass(frozen=True, eq=False)
class Rendering:
    """Recordings that differ in nothing but their faults.

    Attributes
    ----------
    acceleration : ndarray, shape (variants, n), float32
        m/s², as the sensor reads it, noise included.
    noise_rms : float
        m/s².
    """

    acceleration: NDArray[np.float32]
    noise_rms: float


def simulate(spec: RecordingSpec, clock: Clock | None = None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Make a recording and its healthy twin.

    Parameters
    ----------
    spec : RecordingSpec
    clock : Clock, optional
        Another internal rate; by default at least 32768 Hz.

    Returns
    -------
    recording, twin : ndarray, shape (n,), float32
        Absolute acceleration at the sensor, m/s².
    """
    recording, twin = render(spec, (spec.faults, ()), clock).acceleration
    return recording, twin


def render(spec: RecordingSpec, variants: Sequence[tuple[Fault, ...]], clock: Clock | None = None) -> Rendering:
    """Make one recording under several sets of faults; each set is a subset of `spec.faults`.

    Parameters
    ----------
    spec : RecordingSpec
    variants : sequence of tuple of Fault
        The empty tuple is the healthy twin.
    clock : Clock, optional

    Returns
    -------
    Rendering
    """
    clock = clock or Clock.at_least(spec.duration_s, spec.sampling_rate_hz)
    rng = np.random.default_rng([*spec.seed, _EXCITATION])
    base = spec.excitation.draw(rng, clock.steps * clock.step_s, clock.steps)
    beam = spec.beam
    n_modes = min(MAX_MODES, beam.modes.count_below(0.6 * spec.sampling_rate_hz))

    probes = {fault: fault.probe(beam.modes) for fault in spec.faults}
    watched = [fault for fault, probe in probes.items() if probe is not None]
    # A spring of no stiffness measures only; the healthy run tells where the contacts have to be.
    idle = tuple(OneSidedSpring(probe[:n_modes]) for probe in probes.values() if probe is not None)
    healthy = _run(spec, beam, n_modes, base, clock, idle)
    size = {fault: (rms, rate) for fault, rms, rate in zip(watched, healthy.rms, healthy.rms_rate, strict=True)}

    clean: dict[tuple[Fault, ...], NDArray[np.float64]] = {(): clock.decimate(healthy.acceleration)}
    for faults in dict.fromkeys(variants):
        if faults:
            altered = functools.reduce(lambda it, fault: fault.alter(it), faults, beam)
            springs = tuple(s for f in faults for s in f.springs(altered, n_modes, *size.get(f, (0.0, 0.0))))
            clean[faults] = clock.decimate(_run(spec, altered, n_modes, base, clock, springs).acceleration)

    gain = spec.specimen.sensor_gain
    noise_rms = float(gain * clean[()].std() * 10 ** (-spec.snr_db / 20))
    noise = noise_rms * np.random.default_rng([*spec.seed, _NOISE]).standard_normal(clock.samples)
    return Rendering(np.array([gain * clean[faults] + noise for faults in variants], np.float32), noise_rms)


def _run(
    spec: RecordingSpec,
    beam: Cantilever,
    n_modes: int,
    base: NDArray[np.float64],
    clock: Clock,
    springs: tuple[OneSidedSpring, ...],
) -> Response:
    modes = beam.modes
    model = ModalModel(
        modes.angular_frequency_rad_s[:n_modes],
        np.array(spec.specimen.damping_ratio[:n_modes]),
        modes.participation[:n_modes],
        modes.deflection(beam.sensor_position)[:n_modes],
    )
    gates = np.array([clock.gate(spring.windows_s) for spring in springs], np.float32).reshape(
        len(springs), clock.steps
    )
    return march(model, base, clock.step_s, springs, gates)


def noise_floor(noise_rms: ArrayLike, sampling_rate_hz: float) -> NDArray[np.float64]:
    """Floor of the evidence mask for white noise, in the one-sided power density unit²/Hz."""
    return FLOOR_FACTOR * 2 * np.square(noise_rms) / sampling_rate_hz


def evidence_mask(
    power_fault: NDArray[np.floating], power_twin: NDArray[np.floating], floor: ArrayLike
) -> NDArray[np.int8]:
    """Where the fault shows, with its sign: +1 power gained, −1 power gone missing, 0 no evidence.

    Both are smoothed by a 3 × 3 mean; a cell is evidence if their ratio exceeds 6 dB either way and the larger
    of them is above the floor.

    Parameters
    ----------
    power_fault, power_twin : ndarray, shape (..., rows, columns)
        Power spectrograms on the image grid (not decibels), in the same unit.
    floor : array_like, broadcastable to them
        See `noise_floor`.

    Returns
    -------
    ndarray, shape (..., rows, columns), int8
    """
    fault, twin = (
        np.maximum(scipy.ndimage.uniform_filter(np.asarray(power, np.float64), 3, axes=(-2, -1)), _TINY)
        for power in (power_fault, power_twin)
    )
    ratio_db = 10 * np.log10(fault / twin)
    seen = (np.abs(ratio_db) > EVIDENCE_DB) & (np.maximum(fault, twin) > floor)
    return np.where(seen, np.sign(ratio_db), 0).astype(np.int8)
