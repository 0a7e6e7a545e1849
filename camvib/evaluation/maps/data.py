"""Simulated recordings as images, with their healthy twins, evidence masks and baselines."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from camvib.images.axes import Axes
from camvib.images.baseline import leave_one_out
from camvib.images.spectrogram import SpectrogramLayer
from camvib.settings import ImageSettings
from camvib.simulation.fleet import Batch, FleetPlan, simulate_batch
from camvib.simulation.twins import evidence_mask, noise_floor

CLASSES = ("healthy", "crack", "loose_clamp", "impact", "tip_mass")
FAULTS = CLASSES[1:]
VISIBLE_SHARE = 0.002  # fewer evidence cells than this: the fault cannot be seen in the image


@dataclass(frozen=True, eq=False)
class MapData:
    """Images on the default grid, (n, rows, columns), and what is known of them.

    Attributes
    ----------
    images_db, twins_db : ndarray, float16
        Recording and healthy twin.
    difference_db : ndarray, float16
        Of the 3 × 3 smoothed powers; 0 where both are below the noise floor.
    evidence : ndarray, int8
        See `camvib.simulation.twins.evidence_mask`.
    one_off : ndarray, shape (n, faults, rows, columns), int8
        Evidence of each fault of a recording alone: against the recording with only that fault off.
    labels, groups : ndarray, shape (n,)
    baselines_db, spreads_db : ndarray, shape (draws, n, rows)
        From other healthy recordings of the asset; draw 0 is the one to evaluate with.
    """

    images_db: NDArray[np.float16]
    twins_db: NDArray[np.float16]
    difference_db: NDArray[np.float16]
    evidence: NDArray[np.int8]
    one_off: NDArray[np.int8]
    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    baselines_db: NDArray[np.float32]
    spreads_db: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> MapData:
        """Keep some recordings."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return MapData(**{n: v[:, rows] if n in ("baselines_db", "spreads_db") else v[rows] for n, v in values.items()})

    @property
    def visible(self) -> NDArray[np.bool_]:
        """Faulty recordings with enough evidence to score a map on."""
        return (self.labels != CLASSES[0]) & ((self.evidence != 0).mean(axis=(1, 2)) >= VISIBLE_SHARE)

    @property
    def targets(self) -> NDArray[np.float32]:
        """Class shares, (n, classes): one class, or two faults at one half each."""
        hits = [[name in label.split("+") for name in CLASSES] for label in self.labels]
        return np.asarray(hits, np.float32) / np.sum(hits, axis=1, keepdims=True)


def image_layer(sampling_rate_hz: float = 4096.0, duration_s: float = 4.0) -> SpectrogramLayer:
    """The default image of a whole recording."""
    return SpectrogramLayer(ImageSettings.model_validate({"window_s": duration_s}), sampling_rate_hz)


def image_axes() -> Axes:
    """Cell edges of the default image."""
    return image_layer().axes


def simulated(plan: FleetPlan, *, baseline_draws: int = 1, chunk: int = 200, progress: bool = False) -> MapData:
    """Simulate a fleet and turn it into images; recordings themselves are not kept."""
    batch = simulate_batch(plan, progress=progress)
    return from_batch(batch, baseline_draws=baseline_draws, chunk=chunk)


def from_batch(batch: Batch, *, baseline_draws: int = 1, chunk: int = 200) -> MapData:
    """Images, twins, evidence and baselines of a simulated batch."""
    layer = image_layer(batch.sampling_rate_hz, batch.acceleration.shape[1] / batch.sampling_rate_hz)
    parts = []
    for first in range(0, len(batch.labels), chunk):
        rows = slice(first, first + chunk)
        floor = noise_floor(batch.noise_rms[rows], batch.sampling_rate_hz)[:, None, None]
        image, twin = _images(layer, batch.acceleration[rows]), _images(layer, batch.twin[rows])
        others = [_images(layer, batch.one_off[rows, j]) for j in range(batch.one_off.shape[1])]
        evidence = evidence_mask(_power(image), _power(twin), floor)
        one_off = np.stack([evidence_mask(_power(image), _power(other), floor) for other in others], axis=1)
        parts.append((image, twin, _difference(image, twin, floor), evidence, one_off))
    image, twin, difference, evidence, one_off = (np.concatenate(column) for column in zip(*parts, strict=True))
    baselines, spreads = draw_baselines(twin, batch.groups, baseline_draws)
    return MapData(
        images_db=image.astype(np.float16),
        twins_db=twin.astype(np.float16),
        difference_db=difference.astype(np.float16),
        evidence=evidence,
        one_off=one_off,
        labels=batch.labels,
        groups=batch.groups,
        baselines_db=baselines,
        spreads_db=spreads,
    )


def draw_baselines(
    healthy_db: NDArray[np.floating], groups: NDArray[np.str_], draws: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Several leave-one-out baselines of each recording: a baseline of five recordings is itself noisy."""
    drawn = [leave_one_out(healthy_db, groups, seed=draw) for draw in range(draws)]
    return np.stack([mean for mean, _ in drawn]), np.stack([spread for _, spread in drawn])


def join(parts: list[MapData]) -> MapData:
    """One after the other; evidence by fault is kept only where all have as many faults."""
    columns = {field.name: [getattr(part, field.name) for part in parts] for field in fields(MapData)}
    most = max(value.shape[1] for value in columns["one_off"])
    columns["one_off"] = [np.pad(v, ((0, 0), (0, most - v.shape[1]), (0, 0), (0, 0))) for v in columns["one_off"]]
    return MapData(
        **{n: np.concatenate(v, axis=1 if n in ("baselines_db", "spreads_db") else 0) for n, v in columns.items()}
    )


def _images(layer: SpectrogramLayer, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return layer(torch.from_numpy(np.ascontiguousarray(waveforms))).numpy()


def _power(image_db: NDArray[np.floating]) -> NDArray[np.floating]:
    return 10 ** (image_db / 10)


def _difference(
    image: NDArray[np.float32], twin: NDArray[np.float32], floor: NDArray[np.float64]
) -> NDArray[np.floating]:
    smooth = [ndimage.uniform_filter(_power(db).astype(np.float64), 3, axes=(-2, -1)) for db in (image, twin)]
    seen = np.maximum(*smooth) > floor
    return np.where(seen, 10 * np.log10(smooth[0] / smooth[1]), 0.0)
