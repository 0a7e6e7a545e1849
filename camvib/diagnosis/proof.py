"""Proof by notching: a recording with its evidence brought back to the healthy level is diagnosed again.

If the verdict does not change, the regions are not what it rests on, and the explanation is weak.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from camvib.errors import SignalError
from camvib.images.axes import Axes
from camvib.images.baseline import Baseline
from camvib.model.model import Model
from camvib.records import ActivationMap, Region

TOP_REGIONS = 3


@dataclass(frozen=True, eq=False)
class Proof:
    """The same recording judged as it is and with its top regions at the healthy level.

    Attributes
    ----------
    label : str
    before, after : float
        Calibrated probability of `label`.
    healthy_before, healthy_after : float or None
        Of the healthy class, where there is one.
    label_after : str
        What the notched recording is called.
    regions : int
        How many regions were brought back.
    share_of_cells : float
        How much of the picture that is, 0 to 1.
    runner_up : ActivationMap or None
        Map of `label` against the runner-up, adding up to their log odds.
    """

    label: str
    before: float
    after: float
    healthy_before: float | None
    healthy_after: float | None
    label_after: str
    regions: int
    share_of_cells: float
    runner_up: ActivationMap | None = None

    @property
    def holds(self) -> bool:
        """Whether the verdict rests on the regions: without them it is another, or less than half as likely."""
        return self.label_after != self.label or self.after < 0.5 * self.before


def prove(
    samples: NDArray[np.floating],
    model: Model,
    regions: Sequence[Region],
    label: str,
    baseline: Baseline,
    *,
    start_s: float = 0.0,
) -> Proof:
    """Bring the top regions back to the healthy level and diagnose again.

    Only the mean level of each row within a region moves; its texture stays, so that the notched picture is still
    one that a recording could have.

    Parameters
    ----------
    samples : ndarray, shape (n,)
        At the model's rate and in its unit.
    model : Model
    regions : sequence of Region
        Those that speak for `label` count, strongest first, at most `TOP_REGIONS`.
    label : str
    baseline : Baseline
        Healthy level of the asset.
    start_s : float
        Where the samples start within the file, as in the regions.

    Raises
    ------
    SignalError
        No region speaks for the label, or the recording is shorter than the model's window.
    """
    top = [region for region in regions if region.sign > 0][:TOP_REGIONS]
    n = model.diagnoser.spectrogram.n
    count = len(samples) // n
    if not top or not count or label not in model.classes:
        raise SignalError(
            f"no proof for {label!r}: {len(top)} regions speak for it, {count} windows of {n} samples",
            "Take a recording as long as the model's window, with a region that speaks for one of the model's classes",
        )
    windows = np.asarray(samples[: count * n], np.float32).reshape(count, n)
    images = model.images(windows)
    notched, touched = notch(images, top, _axes(model, count, start_s), baseline)
    before, after = (_judge(model, image, baseline) for image in (images, notched))
    return Proof(
        label=label,
        before=before.of(label),
        after=after.of(label),
        healthy_before=before.of(model.healthy) if model.healthy else None,
        healthy_after=after.of(model.healthy) if model.healthy else None,
        label_after=model.classes[int(after.chances.argmax())],
        regions=len(top),
        share_of_cells=touched,
        runner_up=_against_runner_up(model, before, label, count, start_s),
    )


def notch(
    images_db: NDArray[np.floating], regions: Sequence[Region], axes: Axes, baseline: Baseline
) -> tuple[NDArray[np.float32], float]:
    """Move the rows of images, shape (windows, rows, columns), within regions to the healthy level.

    Parameters
    ----------
    images_db : ndarray
        Windows that follow each other in time.
    regions : sequence of Region
    axes : Axes
        Edges of all windows' cells side by side.
    baseline : Baseline

    Returns
    -------
    notched : ndarray
    touched : float
        Share of the cells that were moved, 0 to 1.
    """
    count, rows, columns = images_db.shape
    wide = np.concatenate(list(np.asarray(images_db, np.float64)), axis=-1)
    level = np.median(wide.mean(axis=1) - baseline.mean_db)
    hz, seconds = axes.centres()
    touched = np.zeros(wide.shape, bool)
    for region in regions:
        inside_hz = (hz >= region.low_hz) & (hz <= region.high_hz)
        inside_s = (seconds >= region.start_s) & (seconds <= region.end_s)
        touched[np.ix_(inside_hz, inside_s)] = True
    cells = touched.sum(axis=1)
    has = cells > 0
    now = np.where(has, (wide * touched).sum(axis=1) / np.maximum(cells, 1), 0.0)
    shift = np.where(has, baseline.mean_db + level - now, 0.0)
    moved = wide + touched * shift[:, None]
    return moved.reshape(rows, count, columns).transpose(1, 0, 2).astype(np.float32), float(touched.mean())


@dataclass(frozen=True, eq=False)
class _Judged:
    classes: tuple[str, ...]
    logits: NDArray[np.floating]
    chances: NDArray[np.floating]
    maps: NDArray[np.floating]

    def of(self, label: str) -> float:
        return float(self.chances[self.classes.index(label)])


def _judge(model: Model, images_db: NDArray[np.floating], baseline: Baseline) -> _Judged:
    beside = [np.broadcast_to(v, (len(images_db), len(v))).copy() for v in (baseline.mean_db, baseline.spread_db)]
    given = [torch.from_numpy(np.asarray(v, np.float32)) for v in beside] if model.needs_baseline else []
    with torch.inference_mode():
        output = model.diagnoser.explain(torch.from_numpy(np.asarray(images_db, np.float32)), *given)
    logits = output.logits.numpy().mean(axis=0, dtype=np.float64)
    maps = np.concatenate(list(output.maps.numpy()), axis=-1)
    return _Judged(model.classes, logits, model.probabilities(logits), maps)


def _axes(model: Model, count: int, start_s: float) -> Axes:
    edges = model.diagnoser.spectrogram.axes.frequency_hz
    columns = count * model.settings.spectrogram.columns
    return Axes(edges, start_s + np.linspace(0, count * model.window_s, columns + 1))


def _against_runner_up(model: Model, judged: _Judged, label: str, count: int, start_s: float) -> ActivationMap | None:
    """Map of the label against the likeliest other, in calibrated logits."""
    order = [model.classes[i] for i in np.argsort(-judged.logits)]
    other = next((name for name in order if name != label), "")
    if not other or not judged.maps.any():
        return None
    scale = 1 / model.calibration.temperature
    one, two = (model.classes.index(name) for name in (label, other))
    values = scale * (judged.maps[one] - judged.maps[two]).astype(np.float64)
    bias = scale * float(judged.logits[one] - judged.logits[two]) - float(values.mean())
    pooled = model.diagnoser.spectrogram.axes.pooled(values.shape[0], 1)
    seconds = start_s + np.linspace(0, count * model.window_s, values.shape[1] + 1)
    centres = Axes(pooled.frequency_hz, seconds).centres()
    return ActivationMap(values, centres.frequency_hz, centres.time_s, label, other, bias)
