"""Recordings → diagnoses in the ledger, each recording once: the one path that CLI and flows walk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from camvib.diagnosis.verdict import BASELINE_COMMAND, judge
from camvib.errors import CamvibError
from camvib.images.baseline import Baseline
from camvib.model.folder import load_model
from camvib.model.model import Model
from camvib.monitoring.ledger import Store
from camvib.recordings.discovery import expand
from camvib.recordings.entries import Entry, of_channel, recordings
from camvib.records import Diagnosis, Evidence, Recording, file_sha256, recording_id


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
