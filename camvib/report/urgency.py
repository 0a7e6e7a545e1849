"""How urgent a case is: act or watch, and since when; and which machines nobody can judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

import numpy as np

from camvib.recordings.plant import UNKNOWN, Alarm, Plant
from camvib.records import Case, HistoryPoint
from camvib.report import words

JUDGED_BY = 5  # a case's probability and change are the medians of its newest recordings
LEAST_HEALTHY = 3  # recordings judged healthy that a band needs

Changes = tuple[tuple[datetime, str], ...]


@dataclass(frozen=True)
class Seen:
    """A point of a history with its time as a time."""

    at: datetime
    point: HistoryPoint

    @classmethod
    def all_of(cls, points: Sequence[HistoryPoint]) -> list[Seen]:
        """In the order of time."""
        return sorted((cls(moment(p.at), p) for p in points), key=lambda seen: seen.at)

    @property
    def judged(self) -> bool:
        """Whether there is a verdict at all."""
        return self.point.verdict != "refused"


def moment(text: str) -> datetime:
    """Read a time of the ledger; one without a zone is UTC."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def band_db(seen: Sequence[Seen], cases: Sequence[Case] = ()) -> float | None:
    """Healthy band of a machine: 95 % of its recordings judged healthy changed by less, in dB.

    Recordings from the time of a case do not count: some of them are judged healthy by mistake.
    """
    spans = [(moment(case.since), moment(case.updated_at)) for case in cases]
    healthy = [
        one.point.change_db
        for one in seen
        if one.point.change_db is not None
        and one.point.verdict == "healthy"
        and not any(first <= one.at <= last for first, last in spans)
    ]
    return float(np.percentile(np.abs(healthy), 95)) if len(healthy) >= LEAST_HEALTHY else None


def speaks_for(point: HistoryPoint, case: Case) -> bool:
    """Whether a recording is one that a case rests on."""
    if point.recording_id in case.recording_ids:
        return True
    if point.verdict == "unknown":
        return UNKNOWN in (case.label, case.family)
    return point.verdict == "fault" and point.label in (case.label, case.family)


def case_changes(case: Case, seen: Sequence[Seen], band: float | None, alarm: Alarm) -> Changes:
    """States of a case with the times that they began: watch or act from its opening on, closed at its end.

    It is act while the newest recordings that speak for it are likely enough and changed enough, and stays it until
    the change falls below the line for watch, or no recording speaks for it any more. An unknown change has no
    probability, so it is watch.
    """
    opened = moment(case.opened_at)
    end = next((moment(e.at) for e in reversed(case.events) if e.kind in ("closed", "cleared")), None)
    end = end if case.state == "closed" else None
    changes: list[tuple[datetime, str]] = [(opened, "watch")]
    probabilities: list[float] = []
    amounts: list[float] = []
    speaks: list[bool] = []
    for one in seen:
        if one.at < moment(case.since) or not one.judged or (end and one.at > end):
            continue
        if one.point.change_db is not None:
            amounts.append(abs(one.point.change_db))
        speaks.append(speaks_for(one.point, case))
        if speaks[-1] and one.point.probability is not None:
            probabilities.append(one.point.probability)
        if one.at < opened:
            continue
        gone = len(speaks) >= JUDGED_BY and not any(speaks[-JUDGED_BY:])
        heard = [] if gone else probabilities[-JUDGED_BY:]
        state = _state(case, heard, amounts[-JUDGED_BY:], band, alarm, changes[-1][1])
        if state != changes[-1][1]:
            changes.append((one.at, state))
    if end:
        changes.append((end, "closed"))
    return tuple(changes) if len(changes) < 2 or changes[1][0] > changes[0][0] else tuple(changes[1:])


def _state(
    case: Case, chances: Sequence[float], amounts: Sequence[float], band: float | None, alarm: Alarm, before: str
) -> str:
    if UNKNOWN in (case.label, case.family) or not chances:
        return "watch"
    likely = median(chances) >= alarm.act_probability
    if band is None or not amounts:
        return "act" if likely else "watch"
    amount = median(amounts)
    if before == "act":
        return "act" if amount >= alarm.watch_times_band * band else "watch"
    return "act" if likely and amount >= alarm.act_times_band * band else "watch"


def state_at(changes: Changes, at: datetime) -> str:
    """State at a time; empty before it began."""
    return next((state for since, state in reversed(changes) if since <= at), "")


@dataclass(frozen=True)
class Blind:
    """Why a machine is not judged."""

    what: str
    remedy: str
    since: datetime | None
    k: int = 0
    n: int = 0
    point: HistoryPoint | None = None


def blind(asset: str, seen: Sequence[Seen], plant: Plant, now: datetime) -> Blind | None:
    """A machine is not judged when its newest recordings were refused, or when none came although one was due."""
    if not seen:
        return Blind("Never recorded", "Record it healthy, then it is judged", None)
    due = plant.due(asset)
    if due and now - seen[-1].at > due:
        return Blind("Silent: no recording", "Check sensor and gateway", seen[-1].at, point=seen[-1].point)
    refused = 0
    while refused < len(seen) and not seen[-1 - refused].judged:
        refused += 1
    if not refused:
        return None
    newest = seen[-1].point
    what = words.sentence(newest.reason) or "Refused"
    return Blind(what, "", seen[-refused].at, refused, len(seen[-refused:]), newest)
