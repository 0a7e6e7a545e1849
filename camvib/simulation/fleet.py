"""Many specimens, many recordings: a labelled folder, or a batch of arrays in memory."""

from __future__ import annotations

import csv
import functools
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from camvib.errors import SettingsError
from camvib.simulation.beam import Cantilever
from camvib.simulation.excitation import SHOP_FLOOR, ExcitationFamily, Range, log_uniform
from camvib.simulation.faults import FAULTS, Fault
from camvib.simulation.twins import MAX_MODES, RecordingSpec, Rendering, Specimen, evidence_mask, noise_floor, render

CHANNEL, UNIT = "acceleration", "m/s2"
LABEL_COLUMNS = ("file", "label", "group", "channel", "sampling_rate_hz", "unit", "asset", "recorded_at")
_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
_SPECIMEN, _RECORDING, _FAULTS, _ORDER = range(4)  # random streams; _RECORDING is split again by the rendering
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


NOMINAL_BEAM = Cantilever(0.5, 0.03, 0.003, 205e9, 7850.0)  # as in data/rigs/cantilever.toml


@dataclass(frozen=True)
class Family:
    """The ranges that specimens and recordings are drawn from.

    Attributes
    ----------
    beam : Cantilever
        The nominal beam.
    geometry_spread, modulus_spread, gain_spread : float
        Half widths, relative, of length and thickness, of Young's modulus, of the sensor's gain.
    daily_modulus_spread : float
        The same for the modulus from one recording to the next: temperature.
    clamp_kappa : (low, high)
        Healthy clamp, k L / (E I), log-uniform.
    damping_ratio : (low, high)
        Of each mode, log-uniform.
    sensor_mass_ratio : (low, high)
        Mass of the sensor at the tip over the beam's.
    snr_db : (low, high)
    excitation : ExcitationFamily
    """

    beam: Cantilever = NOMINAL_BEAM
    geometry_spread: float = 0.03
    modulus_spread: float = 0.02
    gain_spread: float = 0.05
    daily_modulus_spread: float = 0.01
    clamp_kappa: Range = (108.0, 540.0)
    damping_ratio: Range = (0.003, 0.012)
    sensor_mass_ratio: Range = (0.008, 0.017)
    snr_db: Range = (10.0, 30.0)
    excitation: ExcitationFamily = SHOP_FLOOR

    def specimen(self, name: str, rng: np.random.Generator) -> Specimen:
        """Draw one specimen."""
        length, thickness = 1 + self.geometry_spread * rng.uniform(-1, 1, 2)
        beam = self.beam.altered(
            length_m=self.beam.length_m * length,
            thickness_m=self.beam.thickness_m * thickness,
            youngs_modulus_pa=self.beam.youngs_modulus_pa * (1 + self.modulus_spread * rng.uniform(-1, 1)),
        )
        beam = beam.altered(
            clamp_stiffness_nm_per_rad=beam.clamp_stiffness(log_uniform(rng, *self.clamp_kappa)),
            tip_mass_kg=beam.mass_kg * rng.uniform(*self.sensor_mass_ratio),
        )
        damping = tuple(log_uniform(rng, *self.damping_ratio) for _ in range(MAX_MODES))
        return Specimen(name, beam, damping, 1 + self.gain_spread * rng.uniform(-1, 1))


CANTILEVER = Family()
# A rig that no model is trained on, to test transfer: shorter, thicker, aluminium, the sensor inboard, another drive.
OTHER_RIG = Family(
    beam=Cantilever(0.35, 0.04, 0.004, 70e9, 2700.0, sensor_position=0.85),
    excitation=ExcitationFamily(
        level_m_s2=(1.0, 8.0), band_hz=(8.0, 1800.0), tilt=(0.4, 0.9), drive_hz=(48.0, 75.0), drive_share=(0.1, 0.8)
    ),
)


