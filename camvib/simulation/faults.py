"""Faults of a cantilever, each a few dimensionless numbers, so that the same fault fits beams of any size.

A fault may change the beam itself (`alter`) and may add one-sided springs to its modal model (`springs`).
Gaps and preloads are in multiples of the healthy response, which the twin's run measures: a stop is set to
where the beam reaches it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from camvib.simulation.beam import Cantilever, Crack, Modes
from camvib.simulation.excitation import log_uniform
from camvib.simulation.integrate import OneSidedSpring


class Fault(Protocol):
    """What every fault can do."""

    label: ClassVar[str]

    @classmethod
    def draw(cls, rng: np.random.Generator, duration_s: float) -> Fault:
        """Draw a fault of visible but moderate severity."""

    def alter(self, beam: Cantilever) -> Cantilever:
        """Return the beam with the linear part of the fault."""

    def probe(self, modes: Modes) -> NDArray[np.float64] | None:
        """What is measured on the healthy beam to set gaps by, per modal coordinate, shape (n,); None: nothing."""

    def springs(self, beam: Cantilever, n_modes: int, rms: float, rms_rate: float) -> tuple[OneSidedSpring, ...]:
        """Contact laws on the altered beam's first `n_modes` modes; `rms` and `rms_rate` are those of the probe."""


class _Linear:
    """A fault without contact."""

    def alter(self, beam: Cantilever) -> Cantilever:
        return beam

    def probe(self, modes: Modes) -> NDArray[np.float64] | None:
        return None

    def springs(self, beam: Cantilever, n_modes: int, rms: float, rms_rate: float) -> tuple[OneSidedSpring, ...]:
        return ()


@dataclass(frozen=True)
class BreathingCrack:
    """A crack that opens while the bending moment pulls on it and closes under pressure.

    Attributes
    ----------
    position, depth_ratio : float
        As in `Crack`.
    preload : float
        Moment at which it opens, over the RMS moment: below 0 it stands open at rest.
    """

    label: ClassVar[str] = "crack"
    position: float
    depth_ratio: float
    preload: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator, duration_s: float) -> BreathingCrack:
        """Draw a crack."""
        return cls(rng.uniform(0.04, 0.55), rng.uniform(0.4, 0.72), rng.uniform(-0.4, 0.4))

    def alter(self, beam: Cantilever) -> Cantilever:
        """Return the beam: a closed crack changes nothing."""
        return beam

    def probe(self, modes: Modes) -> NDArray[np.float64]:
        """Bending moment at the crack."""
        return modes.bending_moment(self.position)

    def springs(self, beam: Cantilever, n_modes: int, rms: float, rms_rate: float) -> tuple[OneSidedSpring, ...]:
        """Soften the beam while the crack is open.

        The hinge's rotation θ follows the moment at once: minimising ½ qᵀΩ²q − θ mᵀq + ½ (k + S) θ² over θ
        leaves −½ (mᵀq)² / (k + S). With S = Σ m²/ω² over the modes kept, the static compliance that this adds
        is exactly that of the hinge, however few the modes.
        """
        modes = beam.modes
        moment = self.probe(modes)[:n_modes]
        own = np.sum((moment / modes.angular_frequency_rad_s[:n_modes]) ** 2)
        softening = -1 / (beam.crack_stiffness_nm_per_rad(self.depth_ratio) + own)
        return (OneSidedSpring(moment, float(softening), self.preload * rms),)


@dataclass(frozen=True)
class OpenCrack(_Linear):
    """A notch that never closes: `position` and `depth_ratio` as in `Crack`."""

    label: ClassVar[str] = "open_crack"
    position: float
    depth_ratio: float

    @classmethod
    def draw(cls, rng: np.random.Generator, duration_s: float) -> OpenCrack:
        """Draw a notch."""
        return cls(rng.uniform(0.04, 0.55), rng.uniform(0.3, 0.6))

    def alter(self, beam: Cantilever) -> Cantilever:
        """Return the beam with the crack's rotational spring."""
        return beam.altered(crack=Crack(self.position, self.depth_ratio))


