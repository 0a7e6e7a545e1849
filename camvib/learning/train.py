"""A labelled folder → a run folder with a trained model and its figures on unseen groups.

Knows neither Prefect nor MLflow. Called again on the same folder with the same settings and data,
it goes on from the last checkpoint, or returns what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from camvib.diagnosis.rigs import load_rig
from camvib.errors import CamvibError
from camvib.learning.change_cnn import fit_change
from camvib.learning.classifier import fit_network
from camvib.learning.data import TrainingData, load_training_data
from camvib.learning.healthy_pairs import settle_source, with_baselines
from camvib.learning.loop import OnEpoch
from camvib.learning.run_folder import TrainingResult, conclude, describe_run, fingerprint_of, finished
from camvib.learning.splits import Split, group_split
from camvib.model import calibration
from camvib.model.diagnoser import Diagnoser
from camvib.model.model import Model
from camvib.recordings.labels import HEALTHY_WORDS
from camvib.recordings.quality import InputSpec
from camvib.settings import Settings


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
    fingerprint = fingerprint_of(data, settings, rig)
    if resume and (done := finished(out, fingerprint)):
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
    describe_run(out, data, settings, split)
    diagnoser = recipe.fit(
        data, split, settings, out, fingerprint=fingerprint, resume=resume, on_epoch=on_epoch, progress=progress
    )
    model = _with_calibration(diagnoser, data, split, settings, rig)
    return conclude(model, data, split, settings, out, fingerprint)


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