@dataclass(frozen=True)
class FleetPlan:
    """Which recordings a fleet holds; `spec(i)` is the same whatever the number of recordings.

    Attributes
    ----------
    recordings, seed, recordings_per_specimen : int
    duration_s, sampling_rate_hz : float
    family : Family
    faults_per_recording : int
        1, or 2 for recordings with two faults at once (label ``"crack+impact"``).
    healthy_first : int
        So many recordings of each specimen, its first ones, are healthy: what a plant records when a machine is new.
    """

    recordings: int
    seed: int
    recordings_per_specimen: int = 10
    duration_s: float = 4.0
    sampling_rate_hz: float = 4096.0
    family: Family = CANTILEVER
    faults_per_recording: int = 1
    healthy_first: int = 0

    def __post_init__(self) -> None:
        if self.recordings < 1 or self.recordings_per_specimen < 1 or self.faults_per_recording not in (1, 2):
            raise SettingsError(
                f"a fleet of {self.recordings} recordings, {self.recordings_per_specimen} a specimen, "
                f"{self.faults_per_recording} faults a recording",
                "Ask for at least 1 recording, 1 a specimen, and 1 or 2 faults",
            )
        if not 0 <= self.healthy_first < self.recordings_per_specimen:
            raise SettingsError(
                f"{self.healthy_first} healthy recordings of {self.recordings_per_specimen} a specimen",
                "Ask for fewer than a specimen has",
            )
        if self.seed < 0 or not 0.1 <= self.duration_s <= 600 or not 500 <= self.sampling_rate_hz <= 65536:
            raise SettingsError(
                f"seed {self.seed}, {self.duration_s} s at {self.sampling_rate_hz} Hz",
                "Use a seed of 0 or more, 0.1 to 600 s, and 500 to 65536 Hz",
            )

    def spec(self, index: int) -> RecordingSpec:
        """Draw recording `index`; a specimen's labels are balanced and in random order."""
        number, place = divmod(index, self.recordings_per_specimen)
        specimen = self.family.specimen(f"beam-{self.seed}-{number:04d}", self._rng(_SPECIMEN, number))
        conditions: list[tuple[type[Fault], ...]] = [(), *itertools.combinations(FAULTS, self.faults_per_recording)]
        mixed = self.recordings_per_specimen - self.healthy_first
        order = self._rng(_ORDER, number).permutation(mixed)
        later = place - self.healthy_first
        kinds = conditions[(order[later] + number) % len(conditions)] if later >= 0 else ()
        rng, fault_rng = self._rng(_RECORDING, index, 2), self._rng(_FAULTS, index)
        return RecordingSpec(
            specimen=specimen,
            faults=tuple(kind.draw(fault_rng, self.duration_s) for kind in kinds),
            excitation=self.family.excitation,
            seed=(self.seed, _RECORDING, index),
            modulus_factor=1 + self.family.daily_modulus_spread * rng.uniform(-1, 1),
            snr_db=rng.uniform(*self.family.snr_db),
            duration_s=self.duration_s,
            sampling_rate_hz=self.sampling_rate_hz,
        )

    def stem(self, index: int) -> str:
        """File name of recording `index`, without its ending."""
        number, place = divmod(index, self.recordings_per_specimen)
        return f"beam-{self.seed}-{number:04d}-{place:03d}"

    def recorded_at(self, index: int) -> str:
        """One recording an hour from a fixed day on, on every specimen."""
        return (_EPOCH + timedelta(hours=index % self.recordings_per_specimen)).isoformat()

    def _rng(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *stream])


@dataclass(frozen=True, eq=False)
class Batch:
    """Simulated recordings in memory.

    Attributes
    ----------
    acceleration, twin : ndarray, shape (n, samples), float32
        m/s²; row i of `twin` is row i of `acceleration` with its faults off.
    one_off : ndarray, shape (n, faults_per_recording, samples), float32
        The recording with only fault j switched off; the healthy recording itself where there is none.
    noise_rms : ndarray, shape (n,)
        m/s²; see `camvib.simulation.twins.noise_floor`.
    specs : tuple of RecordingSpec
        With `.label`, `.specimen.name` and `.faults`.
    sampling_rate_hz : float
    """

    acceleration: NDArray[np.float32]
    twin: NDArray[np.float32]
    one_off: NDArray[np.float32]
    noise_rms: NDArray[np.float64]
    specs: tuple[RecordingSpec, ...]
    sampling_rate_hz: float

    @property
    def labels(self) -> NDArray[np.str_]:
        """Label of each recording, shape (n,)."""
        return np.array([spec.label for spec in self.specs])

    @property
    def groups(self) -> NDArray[np.str_]:
        """Specimen of each recording, shape (n,)."""
        return np.array([spec.specimen.name for spec in self.specs])


def simulate_batch(plan: FleetPlan, *, workers: int | None = None, progress: bool = False) -> Batch:
    """Simulate a fleet with its twins into memory (128 kB a recording of 4 s with its twin).

    Parameters
    ----------
    plan : FleetPlan
    workers : int, optional
        Threads; by default one a core.
    progress : bool

    Returns
    -------
    Batch
    """
    specs = tuple(plan.spec(i) for i in range(plan.recordings))
    rendered = list(_parallel(functools.partial(_render_all, plan), specs, workers, progress))
    signals = np.stack([r.acceleration for r in rendered])
    return Batch(
        acceleration=signals[:, 0],
        twin=signals[:, 1],
        one_off=signals[:, 2:],
        noise_rms=np.array([r.noise_rms for r in rendered]),
        specs=specs,
        sampling_rate_hz=plan.sampling_rate_hz,
    )


def _render_all(plan: FleetPlan, spec: RecordingSpec) -> Rendering:
    """The recording, its twin, and the recording without its first, second fault; (2 + faults, n)."""
    faults = spec.faults
    others = [faults[:j] + faults[j + 1 :] for j in range(plan.faults_per_recording)]
    return render(spec, (faults, (), *others))


