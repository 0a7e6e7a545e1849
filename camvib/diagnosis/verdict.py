"""Recordings → verdicts with their evidence: the one path that CLI and flows walk."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from camvib.baseline import MIN_RECORDINGS, Baseline
from camvib.cam import check_add_up, contrast, regions
from camvib.datasets import Entry, expand, recordings
from camvib.errors import CamvibError
from camvib.evaluation.classification import predicted_label
from camvib.inference import Model, Prediction, load_model
from camvib.long_signals import extremes, power_density
from camvib.quality import check, resample
from camvib.records import (
    ActivationMap,
    ChangeMap,
    Diagnosis,
    Evidence,
    Finding,
    Recording,
    Region,
    Spectrogram,
    file_sha256,
    recording_id,
)
from camvib.rigs import name_region
from camvib.spectrograms import Axes
from camvib.store import Store

BASELINE_COMMAND = "camvib baseline HEALTHY_RECORDINGS --model MODEL"
WAVEFORM_POINTS = 800
SPECTRUM_POINTS = 800
SPECTROGRAM_COLUMNS = 512


class Batch(NamedTuple):
    """What a run of `diagnose` found: all diagnoses in the order of the recordings, and how many are new."""

    diagnoses: list[Diagnosis]
    new: int

    @property
    def counts(self) -> dict[str, int]:
        """Number of recordings by verdict."""
        return dict(Counter(diagnosis.verdict for diagnosis in self.diagnoses))


def diagnose(
    paths: Sequence[Path],
    model: Model | Path,
    store: Store,
    *,
    channel: str | None = None,
    unit: str | None = None,
    sampling_rate_hz: float | None = None,
    allow_resample: bool = False,
    asset: str = "",
    baseline_command: str = BASELINE_COMMAND,
    progress: bool = True,
) -> Batch:
    """Diagnose every recording in files and folders that this model has not diagnosed yet.

    Parameters
    ----------
    paths : sequence of Path
        Files, or folders with or without a ``labels.csv``.
    model : Model or Path
        A model, or a folder that holds one.
    store : Store
        Done recordings are found there; new diagnoses go there one by one.
    channel, unit, sampling_rate_hz : optional
        Declared for files that do not say it themselves.
    allow_resample : bool
        Bring recordings to the model's sampling rate instead of refusing them.
    asset : str
        The asset of recordings that name none themselves.
    baseline_command : str
        What learns baselines for this model and store: the remedy where one is missing.
    progress : bool
        Show a progress bar when it takes longer than 2 s.

    Returns
    -------
    Batch
        A recording that cannot be read or judged is refused, with reason and remedy; the rest goes on. So is one
        without a healthy baseline of its asset, if the model compares with it.
    """
    if not isinstance(model, Model):
        model = load_model(model)
    ledger = _Ledger(store, model, allow_resample, asset, baseline_command)
    listed, wrong = _list(paths, {"channel": channel, "unit": unit, "sampling_rate_hz": sampling_rate_hz})
    outcomes = [ledger.refuse(path, None, error) for path, error in wrong]
    bar = tqdm(total=len(listed), desc="diagnose", unit="recording", disable=not progress, delay=2)
    for entry, found in groupby(recordings(listed), key=lambda pair: pair[0]):
        for recording in of_channel([recording for _, recording in found], model.spec.channel):
            if isinstance(recording, CamvibError):
                outcomes.append(ledger.refuse(entry.file, entry.start_s, recording))
            else:
                outcomes.append(ledger.diagnose(recording, entry))
        bar.update(1)
    bar.close()
    return Batch([diagnosis for diagnosis, _ in outcomes], sum(is_new for _, is_new in outcomes))


def _list(paths: Sequence[Path], declared: dict[str, Any]) -> tuple[list[Entry], list[tuple[Path, CamvibError]]]:
    """List the recordings of all paths; a path that cannot be listed does not stop the others."""
    listed, wrong = [], []
    for path in paths:
        try:
            listed += list(expand([path], **declared))
        except CamvibError as error:
            wrong.append((path, error))
    if wrong and not listed:
        raise wrong[0][1]
    return listed, wrong


def of_channel(found: list[Recording | CamvibError], channel: str | None) -> list[Recording | CamvibError]:
    """Of a file's channels take the one that the model was trained on, if it has it; else all."""
    same = [r for r in found if isinstance(r, Recording) and r.channel == channel]
    return [*same] or found


