"""One recording → its verdict, with reason, remedy and evidence."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from camvib.diagnosis.contrast import check_add_up, contrast
from camvib.diagnosis.evidence import columns_to_fold, evidence_of, mean_of_columns
from camvib.diagnosis.names import name_region
from camvib.diagnosis.regions import regions
from camvib.images.axes import Axes
from camvib.images.baseline import MIN_RECORDINGS, Baseline
from camvib.model.model import Model, Prediction
from camvib.recordings.quality import check
from camvib.recordings.resampling import resample
from camvib.records import ActivationMap, Diagnosis, Evidence, Finding, Recording, Region

WINDOWS_TOGETHER = 64
BASELINE_COMMAND = "camvib baseline HEALTHY_RECORDINGS --model MODEL"


class Checked(NamedTuple):
    """A recording that is at the model's rate and was checked, and its asset's baseline if there is one."""

    recording: Recording
    findings: tuple[Finding, ...]
    baseline: Baseline | None = None


def judge(
    recording: Recording,
    model: Model,
    baseline: Baseline | None = None,
    *,
    allow_resample: bool = False,
    baseline_command: str = BASELINE_COMMAND,
) -> tuple[Diagnosis, Evidence | None]:
    """Give the verdict on one recording, and the pictures behind it (None when refused).

    All whole windows of the recording are judged together: the logits are the mean over windows, and
    the windows' maps stand side by side in time, so that map and logit still add up. `baseline` is that
    of the recording's asset; a model that needs one refuses without it.
    """
    if allow_resample and recording.sampling_rate_hz != model.spec.sampling_rate_hz:
        recording = resample(recording, model.spec.sampling_rate_hz)
    checked = Checked(recording, check(recording, model.spec), baseline)
    return judge_checked([checked], model, baseline_command=baseline_command)[0]


def judge_checked(
    checked: Sequence[Checked], model: Model, *, baseline_command: str = BASELINE_COMMAND
) -> list[tuple[Diagnosis, Evidence | None]]:
    """Give the verdicts on recordings that go through the network together; see `judge`."""
    drafts = [_refusal(one, model, baseline_command) for one in checked]
    fit = [one for one, draft in zip(checked, drafts, strict=True) if not draft.reason]
    predicted = iter(_predict_together(fit, model))
    return [
        (draft, None) if draft.reason else _conclude(draft, one.recording, model, next(predicted))
        for one, draft in zip(checked, drafts, strict=True)
    ]


def _refusal(checked: Checked, model: Model, baseline_command: str) -> Diagnosis:
    """What is known of a recording before it is judged; with a reason where it cannot be."""
    draft = _draft(checked.recording, model, checked.findings)
    severe = [finding for finding in checked.findings if finding.refuse]
    if severe:
        return replace(draft, reason=severe[0].message, remedy=severe[0].remedy)
    if model.needs_baseline and checked.baseline is None:
        return _without_baseline(draft, baseline_command)
    return draft


def _conclude(
    draft: Diagnosis, recording: Recording, model: Model, predicted: Prediction
) -> tuple[Diagnosis, Evidence]:
    logits = predicted.logits.mean(axis=0, dtype=np.float64)
    chances = model.probabilities(logits)
    label = predicted_label(model.decision(logits), model.classes, model.is_multilabel)
    shown, reference = model.what_to_show(label, logits)
    maps = np.concatenate(list(predicted.maps), axis=-1)
    speed = model.relative_speed(recording.shaft_hz)
    axes = _axes(recording, model, maps, speed)
    _check(predicted, model)
    # In calibrated logits, so that the picture adds up to the log odds of the probabilities beside it.
    scale = 1 / model.calibration.temperature
    activation = contrast(scale * maps, scale * logits, model.classes, shown, reference, axes)
    distance = float(np.median(model.calibration.distance(predicted.embedding)))
    unknown = distance > model.calibration.unknown_above
    healthy = label in (model.healthy, "healthy")
    diagnosis = replace(
        draft,
        verdict="unknown" if unknown else "healthy" if healthy else "fault",
        label=label,
        probabilities={name: float(chance) for name, chance in zip(model.classes, chances, strict=True)},
        reason=_reason(label, activation, distance, model, unknown),
        remedy=_remedy(label, unknown, healthy),
        regions=_named_regions(activation, axes, model),
        reference=reference,
    )
    return diagnosis, evidence_of(recording, model, predicted, activation, axes, speed)


def _without_baseline(draft: Diagnosis, command: str) -> Diagnosis:
    whose = f"of asset {draft.asset}" if draft.asset else "where no asset is named"
    option = f" --asset {shlex.quote(draft.asset)}" if draft.asset else ""
    return replace(
        draft,
        verdict="refused",
        reason=f"no healthy baseline {whose} for images such as this model's",
        remedy=f"Record it healthy {MIN_RECORDINGS} times or more, then: {command}{option}",
    )


def _draft(recording: Recording, model: Model, findings: tuple[Finding, ...]) -> Diagnosis:
    return Diagnosis(
        recording_id=recording.id,
        recording=recording.source,
        channel=recording.channel,
        asset=recording.asset,
        verdict="refused",
        findings=findings,
        start_s=recording.start_s,
        duration_s=recording.duration_s,
        sampling_rate_hz=recording.sampling_rate_hz,
        unit=recording.unit,
        recorded_at=recording.recorded_at.isoformat() if recording.recorded_at else "",
        model=model.digest,
        warnings=(*recording.warnings, *recording.history),
    )


def _predict_together(checked: Sequence[Checked], model: Model) -> Iterator[Prediction]:
    """Predictions of recordings in their order; the windows of short ones go through the network as one batch."""
    n = model.n
    together: list[Checked] = []
    for one in checked:
        windows = len(one.recording.samples) // n
        if together and windows + sum(len(other.recording.samples) // n for other in together) > WINDOWS_TOGETHER:
            yield from _predict_batch(together, model)
            together = []
        if windows > WINDOWS_TOGETHER:
            yield _predict_long(one.recording, model, one.baseline)
        else:
            together.append(one)
    if together:
        yield from _predict_batch(together, model)


def _predict_batch(checked: Sequence[Checked], model: Model) -> Iterator[Prediction]:
    n = model.n
    counts = [len(one.recording.samples) // n for one in checked]
    windows = [
        np.asarray(one.recording.samples[: count * n], np.float32).reshape(-1, n)
        for one, count in zip(checked, counts, strict=True)
    ]
    speeds = [model.relative_speed(one.recording.shaft_hz) for one in checked]
    predicted = model.predict(
        np.concatenate(windows),
        _each(checked, counts) if model.needs_baseline else None,
        speed=np.repeat(speeds, counts),
    )
    first = 0
    for count in counts:
        rows = slice(first, first + count)
        first += count
        part: list[Any] = [None if value is None else value[rows] for value in predicted]
        yield _folded(Prediction(*part), columns_to_fold(count * model.settings.image.columns))


def _each(checked: Sequence[Checked], counts: Sequence[int]) -> Baseline:
    """The baselines of recordings, repeated for their windows."""
    baselines = [one.baseline for one in checked if one.baseline is not None]
    mean_db, spread_db = (
        np.repeat(np.stack([getattr(baseline, name) for baseline in baselines]), counts, axis=0)
        for name in ("mean_db", "spread_db")
    )
    return Baseline(mean_db, spread_db, min(baseline.recordings for baseline in baselines))


def _folded(part: Prediction, fold: int) -> Prediction:
    """Pictures no wider than people can see."""
    if fold == 1:
        return part
    change = None if part.change is None else mean_of_columns(part.change, fold)
    return part._replace(image_db=mean_of_columns(part.image_db, fold), change=change)


def _predict_long(recording: Recording, model: Model, baseline: Baseline | None) -> Prediction:
    n = model.n
    count = len(recording.samples) // n
    fold = columns_to_fold(count * model.settings.image.columns)
    speed = model.relative_speed(recording.shaft_hz)
    parts = []
    for first in range(0, count, WINDOWS_TOGETHER):  # bounded memory, however long the recording
        last = min(first + WINDOWS_TOGETHER, count)
        block = np.asarray(recording.samples[first * n : last * n], np.float32)
        parts.append(_folded(model.predict(block.reshape(-1, n), baseline, speed=speed), fold))
    return Prediction.join(parts)


def _axes(recording: Recording, model: Model, maps: np.ndarray, speed: float) -> Axes:
    """Edges of the tiled maps' cells, within the file."""
    n_windows = len(recording.samples) // model.n
    pooled = model.map_axes(maps, speed)
    seconds = np.linspace(0, n_windows * model.window_s, maps.shape[-1] + 1)
    return Axes(pooled.frequency_hz, recording.start_s + seconds)