def write_fleet(
    out: Path,
    recordings: int,
    seed: int,
    *,
    recordings_per_specimen: int = 10,
    duration_s: float = 4.0,
    sampling_rate_hz: float = 4096.0,
    twins: bool = True,
    progress: bool = True,
    family: Family = CANTILEVER,
    faults_per_recording: int = 1,
    healthy_first: int = 0,
    part: Literal["all", "first", "later"] = "all",
    workers: int | None = None,
) -> Path:
    """Write a labelled folder of simulated recordings; the same seed gives the same bytes.

    ``labels.csv`` and ``recordings/`` are the labelled folder. With `twins`, ``twins/`` holds each recording with
    its fault off, ``masks/`` the signed evidence (see `camvib.simulation.twins.evidence_mask`) with its axes, and
    ``truth.csv`` the fault's numbers, the noise and the share of evidence cells.

    Parameters
    ----------
    out : Path
        Folder; made if needed.
    recordings, seed : int
    recordings_per_specimen : int
    duration_s, sampling_rate_hz : float
    twins, progress : bool
    family : Family
    faults_per_recording, healthy_first : int
        See `FleetPlan`.
    part : str
        ``first`` writes the healthy first recordings of each specimen alone, ``later`` those after them.
    workers : int, optional

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    SettingsError
        A number is out of range, or the folder holds recordings of another fleet.
    """
    plan = FleetPlan(
        recordings, seed, recordings_per_specimen, duration_s, sampling_rate_hz, family, faults_per_recording,
        healthy_first,
    )  # fmt: skip
    first = [i % recordings_per_specimen < healthy_first for i in range(recordings)]
    chosen = [i for i in range(recordings) if part == "all" or first[i] == (part == "first")]
    stems = [plan.stem(i) for i in chosen]
    foreign = {path.stem for path in (out / "recordings").glob("*.npz")} - set(stems)
    if foreign:
        raise SettingsError(f"{out} holds recordings of another fleet, such as {min(foreign)}", "Choose another folder")
    for folder in ("recordings", *(("twins", "masks") if twins else ())):
        (out / folder).mkdir(parents=True, exist_ok=True)
    write = functools.partial(_write_recording, plan, out, _evidence_grid(plan) if twins else None)
    truth = list(_parallel(write, chosen, workers, progress))
    if twins:
        _write_csv(out / "truth.csv", ("file", "label", "snr_db", "noise_rms", "evidence_share", "faults"), truth)
    rows = [
        (f"recordings/{stem}.npz", label, name := stem[:-4], CHANNEL, sampling_rate_hz, UNIT, name, plan.recorded_at(i))
        for i, stem, (_, label, *_) in zip(chosen, stems, truth, strict=True)
    ]
    _write_csv(out / "labels.csv", LABEL_COLUMNS, rows)  # last: a folder without it is not finished
    return out


@dataclass(frozen=True, eq=False)
class _Grid:
    """The image grid that evidence is found on."""

    power: Callable[[NDArray[np.float32]], NDArray[np.floating]]
    frequency_hz: NDArray[np.floating]
    time_s: NDArray[np.floating]


def _evidence_grid(plan: FleetPlan) -> _Grid:
    """The default spectrogram image of a whole recording, as power."""
    import torch  # slow to import, and not needed without twins

    from camvib.images.spectrogram import SpectrogramLayer
    from camvib.settings import ImageSettings

    layer = SpectrogramLayer(ImageSettings.model_validate({"window_s": plan.duration_s}), plan.sampling_rate_hz)

    def power(signals: NDArray[np.float32]) -> NDArray[np.floating]:
        with torch.inference_mode():
            return 10 ** (layer(torch.from_numpy(signals)).numpy() / 10)

    centres = layer.axes.centres()
    return _Grid(power, centres.frequency_hz, centres.time_s)


def _write_recording(plan: FleetPlan, out: Path, grid: _Grid | None, index: int) -> tuple[object, ...]:
    """Simulate and write one recording; returns its row of truth.csv."""
    spec, name = plan.spec(index), f"{plan.stem(index)}.npz"
    rendering = render(spec, (spec.faults, ()) if grid else (spec.faults,))
    for folder, signal in zip(("recordings", "twins"), rendering.acceleration, strict=False):
        rate = np.float64(plan.sampling_rate_hz)
        np.savez(out / folder / name, acceleration=signal, sampling_rate_hz=rate, unit=np.array(UNIT))
    share = float("nan")
    if grid:
        faulty, twin = grid.power(rendering.acceleration)
        mask = evidence_mask(faulty, twin, noise_floor(rendering.noise_rms, plan.sampling_rate_hz))
        share = float(np.mean(mask != 0))
        np.savez_compressed(out / "masks" / name, evidence=mask, frequency_hz=grid.frequency_hz, time_s=grid.time_s)
    faults = json.dumps([{"label": fault.label, **asdict(fault)} for fault in spec.faults])  # type: ignore[call-overload]
    return f"recordings/{name}", spec.label, f"{spec.snr_db:.2f}", f"{rendering.noise_rms:.6g}", f"{share:.6f}", faults


def _write_csv(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _parallel(
    function: Callable[[_Item], _Result], items: Iterable[_Item], workers: int | None, progress: bool
) -> Iterator[_Result]:
    """Map in order over threads: the time goes into compiled code, which runs beside the interpreter."""
    items = list(items)
    # The matrices are small: BLAS threads of its own would only spin against ours, four times slower.
    with threadpool_limits(1), ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        yield from tqdm(pool.map(function, items), total=len(items), desc="simulate", disable=not progress)
