"""Proof by notching: a recording with its evidence brought back to the healthy level is diagnosed again.

If the verdict does not change, the regions are not what it rests on, and the explanation is weak.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from camvib.diagnosis.contrast import contrast
from camvib.errors import SignalError
from camvib.images.axes import Axes
from camvib.images.baseline import Baseline
from camvib.model.model import Model, Prediction
from camvib.records import ActivationMap, Recording, Region, Spectrogram

TOP_REGIONS = 3
FRAME_S = 0.25  # of the transform that levels are changed in
MOST_DB = 40.0  # a cell is moved by at most so much: what is not there cannot be amplified


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
    recording: Recording,
    model: Model,
    regions: Sequence[Region],
    label: str,
    image: Spectrogram,
    baseline: Baseline,
) -> Proof:
    """Bring the top regions of a recording back to the healthy level and diagnose it again.

    The waveform itself is changed, so that any model can be asked, whatever images it makes.

    Parameters
    ----------
    recording : Recording
        At the model's rate and in its unit.
    model : Model
    regions : sequence of Region
        Those that speak for `label` count, strongest first, at most `TOP_REGIONS`.
    label : str
    image : Spectrogram
        The recording's picture.
    baseline : Baseline
        Healthy level of the asset, on the rows of `image`.

    Raises
    ------
    SignalError
        No region speaks for the label, or the recording is shorter than the model's window.
    """
    top = [region for region in regions if region.sign > 0][:TOP_REGIONS]
    count = len(recording.samples) // model.n
    if not top or not count or label not in model.classes:
        raise SignalError(
            f"no proof for {label!r}: {len(top)} regions speak for it, {count} windows of {model.n} samples",
            "Take a recording as long as the model's window, with a region that speaks for one of the model's classes",
        )
    samples = np.asarray(recording.samples[: count * model.n], np.float64)
    notched, touched = notch(samples, recording.sampling_rate_hz, recording.start_s, top, image, baseline.mean_db)
    speed = model.relative_speed(recording.shaft_hz)
    given = baseline if model.needs_baseline else None
    both = [model.predict(x.astype(np.float32).reshape(count, -1), given, speed=speed) for x in (samples, notched)]
    before, after = (model.probabilities(_logits(one)) for one in both)
    healthy = model.classes.index(model.healthy) if model.healthy else None
    at = model.classes.index(label)
    return Proof(
        label=label,
        before=float(before[at]),
        after=float(after[at]),
        healthy_before=None if healthy is None else float(before[healthy]),
        healthy_after=None if healthy is None else float(after[healthy]),
        label_after=model.classes[int(after.argmax())],
        regions=len(top),
        share_of_cells=touched,
        runner_up=_against_runner_up(model, both[0], label, recording.start_s, speed),
    )


def notch(
    samples: NDArray[np.floating],
    sampling_rate_hz: float,
    start_s: float,
    regions: Sequence[Region],
    image: Spectrogram,
    mean_db: NDArray[np.floating],
) -> tuple[NDArray[np.float64], float]:
    """Move the level within regions to the healthy one; the texture stays.

    Parameters
    ----------
    samples : ndarray, shape (n,)
    sampling_rate_hz, start_s : float
    regions : sequence of Region
        In seconds of the file.
    image : Spectrogram
        Today's levels.
    mean_db : ndarray, shape (rows,)
        Healthy level-free levels, on the rows of `image`.

    Returns
    -------
    notched : ndarray, shape (n,)
    touched : float
        Share of the picture's cells that lie in the regions, 0 to 1.
    """
    today = np.asarray(image.values_db, np.float64)
    expected = mean_db + np.median(today.mean(axis=1) - mean_db)
    frame = min(len(samples), round(FRAME_S * sampling_rate_hz))
    hz, seconds, spectrum = signal.stft(samples, sampling_rate_hz, nperseg=frame, noverlap=3 * frame // 4)
    gain_db, inside_image = np.zeros(spectrum.shape), np.zeros(today.shape, bool)
    for region in regions:
        rows = (image.frequency_hz >= region.low_hz) & (image.frequency_hz <= region.high_hz)
        columns = (image.time_s >= region.start_s) & (image.time_s <= region.end_s)
        if not rows.any() or not columns.any():
            continue
        inside_image[np.ix_(rows, columns)] = True
        shift = np.clip(expected[rows] - today[np.ix_(rows, columns)].mean(axis=1), -MOST_DB, MOST_DB)
        bins = (hz >= region.low_hz) & (hz <= region.high_hz)
        frames = (start_s + seconds >= region.start_s) & (start_s + seconds <= region.end_s)
        gain_db[np.ix_(bins, frames)] = np.interp(hz[bins], image.frequency_hz[rows], shift)[:, None]
    _, moved = signal.istft(spectrum * 10 ** (gain_db / 20), sampling_rate_hz, nperseg=frame, noverlap=3 * frame // 4)
    return np.asarray(moved[: len(samples)]), float(inside_image.mean())


def _logits(predicted: Prediction) -> NDArray[np.float64]:
    return np.asarray(predicted.logits.mean(axis=0, dtype=np.float64))


def _against_runner_up(
    model: Model, predicted: Prediction, label: str, start_s: float, speed: float
) -> ActivationMap | None:
    """Map of the label against the likeliest other, in calibrated logits."""
    logits = _logits(predicted)
    other = next((model.classes[i] for i in np.argsort(-logits) if model.classes[i] != label), "")
    maps = np.concatenate(list(predicted.maps), axis=-1)
    if not other or not maps.any():
        return None
    scale = 1 / model.calibration.temperature
    pooled = model.map_axes(maps[..., : predicted.maps.shape[-1]], speed)
    seconds = start_s + np.linspace(0, len(predicted.maps) * model.window_s, maps.shape[-1] + 1)
    return contrast(scale * maps, scale * logits, model.classes, label, other, Axes(pooled.frequency_hz, seconds))
