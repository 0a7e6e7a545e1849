"""The nouns that travel through camvib. Frozen; axes travel with the values.

``Recording`` → ``Window`` → ``Spectrogram`` → ``ActivationMap`` → ``Diagnosis``
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["healthy", "fault", "unknown", "refused"]


@dataclass(frozen=True)
class Declared:
    """What a person declares about input that files or tables do not say, or say wrongly.

    Attributes
    ----------
    channel, unit, sampling_rate_hz : optional
        For files that do not say it themselves.
    resample_hz : float, optional
        Bring every recording to this rate, with an anti-alias filter.
    group_column : str, optional
        Column of labels.csv to split by instead of ``group``.
    extra_columns : bool
        Accept columns in labels.csv that camvib does not know.
    """

    channel: str | None = None
    unit: str | None = None
    sampling_rate_hz: float | None = None
    resample_hz: float | None = None
    group_column: str | None = None
    extra_columns: bool = False


@dataclass(frozen=True, eq=False)
class Recording:
    """One channel over time, in SI units.

    Attributes
    ----------
    samples : ndarray, shape (n,)
        Values in `unit`. May be memory-mapped for long recordings.
    sampling_rate_hz : float
    unit : str
        SI symbol from `camvib.units`, or ``"arbitrary"`` (then no level is compared with a limit).
    channel : str
    source : str
        Path of the file it came from.
    content_sha256 : str
        Hash of that file's bytes; with channel and start it makes the stable `id`.
    asset : str
        The machine or specimen it was taken on.
    start_s : float
        Where the samples start within the file.
    recorded_at : datetime or None
    history : tuple of str
        What was done to the samples on purpose (scaling, resampling), in order.
    warnings : tuple of str
        What the reader noticed.
    shaft_hz : float or None
        Speed of the shaft during the recording, where labels.csv names it.
    """

    samples: NDArray[np.floating]
    sampling_rate_hz: float
    unit: str
    channel: str
    source: str
    content_sha256: str
    asset: str = ""
    start_s: float = 0.0
    recorded_at: datetime | None = None
    history: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    shaft_hz: float | None = None

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sampling_rate_hz

    @property
    def id(self) -> str:
        """Stable name of this stretch of this channel of this file's content."""
        return recording_id(self.content_sha256, self.channel, self.start_s, self.duration_s)

    def with_history(self, step: str, **changes: object) -> Recording:
        """Return a copy with `changes` applied and `step` written into its history."""
        return replace(self, history=(*self.history, step), **changes)  # type: ignore[arg-type]


def recording_id(content_sha256: str, channel: str, start_s: float, duration_s: float) -> str:
    """Hash content, channel and stretch into 20 hexadecimal digits."""
    key = f"{content_sha256}|{channel}|{start_s:.6f}|{duration_s:.6f}"
    return hashlib.sha256(key.encode()).hexdigest()[:20]


def file_sha256(path: Path) -> str:
    """Hash a file's bytes without holding them in memory."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@dataclass(frozen=True, eq=False)
class Window:
    """A stretch of a recording, as long as the model's input: samples ``first : first + n``."""

    recording: Recording
    first: int
    n: int

    @property
    def samples(self) -> NDArray[np.float32]:
        """The samples, shape (n,)."""
        return np.asarray(self.recording.samples[self.first : self.first + self.n], np.float32)

    @property
    def start_s(self) -> float:
        """Start within the file, in seconds."""
        return self.recording.start_s + self.first / self.recording.sampling_rate_hz


@dataclass(frozen=True, eq=False)
class Spectrogram:
    """Log-magnitude time-frequency image.

    Attributes
    ----------
    values_db : ndarray, shape (n_frequency, n_time)
        10 log10 of power density, re 1 `unit` squared per hertz. Row 0 is the lowest frequency.
    frequency_hz : ndarray, shape (n_frequency,)
        Centre of each row.
    time_s : ndarray, shape (n_time,)
        Centre of each column, within the file.
    unit : str
    """

    values_db: NDArray[np.floating]
    frequency_hz: NDArray[np.floating]
    time_s: NDArray[np.floating]
    unit: str


