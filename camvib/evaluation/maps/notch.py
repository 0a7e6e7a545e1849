"""Whether verdicts rest on what the report points at: the top regions are brought back to the healthy level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from camvib.diagnosis.verdict import judge
from camvib.evaluation.maps.answers import baseline_for
from camvib.evaluation.maps.data import MapData
from camvib.images.axes import Axes
from camvib.images.baseline import Baseline
from camvib.model.model import Model
from camvib.records import Recording, Region
from camvib.simulation.fleet import CHANNEL, UNIT

TOP_REGIONS = 3


def changed_share(model: Model, data: MapData) -> dict[str, float]:
    """Judge each recording, and each fault verdict once more with its top regions at the healthy level.

    Returns
    -------
    dict
        `changed_share`: of the fault verdicts those that name another label, or no fault, without their regions; NaN
        where there is no fault verdict. `verdicts`: how many there are. `share_of_cells`: how much of the image the
        regions are, on average.
    """
    baselines = [baseline_for(member.image, data) for member in model.members]
    changed, touched = [], []
    for i, samples in enumerate(data.waveforms):
        recording = Recording(samples, data.batch.sampling_rate_hz, UNIT, CHANNEL, "", str(i))
        own = [Baseline(one.mean_db[i], one.spread_db[i], one.recordings) for one in baselines]
        before, _ = judge(recording, model, own[0])
        top = [region for region in before.regions if region.sign > 0][:TOP_REGIONS]
        if before.verdict != "fault":
            continue
        with _notched(model, top, own):
            after, _ = judge(recording, model, own[0])
        changed.append((after.verdict, after.label) != (before.verdict, before.label))
        touched.append(inside(top, model.axes).mean())
    count = len(changed)
    return {
        "changed_share": float(np.mean(changed)) if count else float("nan"),
        "verdicts": count,
        "share_of_cells": float(np.mean(touched)) if count else float("nan"),
    }


@contextmanager
def _notched(model: Model, regions: Sequence[Region], baselines: Sequence[Baseline]) -> Iterator[None]:
    """Let every member of the model see its image with regions at the healthy level."""
    hooks = []
    for member, baseline in zip(model.members, baselines, strict=True):
        cells = inside(regions, member.axes)

        def notch(
            module: nn.Module,
            given: object,
            image: Tensor,
            cells: NDArray[np.bool_] = cells,
            mean_db: NDArray[np.float32] = baseline.mean_db,
        ) -> Tensor:
            return torch.from_numpy(at_healthy_level(image.numpy(), cells, mean_db))

        hooks.append(member.image.register_forward_hook(notch))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def inside(regions: Sequence[Region], axes: Axes) -> NDArray[np.bool_]:
    """Cells of an image whose centres lie in one of the regions, (rows, columns)."""
    hz, seconds = axes.centres()
    found = np.zeros((len(hz), len(seconds)), bool)
    for region in regions:
        rows = (hz >= region.low_hz) & (hz <= region.high_hz)
        found |= rows[:, None] & ((seconds >= region.start_s) & (seconds <= region.end_s))[None]
    return found


def at_healthy_level(
    images_db: NDArray[np.floating], cells: NDArray[np.bool_], mean_db: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Move the mean level of each row within `cells` to the baseline's; its texture stays.

    Parameters
    ----------
    images_db : ndarray, shape (n, rows, columns)
    cells : ndarray of bool, shape (rows, columns)
    mean_db : ndarray, shape (rows,)
        Level-free healthy spectrum; it is taken at the image's level, the median of their difference.
    """
    count = cells.sum(axis=1)
    level = np.median(images_db.mean(axis=2) - mean_db, axis=1)
    now = (images_db * cells).sum(axis=2) / np.maximum(count, 1)
    shift = np.where(count > 0, mean_db + level[:, None] - now, 0.0)
    return (images_db + cells * shift[:, :, None]).astype(np.float32)
