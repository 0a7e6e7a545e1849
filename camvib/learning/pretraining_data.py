"""Simulated recordings with their healthy twins, as what `camvib.learning.pretrain` learns from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from camvib.augmentation.lines import ToneRows
from camvib.augmentation.mains_hum import line_rows
from camvib.augmentation.samples import ChangeData, HumLines
from camvib.images.baseline import leave_one_out
from camvib.images.difference import smooth_difference
from camvib.images.spectrogram import SpectrogramLayer
from camvib.settings import ImageSettings
from camvib.simulation.faults import LABELS
from camvib.simulation.fleet import Batch, FleetPlan, simulate_batch
from camvib.simulation.twins import evidence_mask, noise_floor
from camvib.simulation.wide_range import draw_rig

BASELINE_DRAWS = 3
IMAGE, RATE_HZ = ImageSettings(window_s=4.0), 4096.0  # of the nominal beam's recordings
_OF_DRAWS = ("baselines_db", "spreads_db")


@dataclass(frozen=True, eq=False)
class Simulated:
    """Images of n simulated recordings, and what is known of them.

    Attributes
    ----------
    images_db, healthy_db : ndarray, shape (n, rows, columns), float16
        Recording and healthy twin.
    difference_db : ndarray, float16
        Of the 3 × 3 smoothed powers; 0 where both are below the noise floor.
    votes : ndarray, int8
        Number of the class in `LABELS` that the evidence in a cell is due to; −1 where there is none, or more than one.
    evidence, own, other : ndarray, int8
        Signed evidence of all faults together, of the first alone and of the second alone (0 where there is none).
    targets : ndarray, shape (n, classes)
        1 for each fault of the recording over their number.
    groups : ndarray, shape (n,)
        Specimens.
    baselines_db, spreads_db : ndarray, shape (draws, n, rows)
    """

    images_db: NDArray[np.float16]
    healthy_db: NDArray[np.float16]
    difference_db: NDArray[np.float16]
    votes: NDArray[np.int8]
    evidence: NDArray[np.int8]
    own: NDArray[np.int8]
    other: NDArray[np.int8]
    targets: NDArray[np.float32]
    groups: NDArray[np.str_]
    baselines_db: NDArray[np.float32]
    spreads_db: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.targets)

    def change_data(self) -> ChangeData:
        """The same arrays, not copies, as `camvib.learning.change_cnn` takes them."""
        layer = SpectrogramLayer(IMAGE, RATE_HZ)
        return ChangeData(
            self.images_db,
            self.healthy_db,
            self.difference_db,
            self.targets,
            self.baselines_db,
            self.spreads_db,
            HumLines(line_rows(layer), np.diff(layer.axes.frequency_hz)),
            self.votes,
            ToneRows.of(layer),
        )


def fleet(recordings: int, seed: int, *, faults: int = 1, cache: Path | None = None) -> Simulated:
    """Recordings of the nominal beam's family, with one or two faults each."""
    plan = FleetPlan(recordings, seed, faults_per_recording=faults)
    return _cached(cache, f"fleet-{seed}-{recordings}-{faults}", iter([(plan, IMAGE)]))


def wide_fleet(rigs: int, seed: int, *, cache: Path | None = None) -> Simulated:
    """Ten recordings of each of many rigs, see `camvib.simulation.wide_range`."""
    drawn = (draw_rig(seed, number) for number in range(rigs))
    return _cached(cache, f"wide-{seed}-{rigs}", ((rig.plan, rig.image) for rig in drawn))


def join(parts: list[Simulated]) -> Simulated:
    """One after the other."""
    return Simulated(
        **{
            field.name: np.concatenate(
                [getattr(part, field.name) for part in parts], axis=1 if field.name in _OF_DRAWS else 0
            )
            for field in fields(Simulated)
        }
    )


def _cached(cache: Path | None, name: str, plans: Iterator[tuple[FleetPlan, ImageSettings]]) -> Simulated:
    path = cache / f"{name}.npz" if cache else None
    if path and path.is_file():
        with np.load(path, allow_pickle=False) as kept:
            return Simulated(**{field.name: kept[field.name] for field in fields(Simulated)})
    found = join([part for plan, image in plans if (part := _of_plan(plan, image)) is not None])
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{field.name: getattr(found, field.name) for field in fields(Simulated)})
    return found


def _of_plan(plan: FleetPlan, image: ImageSettings) -> Simulated | None:
    """None where a rig drawn at random is one that the integrator cannot follow."""
    batch = simulate_batch(plan, workers=1)
    if not np.isfinite(batch.acceleration).all() or not batch.acceleration.any():
        return None
    return _images(batch, image)


def _images(batch: Batch, settings: ImageSettings) -> Simulated:
    layer = SpectrogramLayer(settings, batch.sampling_rate_hz)
    floor = noise_floor(batch.noise_rms, batch.sampling_rate_hz)

    def seen(waves: NDArray[np.float32]) -> NDArray[np.float32]:
        firsts = range(0, len(waves), 50)
        with torch.inference_mode():
            return np.concatenate(
                [layer(torch.from_numpy(waves[i : i + 50, : layer.n].copy())).numpy() for i in firsts]
            )

    image, twin = seen(batch.acceleration), seen(batch.twin)
    power, healthy = 10 ** (image / 10), 10 ** (twin / 10)
    evidence = evidence_mask(power, healthy, floor[:, None, None])
    others = [10 ** (seen(batch.one_off[:, j]) / 10) for j in range(batch.one_off.shape[1])]
    one_off = [evidence_mask(power, other, floor[:, None, None]) for other in others]
    names = [spec.label.split("+") for spec in batch.specs]
    votes = np.full(image.shape, -1, np.int8)
    own, other = np.zeros_like(votes), np.zeros_like(votes)
    for i, faults in enumerate(names):
        if faults == ["healthy"]:
            continue
        masks = [one_off[j][i] for j in range(len(faults))]
        for j, name in enumerate(faults):
            alone = (masks[j] != 0) & ~np.any([masks[k] != 0 for k in range(len(faults)) if k != j], axis=0)
            votes[i][alone] = LABELS.index(name)
        own[i], other[i] = masks[0], masks[1] if len(masks) > 1 else 0
    targets = np.array([[name in faults for name in LABELS] for faults in names], np.float32)
    baselines = [leave_one_out(twin, batch.groups, seed=draw) for draw in range(BASELINE_DRAWS)]
    return Simulated(
        image.astype(np.float16),
        twin.astype(np.float16),
        smooth_difference(image, twin, floor).astype(np.float16),
        votes,
        evidence,
        own,
        other,
        targets / targets.sum(axis=1, keepdims=True),
        batch.groups,
        np.stack([mean for mean, _ in baselines]),
        np.stack([spread for _, spread in baselines]),
    )
