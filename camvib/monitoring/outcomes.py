"""What came of one recording, and how it looks as rows of the ledger."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from camvib.errors import StoreError
from camvib.monitoring.clock import now_text, utc_text
from camvib.monitoring.tables import clean
from camvib.records import Diagnosis, Evidence, Finding, Recording, Region

_MEASURED = ("start_s", "end_s", "value", "limit")  # of a finding; NaN where there is no number


@dataclass(frozen=True)
class Outcome:
    """A diagnosis, its evidence, and what the ledger keeps beside them.

    Attributes
    ----------
    diagnosis : Diagnosis
    evidence : Evidence or None
        None where it was refused.
    content_sha256 : str
        Of the file.
    observed_at : str
        When it was recorded, else when its file was last written; see `camvib.monitoring.clock.utc_text`.
    change_db, level_db : float or None
        See `camvib.records.HistoryPoint`.
    """

    diagnosis: Diagnosis
    evidence: Evidence | None = None
    content_sha256: str = ""
    observed_at: str = ""
    change_db: float | None = None
    level_db: float | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What there is one verdict for: recording, model, settings."""
        return self.diagnosis.recording_id, self.diagnosis.model, self.diagnosis.settings_digest


def level_db(recording: Recording) -> float | None:
    """Mean square of a recording about its mean, in dB re 1 unit squared; None where it is silent or not finite."""
    samples = recording.samples
    if len(samples) > 1 << 22:  # of a very long one, evenly spread samples tell the level as well
        samples = samples[:: len(samples) >> 22]
    power = float(np.var(np.asarray(samples, np.float32), dtype=np.float64))
    return 10 * math.log10(power) if 0 < power < math.inf else None


def recording_row(outcome: Outcome) -> dict[str, Any]:
    """Row of `RecordingRow`."""
    diagnosis = outcome.diagnosis
    return {
        "id": diagnosis.recording_id,
        "path": diagnosis.recording,
        "content_sha256": outcome.content_sha256,
        "channel": diagnosis.channel,
        "asset": diagnosis.asset,
        "observed_at": outcome.observed_at or utc_text(diagnosis.recorded_at),
    }


def judged_row(outcome: Outcome, *, current: bool) -> dict[str, Any]:
    """Row of `DiagnosisRow`.

    Raises
    ------
    StoreError
        A number that was measured is not finite.
    """
    diagnosis = outcome.diagnosis
    return {
        "recording_id": diagnosis.recording_id,
        "model": diagnosis.model,
        "settings_digest": diagnosis.settings_digest,
        "asset": diagnosis.asset,
        "verdict": diagnosis.verdict,
        "label": diagnosis.label,
        "probability": _finite(diagnosis.probabilities.get(diagnosis.label)),
        "change_db": _finite(outcome.change_db),
        "level_db": _finite(outcome.level_db),
        "record": to_record(diagnosis),
        "current": current,
        "uncased": current,
        "judged_at": now_text(),
    }


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise StoreError(f"a verdict holds {value}, which is no finite number", "Report it with the recording")
    return value


def to_record(diagnosis: Diagnosis) -> dict[str, Any]:
    """JSON of a diagnosis. A finding without a number has none; any other number must be finite.

    Raises
    ------
    StoreError
        A number is not finite.
    """
    record = asdict(diagnosis)
    for finding in record["findings"]:
        for name in _MEASURED:
            if not math.isfinite(finding[name]):
                finding[name] = None
    cleaned: dict[str, Any] = clean(record)
    return cleaned


def from_record(record: dict[str, Any]) -> Diagnosis:
    """Diagnosis from its JSON."""
    parts = dict(record)
    parts["regions"] = tuple(Region(**region) for region in parts["regions"])
    parts["findings"] = tuple(_finding(finding) for finding in parts["findings"])
    parts["warnings"] = tuple(parts["warnings"])
    return Diagnosis(**parts)


def _finding(stored: dict[str, Any]) -> Finding:
    known: dict[str, Any] = {k: math.nan if v is None and k in _MEASURED else v for k, v in stored.items()}
    return Finding(**known)
