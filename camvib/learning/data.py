"""Labelled folder → recordings in memory, each knowing its entry, its group and its targets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from camvib.errors import CamvibError, LabelsError
from camvib.images.spectrogram import window_length_s
from camvib.recordings import catalog
from camvib.recordings.entries import Entry
from camvib.recordings.folder import LabelledSet
from camvib.recordings.labels import HEALTHY_WORDS
from camvib.recordings.quality import check
from camvib.recordings.resampling import resample
from camvib.recordings.shaft_speed import shaft_speeds_hz
from camvib.records import Declared, Recording


@dataclass(frozen=True, eq=False)
class TrainingData:
    """All recordings that can be used.

    Attributes
    ----------
    folder : Path
    recordings : list of Recording
        Of one rate, unit and channel.
    entries : list of Entry
    labels, groups : list of str
    targets : ndarray, shape (recordings, classes)
        1 where the recording has the class.
    classes : tuple of str
        Healthy first.
    healthy : str
        Name of the healthy class; empty where there is none.
    left_out : list of dict
        File and reason of what could not be used.
    digest : str
        Of the folder's rows and contents.
    shaft_hz : ndarray, shape (recordings,), or None
        Shaft speed of each, where labels.csv names it.
    notes : dict
        What the model card says of the data.
    """

    folder: Path
    recordings: list[Recording]
    entries: list[Entry]
    labels: list[str]
    groups: list[str]
    targets: NDArray[np.float32]
    classes: tuple[str, ...]
    healthy: str
    left_out: list[dict[str, str]]
    digest: str
    shaft_hz: NDArray[np.floating] | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.recordings)

    @property
    def sampling_rate_hz(self) -> float:
        """Rate of every recording."""
        return self.recordings[0].sampling_rate_hz

    @property
    def unit(self) -> str:
        """SI unit of every recording."""
        return self.recordings[0].unit

    @property
    def channel(self) -> str:
        """Channel of every recording."""
        return self.recordings[0].channel

    @property
    def ids(self) -> list[str]:
        """Stable name of each recording."""
        return [recording.id for recording in self.recordings]

    @property
    def files(self) -> list[str]:
        """File of each recording, as labels.csv names it."""
        return [
            entry.file.relative_to(self.folder).as_posix()
            if entry.file.is_relative_to(self.folder)
            else entry.file.name
            for entry in self.entries
        ]

    @property
    def assets(self) -> list[str]:
        """Asset of each recording; its group where labels.csv names none."""
        return [entry.asset or entry.group for entry in self.entries]

    @cached_property
    def label_index(self) -> NDArray[np.int64]:
        """Index of each recording's label among the distinct labels (class, or combination of faults)."""
        return np.unique(self.labels, return_inverse=True)[1]

    @property
    def mean_shaft_hz(self) -> float:
        """Mean shaft speed; 0 where it is not known."""
        return float(self.shaft_hz.mean()) if self.shaft_hz is not None else 0.0

    @property
    def speeds(self) -> NDArray[np.floating]:
        """Shaft speed of each recording relative to the mean; 1 where it is not known."""
        return np.ones(len(self)) if self.shaft_hz is None else self.shaft_hz / self.shaft_hz.mean()

    @cached_property
    def window_s(self) -> float:
        """The longest window that every recording fills, at most 4 s."""
        return window_length_s([one.duration_s for one in self.recordings], self.sampling_rate_hz)

    @property
    def fewest_groups(self) -> int:
        """How many groups the label with the fewest has."""
        seen: dict[str, set[str]] = {}
        for label, group in zip(self.labels, self.groups, strict=True):
            seen.setdefault(label, set()).add(group)
        return min(len(found) for found in seen.values())


def open_labelled(folder: Path, declared: Declared = Declared()) -> LabelledSet:
    """Read labels.csv, with what the catalog knows of the folder; no recording is read yet.

    Raises
    ------
    LabelsError
    """
    known = catalog.find(folder)
    if known:
        channel, unit = declared.channel or known.channel, declared.unit or known.unit
        declared = replace(declared, channel=channel, unit=unit, extra_columns=True)
    return LabelledSet.load(folder, declared)