@dataclass(frozen=True)
class LooseClamp:
    """A clamp that holds softly within its free play and rattles against its stops beyond.

    Attributes
    ----------
    kappa : float
        Stiffness left within the play, k L / (E I).
    contact_kappa : float
        Stiffness that is added beyond the play.
    play : float
        Half of the free play over half the RMS rotation that the softer clamp would have.
    """

    label: ClassVar[str] = "loose_clamp"
    kappa: float
    contact_kappa: float
    play: float

    @classmethod
    def draw(cls, rng: np.random.Generator, duration_s: float) -> LooseClamp:
        """Draw a loose clamp."""
        return cls(log_uniform(rng, 9, 43), log_uniform(rng, 18, 90), rng.uniform(0.2, 1.2))

    def alter(self, beam: Cantilever) -> Cantilever:
        """Return the beam with the softer clamp."""
        return beam.altered(clamp_stiffness_nm_per_rad=beam.clamp_stiffness(self.kappa))

    def probe(self, modes: Modes) -> NDArray[np.float64]:
        """Moment in the clamp: over a stiffness it is the rotation, however stiff the clamp was."""
        return modes.bending_moment(0.0)

    def springs(self, beam: Cantilever, n_modes: int, rms: float, rms_rate: float) -> tuple[OneSidedSpring, ...]:
        """Return one stop for each direction of rotation."""
        rotation = beam.modes.root_rotation()
        stiffness = _in_series(beam.clamp_stiffness(self.contact_kappa), rotation, beam.modes, n_modes)
        gap = 0.5 * self.play * rms / beam.clamp_stiffness_nm_per_rad
        return tuple(OneSidedSpring(side * rotation[:n_modes], stiffness, gap) for side in (1.0, -1.0))


@dataclass(frozen=True)
class StopImpact:
    """A stop that swings in beside the beam and is struck for a while.

    Attributes
    ----------
    stiffness_ratio : float
        Stiffness of the stop over the beam's tip stiffness 3 E I / L³.
    gap : float
        Distance over the RMS deflection there.
    windows_s : tuple of (start, end)
        When it is in place, in seconds of the recording.
    dissipation : float
        Loss of the contact, per RMS velocity.
    position : float
        Place over the length, 0 to 1.
    """

    label: ClassVar[str] = "impact"
    stiffness_ratio: float
    gap: float
    windows_s: tuple[tuple[float, float], ...]
    dissipation: float = 0.2
    position: float = 1.0

    @classmethod
    def draw(cls, rng: np.random.Generator, duration_s: float) -> StopImpact:
        """Draw one or two stays of the stop, each a tenth to a third of the recording."""
        starts = rng.uniform(-0.05, 0.9, rng.integers(1, 3)) * duration_s
        lengths = rng.uniform(0.1, 0.33, len(starts)) * duration_s
        windows = tuple((float(max(0, a)), float(min(a + b, duration_s))) for a, b in zip(starts, lengths, strict=True))
        return cls(log_uniform(rng, 15, 240), rng.uniform(0.6, 1.6), windows, rng.uniform(0.05, 0.4))

    def alter(self, beam: Cantilever) -> Cantilever:
        """Return the beam: the stop touches it only."""
        return beam

    def probe(self, modes: Modes) -> NDArray[np.float64]:
        """Deflection at the stop."""
        return modes.deflection(self.position)

    def springs(self, beam: Cantilever, n_modes: int, rms: float, rms_rate: float) -> tuple[OneSidedSpring, ...]:
        """Return the stop."""
        deflection = self.probe(beam.modes)
        stiffness = _in_series(self.stiffness_ratio * beam.tip_stiffness_n_per_m, deflection, beam.modes, n_modes)
        gap, loss = self.gap * rms, self.dissipation / rms_rate
        return (OneSidedSpring(deflection[:n_modes], stiffness, gap, loss, self.windows_s),)


@dataclass(frozen=True)
class TipMass(_Linear):
    """A mass added at the tip: `mass_ratio` is its share of the beam's mass."""

    label: ClassVar[str] = "tip_mass"
    mass_ratio: float

    @classmethod
    def draw(cls, rng: np.random.Generator, duration_s: float) -> TipMass:
        """Draw a mass."""
        return cls(log_uniform(rng, 0.011, 0.1))

    def alter(self, beam: Cantilever) -> Cantilever:
        """Return the beam with the mass on it."""
        return beam.altered(tip_mass_kg=beam.tip_mass_kg + self.mass_ratio * beam.mass_kg)


FAULTS: tuple[type[Fault], ...] = (BreathingCrack, LooseClamp, StopImpact, TipMass)
HEALTHY = "healthy"
LABELS = (HEALTHY, *(fault.label for fault in FAULTS))


def label_of(faults: tuple[Fault, ...]) -> str:
    """``"healthy"``, a fault's label, or two joined: ``"crack+impact"``."""
    return "+".join(fault.label for fault in faults) or HEALTHY


def _in_series(stiffness: float, coupling: NDArray[np.float64], modes: Modes, n_modes: int) -> float:
    """Contact stiffness in series with the static compliance of the modes left out."""
    left_out = np.sum((coupling[n_modes:] / modes.angular_frequency_rad_s[n_modes:]) ** 2)
    return float(stiffness / (1 + stiffness * left_out))
