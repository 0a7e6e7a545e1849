"""Simulated recordings with their healthy twins, and the truth about them on the benchmark's grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from camvib.images.axes import Axes
from camvib.images.baseline import leave_one_out
from camvib.images.difference import smooth_difference
from camvib.images.layer import ImageLayer, layer_images
from camvib.images.spectrogram import SpectrogramLayer
from camvib.settings import ImageSettings
from camvib.simulation.fleet import Batch, FleetPlan, simulate_batch
from camvib.simulation.twins import evidence_mask, noise_floor

CLASSES = ("healthy", "crack", "loose_clamp", "impact", "tip_mass")
FAULTS = CLASSES[1:]
RATE_HZ, DURATION_S = 4096.0, 4.0  # of the simulated recordings
VISIBLE_SHARE = 0.002  # fewer evidence cells than this: the fault cannot be seen in the image


@dataclass(frozen=True, eq=False)
class MapData:
    """Recordings, and what is known of them on the default grid, (n, rows, columns).

    Attributes
    ----------
    batch : Batch
        All recordings that were simulated, in memory.
    rows : ndarray, shape (n,)
        Which of them these are: baselines come from all recordings of an asset.
    images_db : ndarray, float16
    twins_db : ndarray, float16
        Images of the healthy twins.
    difference_db : ndarray, float16
        Of the 3 × 3 smoothed powers; 0 where both are below the noise floor.
    evidence : ndarray, int8
        See `camvib.simulation.twins.evidence_mask`.
    one_off : ndarray, shape (n, faults, rows, columns), int8
        Evidence of each fault of a recording alone: against the recording with only that fault off.
    baselines_db : ndarray, shape (n, rows)
        From other healthy recordings of the asset, for maps that need no network.
    """

    batch: Batch
    rows: NDArray[np.int64]
    images_db: NDArray[np.float16]
    twins_db: NDArray[np.float16]
    difference_db: NDArray[np.float16]
    evidence: NDArray[np.int8]
    one_off: NDArray[np.int8]
    baselines_db: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, chosen: NDArray[np.integer] | NDArray[np.bool_]) -> MapData:
        """Keep some recordings."""
        names = ("rows", "images_db", "twins_db", "difference_db", "evidence", "one_off", "baselines_db")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    @property
    def labels(self) -> NDArray[np.str_]:
        """Label of each recording; two faults are joined by a plus."""
        return self.batch.labels[self.rows]

    @property
    def groups(self) -> NDArray[np.str_]:
        """Specimen of each recording."""
        return self.batch.groups[self.rows]

    @property
    def waveforms(self) -> NDArray[np.float32]:
        """Samples of each recording, (n, samples), in m/s²."""
        return self.batch.acceleration[self.rows]

    @property
    def visible(self) -> NDArray[np.bool_]:
        """Faulty recordings with enough evidence to score a map on."""
        return (self.labels != CLASSES[0]) & ((self.evidence != 0).mean(axis=(1, 2)) >= VISIBLE_SHARE)


def image_layer(sampling_rate_hz: float = RATE_HZ, duration_s: float = DURATION_S) -> SpectrogramLayer:
    """The default image of a whole recording."""
    return SpectrogramLayer(ImageSettings.model_validate({"window_s": duration_s}), sampling_rate_hz)


def image_axes() -> Axes:
    """Cell edges of the default image: the grid that truth is known on."""
    return image_layer().axes


def simulated(plan: FleetPlan, *, chunk: int = 200, progress: bool = False) -> MapData:
    """Simulate a fleet, and find the truth about it."""
    return from_batch(simulate_batch(plan, progress=progress), chunk=chunk)


def from_batch(batch: Batch, *, chunk: int = 200) -> MapData:
    """Images, twins, evidence and baselines of a simulated batch."""
    layer = image_layer(batch.sampling_rate_hz, batch.acceleration.shape[1] / batch.sampling_rate_hz)
    parts = []
    for first in range(0, len(batch.labels), chunk):
        rows = slice(first, first + chunk)
        floor = noise_floor(batch.noise_rms[rows], batch.sampling_rate_hz)
        image, twin = layer_images(layer, batch.acceleration[rows]), layer_images(layer, batch.twin[rows])
        others = [layer_images(layer, batch.one_off[rows, j]) for j in range(batch.one_off.shape[1])]
        cells = floor[:, None, None]
        one_off = np.stack([evidence_mask(_power(image), _power(other), cells) for other in others], axis=1)
        evidence = evidence_mask(_power(image), _power(twin), cells)
        parts.append((image, twin, smooth_difference(image, twin, floor), evidence, one_off))
    image, twin, difference, evidence, one_off = (np.concatenate(column) for column in zip(*parts, strict=True))
    return MapData(
        batch=batch,
        rows=np.arange(len(batch.labels)),
        images_db=image.astype(np.float16),
        twins_db=twin.astype(np.float16),
        difference_db=difference.astype(np.float16),
        evidence=evidence,
        one_off=one_off,
        baselines_db=leave_one_out(twin, batch.groups)[0],
    )


def true_faults(data: MapData, place: int = 0) -> NDArray[np.str_]:
    """Each recording's first (or second) label."""
    return np.array([label.split("+")[place] for label in data.labels])


def healthy_fill(layer: ImageLayer, data: MapData) -> NDArray[np.float32]:
    """Image of another healthy recording of each recording's asset, at the recording's level.

    A spectrum without the speckle of a recording would itself be something that no network has seen.
    """
    groups = data.batch.groups
    others = [int(np.flatnonzero((groups == groups[row]) & (np.arange(len(groups)) != row))[0]) for row in data.rows]
    fill, image = layer_images(layer, data.batch.twin[others]), layer_images(layer, data.waveforms)
    return fill + (image.mean(axis=(1, 2), keepdims=True) - fill.mean(axis=(1, 2), keepdims=True))


def _power(image_db: NDArray[np.floating]) -> NDArray[np.floating]:
    return 10 ** (image_db / 10)