class _Ledger:
    """Each recording once: what a model says of it, or what the store says it said."""

    def __init__(self, store: Store, model: Model, allow_resample: bool, asset: str, baseline_command: str) -> None:
        self.store, self.model, self.allow_resample = store, model, allow_resample
        self.asset, self.baseline_command = asset, baseline_command
        self.digest = f"{model.settings.diagnosis.digest()}{'-resample' if allow_resample else ''}"
        self._baselines: dict[str, Baseline | None] = {}

    def baseline(self, asset: str) -> Baseline | None:
        """The asset's, if the model needs one and it was learned."""
        if asset not in self._baselines:
            kept = self.store.baseline(asset, self.model.image_digest) if self.model.needs_baseline else None
            self._baselines[asset] = kept.baseline if kept else None
        return self._baselines[asset]

    def diagnose(self, recording: Recording, entry: Entry) -> tuple[Diagnosis, bool]:
        """Verdict, and whether it is new."""
        # A baseline is of the asset; where none is named, of the group, as in training.
        group = entry.group if self.model.needs_baseline else ""
        recording = replace(recording, asset=recording.asset or self.asset or group)
        baseline = self.baseline(recording.asset)
        # A baseline that is renewed, or comes later, asks for a new verdict.
        digest = f"{self.digest}-{baseline.digest}" if baseline else self.digest
        done = self.store.find([recording.id], self.model.digest, digest)
        if done:
            return done[recording.id], False
        diagnosis, evidence = judge(
            recording,
            self.model,
            baseline,
            allow_resample=self.allow_resample,
            baseline_command=self.baseline_command,
        )
        return self._once(replace(diagnosis, settings_digest=digest), evidence)

    def refuse(self, file: Path, start_s: float | None, error: CamvibError) -> tuple[Diagnosis, bool]:
        """Refuse what cannot be read."""
        return self._once(_unreadable(file, start_s, error, self.model, self.digest), None)

    def _once(self, diagnosis: Diagnosis, evidence: Evidence | None) -> tuple[Diagnosis, bool]:
        key = (diagnosis.recording_id, diagnosis.model, diagnosis.settings_digest)
        done = self.store.find([key[0]], *key[1:])
        if done:
            return done[key[0]], False
        self.store.save(diagnosis, evidence)
        return diagnosis, True


def _unreadable(file: Path, start_s: float | None, error: CamvibError, model: Model, digest: str) -> Diagnosis:
    """Refuse what cannot be read.

    The reason is part of its id, so that a file is tried again once its rate or unit is declared.
    """
    try:
        content = file_sha256(file)
    except OSError:  # missing, a folder, or not ours to read
        content = str(file)
    identity = recording_id(content, error.message, start_s or 0.0, 0.0)
    return Diagnosis(
        identity,
        str(file),
        channel="",
        asset="",
        verdict="refused",
        reason=error.message,
        remedy=error.remedy,
        model=model.digest,
        settings_digest=digest,
    )


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
    return diagnosis, _evidence(recording, model, predicted, activation, axes)


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
    fold = _columns_to_fold(count * model.settings.spectrogram.columns)
    parts = []
    for first in range(0, count, 64):  # bounded memory, however long the recording
        block = np.asarray(recording.samples[first * n : min(first + 64, count) * n], np.float32)
        part = model.predict(block.reshape(-1, n), baseline)
        change = None if part.change is None else _fold(part.change, fold)
        parts.append(part._replace(spectrogram_db=_fold(part.spectrogram_db, fold), change=change))
    return Prediction.join(parts)


def _fold(images: NDArray[np.floating], fold: int) -> NDArray[np.floating]:
    """Average every `fold` neighbouring columns."""
    return images.reshape(*images.shape[:-1], -1, fold).mean(axis=-1)


def _columns_to_fold(columns: int) -> int:
    """How many neighbouring columns of a long recording's picture become one: a power of two."""
    return int(2 ** np.clip(np.ceil(np.log2(columns / SPECTROGRAM_COLUMNS)), 0, 5))


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


def _evidence(
    recording: Recording, model: Model, predicted: Prediction, activation: ActivationMap, axes: Axes
) -> Evidence:
    image = np.concatenate(list(predicted.spectrogram_db), axis=-1)
    centres = model.diagnoser.spectrogram.axes.centres()
    edges_s = np.linspace(axes.time_s[0], axes.time_s[-1], image.shape[-1] + 1)
    seconds = (edges_s[1:] + edges_s[:-1]) / 2
    change = None if predicted.change is None else np.concatenate(list(predicted.change), axis=-1)
    samples = recording.samples
    low, high = extremes(samples, min(WAVEFORM_POINTS, len(samples)))
    segment = min(len(samples), model.diagnoser.spectrogram.n_fft * 2)
    hz, density = power_density(samples, recording.sampling_rate_hz, segment)
    bins = np.linspace(0, len(hz), min(SPECTRUM_POINTS, len(hz)) + 1).astype(int)[:-1]
    return Evidence(
        spectrogram=Spectrogram(image, centres.frequency_hz, seconds, recording.unit),
        contrast=_folded(activation),
        waveform_low=low,
        waveform_high=high,
        spectrum_hz=hz[bins],
        # The largest of the bins that fall together: a line must not vanish from the picture.
        spectrum_db=10 * np.log10(np.maximum.reduceat(density, bins) + 1e-30),
        change=None if change is None else ChangeMap(change, centres.frequency_hz, seconds),
    )


def _folded(activation: ActivationMap) -> ActivationMap:
    """Map of a long recording, with neighbouring columns averaged: its mean, and so its sum, stays."""
    columns = activation.values.shape[1]
    fold = min(_columns_to_fold(columns), columns & -columns)
    values = _fold(activation.values, fold)
    return replace(activation, values=values, time_s=activation.time_s.reshape(-1, fold).mean(axis=-1))
