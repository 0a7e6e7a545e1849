"""What became of recordings over time: an asset's history, its cases, and what engineers said about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from camvib.records.recordings import Verdict

CaseState = Literal["open", "acknowledged", "snoozed", "closed"]
CaseEventKind = Literal["opened", "cleared", "acknowledged", "snoozed", "woken", "closed", "reopened"]
AnswerKind = Literal["confirmed", "corrected", "nothing_found", "region", "comment"]


@dataclass(frozen=True)
class CaseEvent:
    """Something that happened to a case.

    Attributes
    ----------
    at : str
        ISO 8601 in UTC: of a person's act when it was done, else when the recording was taken that caused it.
    kind : str
    who : str
        A person's name, or ``camvib``.
    note : str
    """

    at: str
    kind: CaseEventKind
    who: str = "camvib"
    note: str = ""


@dataclass(frozen=True)
class Case:
    """A suspicion of one family of faults at one asset, from its first alarm to its end.

    Attributes
    ----------
    id : int
        In the ledger; 0 before it is kept there.
    asset, family : str
        There is at most one case of an asset and a family that is not closed.
    label, state : str
        The fault of the family that was seen last.
    since, opened_at, updated_at : str
        First recording that spoke for it, the one that opened it, the last one looked at; ISO 8601 in UTC.
    hits, of : int
        So many of the last so many recordings speak for it (k of n).
    probability : float
        Mean over those that do.
    criticality, severity : float
        Of the asset, 1 where nothing is said; probability × hits / of × criticality.
    recording_ids, events : tuple
        Recordings that speak for it among the last `of`, and what happened; oldest first.
    """

    asset: str
    family: str
    label: str
    state: CaseState
    since: str
    opened_at: str
    updated_at: str
    hits: int
    of: int
    probability: float
    criticality: float = 1.0
    severity: float = 0.0
    snoozed_until: str = ""
    recording_ids: tuple[str, ...] = ()
    events: tuple[CaseEvent, ...] = ()
    id: int = 0

    @property
    def persistence(self) -> float:
        """Share of the last recordings that speak for it."""
        return self.hits / self.of if self.of else 0.0


@dataclass(frozen=True)
class HistoryPoint:
    """One recording in an asset's history: its newest verdict.

    Attributes
    ----------
    diagnosis_id : int
        For ``Store.diagnosis`` and ``Store.evidence``.
    recording_id, recording, channel : str
    at : str
        When it was recorded, else when its file was last written; ISO 8601 in UTC.
    probability : float or None
        Calibrated, of the label; None where it was refused.
    change_db : float or None
        Amount of change against the asset's baseline: root mean square over frequency, level taken out, in dB.
        None where nothing was compared.
    level_db : float or None
        10 log10 of the mean square, re 1 unit squared.
    reason : str
        Why it was refused, or what the verdict rests on.
    """

    diagnosis_id: int
    recording_id: str
    recording: str
    channel: str
    at: str
    verdict: Verdict
    label: str
    probability: float | None
    change_db: float | None
    level_db: float | None
    unit: str
    model: str
    reason: str
    has_evidence: bool


@dataclass(frozen=True)
class AssetHistory:
    """All recordings of one asset in the order of time, and its cases, closed ones too."""

    asset: str
    points: tuple[HistoryPoint, ...]
    cases: tuple[Case, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What an engineer said about a case or a recording.

    Attributes
    ----------
    key : str
        Names this answer for ever: imported twice, it counts once.
    kind : str
    author, at : str
        Who and when, ISO 8601 in UTC.
    label : str
        What it is, for ``confirmed`` and ``corrected``.
    region : dict or None
        ``start_s``, ``end_s``, ``low_hz``, ``high_hz``.
    """

    key: str
    kind: AnswerKind
    author: str
    at: str
    asset: str = ""
    recording_id: str = ""
    case_id: int | None = None
    label: str = ""
    region: dict[str, float] | None = None
    text: str = ""
