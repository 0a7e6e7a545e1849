"""A labelled folder → a run folder with a trained model and its figures on unseen groups.

Knows neither Prefect nor MLflow. Called again on the same folder with the same settings and data,
it goes on from the last checkpoint, or returns what is there.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from camvib import calibration
from camvib.change_fitting import fit_change, settle_source, with_baselines
from camvib.errors import CamvibError, SplitError
from camvib.evaluation.classification import classification_figures
from camvib.evaluation.splits import Split, group_split
from camvib.fitting import OnEpoch, fit_network
from camvib.inference import HEALTHY_WORDS, Diagnoser, Model
from camvib.quality import InputSpec
from camvib.rigs import load_rig
from camvib.settings import Settings
from camvib.training_data import TrainingData, load_training_data


@dataclass(frozen=True)
class TrainingResult:
    """What a training gave: figures on groups that it never saw, and where the model lies."""

    folder: Path
    model_dir: Path
    accuracy: float
    macro_f1: float
    classes: tuple[str, ...]
    train_groups: tuple[str, ...]
    test_groups: tuple[str, ...]
    data_digest: str
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Recipe:
    """What differs between networks: settings that hang on the data, what the data must have, and the fit."""

    settle: Callable[[TrainingData, Settings], Settings]
    prepare: Callable[[TrainingData, Settings, bool], TrainingData]
    fit: Callable[..., Diagnoser]


PLAIN = Recipe(lambda data, settings: settings, lambda data, settings, progress: data, fit_network)
RECIPES = {"change_cnn": Recipe(settle_source, with_baselines, fit_change)}


def train(
    folder: Path,
    out: Path,
    settings: Settings,
    *,
    channel: str | None = None,
    unit: str | None = None,
    sampling_rate_hz: float | None = None,
    resample_hz: float | None = None,
    group_column: str | None = None,
    extra_columns: bool = False,
    rig: str | None = None,
    resume: bool = True,
    on_epoch: OnEpoch | None = None,
    progress: bool = True,
) -> TrainingResult:
    """Train on a labelled folder and measure on groups held out of it.

    Parameters
    ----------
    folder : Path
        Holds ``labels.csv`` and the files it names.
    out : Path
        The run folder to write.
    settings : Settings
    channel, unit, sampling_rate_hz : optional
        Declared for files that do not say it themselves.
    resample_hz : float, optional
        Bring every recording to this rate first, with an anti-alias filter.
    group_column : str, optional
        Column of labels.csv to split by instead of ``group``.
    extra_columns : bool
        Accept columns in labels.csv that camvib does not know.
    rig : str, optional
        Rig file, or the name of one; by default ``rig.toml`` in `folder` if there is one.
    resume : bool
        Go on from the checkpoint in `out`, if it is of the same settings and data.
    on_epoch : callable, optional
        Called with the epoch's number and its metrics.
    progress : bool
        Show progress bars.

    Raises
    ------
    LabelsError, SplitError, ReadError, SettingsError
    """
    data = load_training_data(
        folder,
        settings.spectrogram.window_s,
        channel=channel,
        unit=unit,
        sampling_rate_hz=sampling_rate_hz,
        resample_hz=resample_hz,
        group_column=group_column,
        extra_columns=extra_columns,
        multilabel=settings.model.head == "sigmoid",
        healthy=settings.diagnosis.healthy,
        progress=progress,
    )
    recipe = RECIPES.get(settings.model.name, PLAIN)
    settings = settings.model_copy(
        update={"spectrogram": settings.spectrogram.model_copy(update={"window_s": data.window_s})}
    )
    settings = recipe.settle(data, settings)
    if rig is None and (folder / "rig.toml").is_file():
        rig = str(folder / "rig.toml")
    fingerprint = _fingerprint(data, settings, rig)
    if resume and (done := _finished(out, fingerprint)):
        return done
    out.mkdir(parents=True, exist_ok=True)
    data = recipe.prepare(data, settings, progress)
    split = group_split(
        data.labels,
        data.groups,
        test_fraction=settings.training.test_fraction,
        validation_fraction=settings.training.validation_fraction,
        seed=settings.training.seed,
    )
    _describe_run(out, data, settings, split)
    diagnoser = recipe.fit(
        data, split, settings, out, fingerprint=fingerprint, resume=resume, on_epoch=on_epoch, progress=progress
    )
    model = _with_calibration(diagnoser, data, split, settings, rig)
    return _conclude(model, data, split, settings, out, fingerprint)


def _fingerprint(data: TrainingData, settings: Settings, rig: str | None) -> str:
    key = json.dumps([data.digest, settings.digest(), rig, data.channel, data.unit, data.sampling_rate_hz])
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _finished(out: Path, fingerprint: str) -> TrainingResult | None:
    path = out / "metrics.json"
    if not path.is_file():
        return None
    metrics = json.loads(path.read_text())
    return _result(out, metrics) if metrics.get("fingerprint") == fingerprint else None


def _result(out: Path, metrics: dict[str, Any]) -> TrainingResult:
    return TrainingResult(
        folder=out,
        model_dir=out / "model",
        accuracy=metrics["accuracy"],
        macro_f1=metrics["macro_f1"],
        classes=tuple(metrics["classes"]),
        train_groups=tuple(metrics["train_groups"]),
        test_groups=tuple(metrics["test_groups"]),
        data_digest=metrics["data_digest"],
        metrics=metrics,
    )


def _describe_run(out: Path, data: TrainingData, settings: Settings, split: Split) -> None:
    """Write down what goes in before anything is fitted."""
    (out / "settings.json").write_text(settings.model_dump_json(indent=2) + "\n")
    side = np.full(len(data.labels), "train", dtype=object)
    side[split.validation], side[split.test] = "validation", "test"
    table = pd.DataFrame(
        {"recording_id": data.ids, "file": data.files, "label": data.labels, "group": data.groups, "side": side}
    )
    table.to_csv(out / "split.csv", index=False)
    (out / "data.json").write_text(
        json.dumps(
            {
                "digest": data.digest,
                "folder": data.folder.name,
                "channel": data.channel,
                "unit": data.unit,
                "sampling_rate_hz": data.sampling_rate_hz,
                "window_s": data.window_s,
                "recordings": len(data.labels),
                "windows": len(data.windows),
                "left_out": data.left_out,
            },
            indent=2,
        )
        + "\n"
    )
    packages = sorted({f"{d.metadata['Name']}=={d.version}" for d in distributions() if d.metadata["Name"]})
    (out / "environment.txt").write_text("\n".join([f"python=={platform.python_version()}", *packages]) + "\n")


def _with_calibration(diagnoser: Any, data: TrainingData, split: Split, settings: Settings, rig: str | None) -> Model:
    """Fit temperature and the distance to the known on validation groups; on training ones if there are none."""
    healthy = _healthy_class(data.classes, settings)
    # What is normal for the sensor is learnt where the network is: never from the test groups.
    seen_recordings = [data.recordings[i] for i in np.concatenate([split.train, split.validation])]
    spec = InputSpec.learn(seen_recordings, data.window_s)
    named = load_rig(rig, data.sampling_rate_hz / 2) if rig else None
    known = calibration.Calibration(1.0, np.zeros((1, 1)), np.zeros((1, 1)), np.inf)
    draft = Model(diagnoser, data.classes, healthy, spec, settings, known)
    held = split.validation if len(split.validation) else split.train
    seen_windows, held_windows = data.windows_of(split.train), data.windows_of(held)
    seen, unseen = (
        draft.predict(data.windows[windows], data.baseline_of(windows)) for windows in (seen_windows, held_windows)
    )
    fitted = calibration.fit(
        seen.embedding,
        data.label_index[data.entry[seen_windows]],
        unseen.embedding,
        unseen.logits,
        data.label_index[data.entry[held_windows]],
        temperature=not draft.is_multilabel,
    )
    return Model(
        diagnoser,
        data.classes,
        healthy,
        spec,
        settings,
        fitted,
        modes=named.modes if named else (),
        mode_tolerance=named.tolerance if named else 0.08,
    )


def _healthy_class(classes: tuple[str, ...], settings: Settings) -> str:
    wanted = settings.diagnosis.healthy
    if wanted is not None and wanted not in classes and settings.model.head != "sigmoid":
        raise CamvibError(
            f"the healthy class {wanted!r} is not among the labels {', '.join(classes)}",
            "Name one of them with --healthy",
        )
    if settings.model.head == "sigmoid":
        return ""  # healthy is the absence of every fault
    return wanted or next((c for c in classes if c.lower() in HEALTHY_WORDS), "")


def _conclude(
    model: Model, data: TrainingData, split: Split, settings: Settings, out: Path, fingerprint: str
) -> TrainingResult:
    """Measure on the test groups, once, and write model, metrics and pictures."""
    from camvib.training_pictures import write_pictures

    windows = data.windows_of(split.test)
    if not len(windows):
        raise SplitError("no test recording could be read", "See left_out in data.json for the reasons")
    predicted = model.predict(data.windows[windows], data.baseline_of(windows))
    logits = np.stack([predicted.logits[data.entry[windows] == i].mean(axis=0) for i in split.test])
    figures = classification_figures(
        [data.labels[i] for i in split.test], logits, data.classes, multilabel=model.is_multilabel
    )
    groups = np.asarray(data.groups)
    metrics = {
        **figures,
        "classes": list(data.classes),
        "train_groups": sorted(set(groups[split.train])),
        "validation_groups": sorted(set(groups[split.validation])),
        "test_groups": sorted(set(groups[split.test])),
        "test_recordings": len(split.test),
        "left_out": len(data.left_out),
        "data_digest": data.digest,
        "settings_digest": settings.digest(),
        "seed": settings.training.seed,
        "fingerprint": fingerprint,
    }
    card = {key: metrics[key] for key in ("accuracy", "macro_f1", "test_recordings", "data_digest", "seed")}
    card["test_groups"] = len(metrics["test_groups"])
    card["train_groups"] = len(metrics["train_groups"])
    model.card.update({**data.notes, **card})
    model.save(out / "model")
    write_pictures(model, data, split, figures, out)
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    return _result(out, metrics)