@dataclass(frozen=True, eq=False)
class ActivationMap:
    """Signed share of every time-frequency cell in a logit, or in a difference of two.

    ``values.mean() + bias`` is the logit of `label` (minus that of `reference`, if there is one).

    Attributes
    ----------
    values : ndarray, shape (n_frequency, n_time)
        Logits. Row 0 is the lowest frequency.
    frequency_hz, time_s : ndarray
        Cell centres.
    label : str
    reference : str
        The class that `label` is contrasted with; empty for a plain class map.
    bias : float
    """

    values: NDArray[np.floating]
    frequency_hz: NDArray[np.floating]
    time_s: NDArray[np.floating]
    label: str
    reference: str = ""
    bias: float = 0.0

    @property
    def logit(self) -> float:
        """What the map adds up to."""
        return float(self.values.mean()) + self.bias


@dataclass(frozen=True, eq=False)
class ChangeMap:
    """What changed against the asset's healthy baseline.

    Attributes
    ----------
    values : ndarray, shape (rows, columns)
        Probability that power rose by more than 6 dB less the probability that it fell by as much, −1 to 1.
    frequency_hz, time_s : ndarray
        Centres of the cells; time within the file.
    """

    values: NDArray[np.floating]
    frequency_hz: NDArray[np.floating]
    time_s: NDArray[np.floating]


@dataclass(frozen=True)
class Region:
    """A box around connected cells that speak for (+1) or against (-1) the label.

    `share` is the sum of the region's cells over the sum of all cells of the same sign, 0 to 1.
    """

    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    share: float
    sign: int
    name: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that `camvib.recordings.quality` noticed about a signal.

    `refuse` says that no verdict may be given on this signal.
    """

    kind: str
    refuse: bool
    message: str
    remedy: str
    start_s: float = 0.0
    end_s: float = 0.0
    value: float = float("nan")
    limit: float = float("nan")


@dataclass(frozen=True)
class Diagnosis:
    """The verdict on one recording and what it rests on."""

    recording_id: str
    recording: str
    channel: str
    asset: str
    verdict: Verdict
    label: str = ""
    probabilities: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    remedy: str = ""
    regions: tuple[Region, ...] = ()
    findings: tuple[Finding, ...] = ()
    reference: str = ""
    start_s: float = 0.0
    duration_s: float = 0.0
    sampling_rate_hz: float = 0.0
    unit: str = ""
    recorded_at: str = ""
    model: str = ""
    settings_digest: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Evidence:
    """The pictures behind a diagnosis: what a report draws.

    Attributes
    ----------
    spectrogram : Spectrogram
    contrast : ActivationMap
        Map of the verdict's label against the reference (healthy, or the runner-up).
    waveform_low, waveform_high : ndarray, shape (k,)
        Smallest and largest sample in each of k equal stretches of the recording.
    spectrum_hz, spectrum_db : ndarray, shape (m,)
        Welch power spectrum, 10 log10, re 1 unit squared per hertz.
    change : ChangeMap, optional
        Where the model compares with the asset's baseline.
    """

    spectrogram: Spectrogram
    contrast: ActivationMap
    waveform_low: NDArray[np.floating]
    waveform_high: NDArray[np.floating]
    spectrum_hz: NDArray[np.floating]
    spectrum_db: NDArray[np.floating]
    change: ChangeMap | None = None


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """JSON contract of ``camvib diagnose``, one recording."""
    record = asdict(diagnosis)
    keys = ("recording", "asset", "verdict", "label", "probabilities", "reason", "remedy")
    more = ("recording_id", "channel", "start_s", "duration_s", "sampling_rate_hz", "unit", "recorded_at", "reference")
    return {
        **{key: record[key] for key in keys},
        "regions": [dict(region) for region in record["regions"]],
        **{key: record[key] for key in more},
        "model": record["model"],
        "findings": [finding["message"] for finding in record["findings"]],
        "warnings": list(record["warnings"]),
    }