def _check(predicted: Prediction, model: Model) -> None:
    """Hold every deployed network to its identity: the mean of each map plus the head's bias is the logit."""
    bias = model.diagnoser.bias
    if bias is None:
        return
    sums = predicted.maps.mean(axis=(0, 2, 3), dtype=np.float64) + bias.detach().numpy()
    for name, total, logit in zip(model.classes, sums, predicted.logits.mean(axis=0, dtype=np.float64), strict=True):
        check_add_up(ActivationMap(np.full((1, 1), total), np.zeros(1), np.zeros(1), name), float(logit))


def _named_regions(activation: ActivationMap, axes: Axes, model: Model) -> tuple[Region, ...]:
    settings = model.settings.diagnosis
    found = regions(
        activation,
        axes,
        threshold=settings.region_threshold,
        most=settings.max_regions,
        least_share=settings.min_region_share,
    )
    return tuple(replace(region, name=name_region(region, model.modes, model.mode_tolerance)) for region in found)


def _reason(label: str, activation: ActivationMap, distance: float, model: Model, unknown: bool) -> str:
    spoken = activation.label.replace("_", " ")
    against = f" against {activation.reference.replace('_', ' ')}" if activation.reference else ""
    odds = f"the log odds of {spoken}{against} are {activation.logit:+.1f}"
    if unknown:
        return (
            f"unlike anything trained on: distance {distance:.1f} from the nearest class, known recordings stay "
            f"within {model.calibration.unknown_above:.1f}; the nearest label is {label.replace('_', ' ')} ({odds})"
        )
    return odds[0].upper() + odds[1:]


def _remedy(label: str, unknown: bool, healthy: bool) -> str:
    if unknown:
        return "Have an engineer look at it; if it is a new condition, label it and train again"
    if healthy:
        return ""
    return (
        f"Check the asset for {label.replace('_', ' ').replace('+', ' and ')}, first where the strongest region points"
    )


def predicted_label(logits: NDArray[np.floating], classes: Sequence[str], multilabel: bool) -> str:
    """Label that logits, shape (classes,), stand for; several faults are joined by ``+``."""
    if not multilabel:
        return classes[int(np.argmax(logits))]
    return "+".join(name for name, logit in zip(classes, logits, strict=True) if logit > 0) or "healthy"
