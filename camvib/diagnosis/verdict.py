"""One recording → its verdict, with reason, remedy and evidence."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from camvib.diagnosis.contrast import check_add_up, contrast
from camvib.diagnosis.evidence import columns_to_fold, evidence_of, mean_of_columns
from camvib.diagnosis.names import name_region
from camvib.diagnosis.regions import regions
from camvib.images.axes import Axes
from camvib.images.baseline import MIN_RECORDINGS, Baseline
from camvib.model.diagnoser import Prediction
from camvib.model.model import Model
from camvib.recordings.quality import check
from camvib.recordings.resampling import resample
from camvib.records import ActivationMap, Diagnosis, Evidence, Finding, Recording, Region

BASELINE_COMMAND = "camvib baseline HEALTHY_RECORDINGS --model MODEL"


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
    findings = check(recording, model.spec)
    draft = _draft(recording, model, findings)
    severe = [finding for finding in findings if finding.refuse]
    if severe:
        return replace(draft, verdict="refused", reason=severe[0].message, remedy=severe[0].remedy), None
    if model.needs_baseline and baseline is None:
        return _without_baseline(draft, baseline_command), None
    predicted = _predict(recording, model, baseline)
    logits = predicted.logits.mean(axis=0, dtype=np.float64)
    chances = model.probabilities(logits)
    label = predicted_label(logits, model.classes, model.is_multilabel)
    shown, reference = model.what_to_show(label, logits)
    maps = np.concatenate(list(predicted.maps), axis=-1)
    axes = _axes(recording, model, maps)
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
    return diagnosis, evidence_of(recording, model, predicted, activation, axes)


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


def _predict(recording: Recording, model: Model, baseline: Baseline | None) -> Prediction:
    n = model.diagnoser.spectrogram.n
    count = len(recording.samples) // n
    fold = columns_to_fold(count * model.settings.spectrogram.columns)
    parts = []
    for first in range(0, count, 64):  # bounded memory, however long the recording
        block = np.asarray(recording.samples[first * n : min(first + 64, count) * n], np.float32)
        part = model.predict(block.reshape(-1, n), baseline)
        change = None if part.change is None else mean_of_columns(part.change, fold)
        parts.append(part._replace(spectrogram_db=mean_of_columns(part.spectrogram_db, fold), change=change))
    return Prediction.join(parts)


def _axes(recording: Recording, model: Model, maps: np.ndarray) -> Axes:
    """Edges of the tiled maps' cells, within the file."""
    n_windows = len(recording.samples) // model.diagnoser.spectrogram.n
    pooled = model.diagnoser.spectrogram.axes.pooled(maps.shape[-2], 1)
    seconds = np.linspace(0, n_windows * model.window_s, maps.shape[-1] + 1)
    return Axes(pooled.frequency_hz, recording.start_s + seconds)


def _check(predicted: Prediction, model: Model) -> None:
    """Hold every deployed network to its identity: the mean of each map plus the head's bias is the logit."""
    bias = model.diagnoser.network.bias
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
