"""Labelled folder → windows in memory, each knowing its entry, its group and its targets."""

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
from camvib.images.baseline import Baseline, HealthyPool
from camvib.images.spectrogram import window_length_s
from camvib.recordings import catalog
from camvib.recordings.entries import Entry
from camvib.recordings.folder import LabelledSet
from camvib.recordings.labels import HEALTHY_WORDS
from camvib.recordings.quality import check
from camvib.recordings.resampling import resample
from camvib.records import Recording


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Windows of all recordings that could be used.

    Attributes
    ----------
    windows : ndarray, shape (windows, samples)
    entry : ndarray, shape (windows,)
        Index of the recording that a window was cut from.
    targets : ndarray, shape (recordings, classes)
        1 where the recording has the class.
    labels, groups, ids, files, entries, recordings : list
        One each a recording.
    left_out : list of dict
        File and reason of what could not be used.
    baselines : Baseline, optional
        Of each recording's asset, from other healthy recordings of it, where the network compares with it.
    healthy : HealthyPool, optional
        What these are drawn from.
    notes : dict
        What the model card says of the data.
    """

    folder: Path
    windows: NDArray[np.float32]
    entry: NDArray[np.int64]
    targets: NDArray[np.float32]
    classes: tuple[str, ...]
    labels: list[str]
    groups: list[str]
    ids: list[str]
    files: list[str]
    left_out: list[dict[str, str]]
    digest: str
    entries: list[Entry]
    recordings: list[Recording]
    window_s: float
    baselines: Baseline | None = None
    healthy: HealthyPool | None = None
    notes: dict[str, Any] = field(default_factory=dict)

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

    @cached_property
    def label_index(self) -> NDArray[np.int64]:
        """Index of each recording's label among the distinct labels (class, or combination of faults)."""
        return np.unique(self.labels, return_inverse=True)[1]

    @property
    def assets(self) -> list[str]:
        """Asset of each recording; its group where labels.csv names none."""
        return [entry.asset or entry.group for entry in self.entries]

    def baseline_of(self, windows: NDArray[np.int64]) -> Baseline | None:
        """What these windows are compared with, one each."""
        if self.baselines is None:
            return None
        rows, known = self.entry[windows], self.baselines
        return Baseline(known.mean_db[rows], known.spread_db[rows], known.recordings)

    def without(self, left_out: dict[int, str]) -> TrainingData:
        """Leave recordings out, each for its reason."""
        kept = np.array([i for i in range(len(self.labels)) if i not in left_out], np.int64)
        windows = self.windows_of(kept)
        lists = {
            name: [getattr(self, name)[i] for i in kept]
            for name in ("labels", "groups", "ids", "files", "entries", "recordings")
        }
        reasons = [{"file": self.files[i], "reason": reason} for i, reason in left_out.items()]
        return replace(
            self,
            windows=self.windows[windows],
            entry=np.searchsorted(kept, self.entry[windows]),
            targets=self.targets[kept],
            left_out=self.left_out + reasons,
            **lists,  # type: ignore[arg-type]
        )

    def windows_of(self, recordings: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices of the windows of these recordings."""
        return np.flatnonzero(np.isin(self.entry, recordings))


def open_labelled(
    folder: Path,
    *,
    channel: str | None = None,
    unit: str | None = None,
    sampling_rate_hz: float | None = None,
    group_column: str | None = None,
    extra_columns: bool = False,
) -> LabelledSet:
    """Read labels.csv, with what the catalog knows of the folder; no recording is read yet.

    Raises
    ------
    LabelsError
    """
    known = catalog.find(folder)
    return LabelledSet.load(
        folder,
        channel=channel or (known.channel if known else None),
        unit=unit or (known.unit if known else None),
        sampling_rate_hz=sampling_rate_hz,
        group_column=group_column,
        extra_columns=extra_columns or known is not None,
    )


def load_training_data(
    folder: Path,
    window_s: float | None,
    *,
    channel: str | None,
    unit: str | None,
    sampling_rate_hz: float | None,
    resample_hz: float | None,
    group_column: str | None,
    extra_columns: bool,
    multilabel: bool,
    healthy: str | None,
    progress: bool,
) -> TrainingData:
    """Read, check and cut a labelled folder; see `camvib.learning.train.train` for the parameters."""
    labelled = open_labelled(
        folder,
        channel=channel,
        unit=unit,
        sampling_rate_hz=sampling_rate_hz,
        group_column=group_column,
        extra_columns=extra_columns,
    )
    used, left_out = _read_all(labelled, resample_hz, progress)
    _check_alike([recording for _, recording in used], folder)
    rate = used[0][1].sampling_rate_hz
    window_s = window_s or window_length_s([recording.duration_s for _, recording in used])
    n = round(window_s * rate)
    used, short = _long_enough(used, n)
    left_out += short
    entries = [entry for entry, _ in used]
    recordings = [recording for _, recording in used]
    cut = [cut_windows(recording, n) for recording in recordings]
    labels = [entry.label for entry in entries]
    classes = class_names(labels, multilabel, healthy)
    return TrainingData(
        folder=folder,
        windows=np.concatenate(cut),
        entry=np.repeat(np.arange(len(cut)), [len(c) for c in cut]),
        targets=np.array([target_vector(label, classes, multilabel) for label in labels], np.float32),
        classes=classes,
        labels=labels,
        groups=[entry.group for entry in entries],
        ids=[recording.id for recording in recordings],
        files=[entry.file.name for entry in entries],
        left_out=left_out,
        digest=labelled.digest(),
        entries=entries,
        recordings=recordings,
        window_s=n / rate,
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
    used: list[tuple[Entry, Recording]], n: int
) -> tuple[list[tuple[Entry, Recording]], list[dict[str, str]]]:
    kept = [(entry, recording) for entry, recording in used if len(recording.samples) >= n]
    short = [
        {"file": entry.file.name, "reason": f"{len(recording.samples)} samples, the window takes {n}"}
        for entry, recording in used
        if len(recording.samples) < n
    ]
    return kept, short


def cut_windows(recording: Recording, n: int) -> NDArray[np.float32]:
    """All whole windows of a recording, shape (windows, n)."""
    count = len(recording.samples) // n
    return np.asarray(recording.samples[: count * n], np.float32).reshape(count, n)


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