def load_training_data(
    folder: Path,
    declared: Declared = Declared(),
    *,
    multilabel: bool = False,
    healthy: str | None = None,
    progress: bool = True,
) -> TrainingData:
    """Read and check a labelled folder.

    Parameters
    ----------
    folder : Path
    declared : Declared
    multilabel : bool
        Labels such as ``crack+impact`` are sets of faults.
    healthy : str, optional
        Name of the healthy class, where it is none of the usual words.
    progress : bool

    Raises
    ------
    LabelsError
        Not one recording can be used; recordings differ in rate, unit or channel; there is one label only.
    """
    folder = Path(folder)
    labelled = open_labelled(folder, declared)
    used, left_out = _read_all(labelled, declared.resample_hz, progress)
    _check_alike([recording for _, recording in used], folder)
    used, short = _long_enough(used)
    left_out += short
    entries = [entry for entry, _ in used]
    known = catalog.find(folder)
    labels = [entry.label for entry in entries]
    if healthy is None and known and known.healthy in labels:
        healthy = known.healthy
    classes = class_names(labels, multilabel, healthy)
    return TrainingData(
        folder=folder,
        recordings=[recording for _, recording in used],
        entries=entries,
        labels=labels,
        groups=[entry.group for entry in entries],
        targets=np.array([target_vector(label, classes, multilabel) for label in labels], np.float32),
        classes=classes,
        healthy=_healthy_class(classes, healthy, multilabel),
        left_out=left_out,
        digest=labelled.digest(),
        shaft_hz=shaft_speeds_hz([entry.attributes for entry in entries]),
    )


def _read_all(
    labelled: LabelledSet, resample_hz: float | None, progress: bool
) -> tuple[list[tuple[Entry, Recording]], list[dict[str, str]]]:
    """Read and check every entry; what is not fit is left out with its reason, the rest goes on."""
    used, left_out = [], []
    bar = tqdm(labelled.recordings(), total=len(labelled.entries), desc="read", disable=not progress, delay=2)
    for entry, recording in bar:
        if isinstance(recording, Recording) and resample_hz:
            recording = resample(recording, resample_hz)
        if isinstance(recording, CamvibError):
            left_out.append({"file": str(entry.file.name), "reason": str(recording)})
        elif severe := [finding for finding in check(recording) if finding.refuse]:
            left_out.append({"file": str(entry.file.name), "reason": f"{severe[0].message}. {severe[0].remedy}"})
        else:
            used.append((entry, recording))
    if not used:
        first = left_out[0]["reason"] if left_out else "labels.csv has no rows"
        raise LabelsError(f"{labelled.folder}: not one recording can be used; the first: {first}", "Mend the files")
    return used, left_out


def _check_alike(recordings: list[Recording], folder: Path) -> None:
    """One model takes one rate, unit and channel: a mixture would be told apart by it, not by the fault."""
    remedies = {
        "sampling_rate_hz": "Bring all to one rate with --resample HZ: a rate that differs by class is a shortcut",
        "unit": "Declare the same unit in labels.csv, or 'arbitrary' for all",
        "channel": "Choose one with --channel",
    }
    for name, remedy in remedies.items():
        counts = Counter(getattr(recording, name) for recording in recordings)
        if len(counts) > 1:
            seen = ", ".join(f"{value} ({count} recordings)" for value, count in counts.most_common(4))
            raise LabelsError(f"{folder / 'labels.csv'}: recordings differ in {name}: {seen}", remedy)


def _long_enough(
    used: list[tuple[Entry, Recording]],
) -> tuple[list[tuple[Entry, Recording]], list[dict[str, str]]]:
    """Leave out the few that are much shorter than the rest: they would shorten the window of all."""
    least = window_length_s([one.duration_s for _, one in used], used[0][1].sampling_rate_hz)
    kept = [(entry, one) for entry, one in used if one.duration_s >= least]
    short = [
        {"file": entry.file.name, "reason": f"{one.duration_s:.3g} s, the window takes {least:.3g} s"}
        for entry, one in used
        if one.duration_s < least
    ]
    return kept, short


def class_names(labels: list[str], multilabel: bool, healthy: str | None = None) -> tuple[str, ...]:
    """Classes of a set, healthy first; faults alone where they may come together (``crack+impact``)."""
    parts = {part for label in labels for part in (label.split("+") if multilabel else [label])}
    if multilabel:
        parts = {part for part in parts if part.lower() not in HEALTHY_WORDS}
    if len(parts) < (1 if multilabel else 2):
        raise LabelsError(
            f"labels.csv: only one label, {', '.join(sorted(set(labels)))}", "Training needs at least two conditions"
        )
    return tuple(sorted(parts, key=lambda part: (part != healthy, part.lower() not in HEALTHY_WORDS, part)))


def target_vector(label: str, classes: tuple[str, ...], multilabel: bool) -> list[float]:
    """1.0 for each class that the label names."""
    parts: Any = set(label.split("+")) if multilabel else {label}
    return [float(name in parts) for name in classes]


def _healthy_class(classes: tuple[str, ...], wanted: str | None, multilabel: bool) -> str:
    if multilabel:
        return ""  # healthy is the absence of every fault
    if wanted is not None and wanted not in classes:
        raise LabelsError(
            f"the healthy class {wanted!r} is not among the labels {', '.join(classes)}",
            "Name one of them with --healthy",
        )
    return wanted or next((c for c in classes if c.lower() in HEALTHY_WORDS), "")
