"""Histories and cases of machines → the rows of the first screen: a pure function, in the order of urgency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from statistics import median

import numpy as np

from camvib.recordings.plant import UNKNOWN, Plant
from camvib.report import words
from camvib.report.view import AnswerView, CaseView, Level, PlantView, Point, Row, State, Trend, Trust, Way

WEEKS = 8
MOST_POINTS = 56  # of a row's trend: one a day
JUDGED_BY = 5  # the newest recordings of a case that its probability is the median of
HIGH, MEDIUM = 0.85, 0.65
SMALL_DB = 1.5  # less than this over a case's life is no trend
_BEFORE: dict[str, State] = {"act": "act", "watch": "watch"}


def plant_view(
    histories: Mapping[str, Sequence[Point]],
    cases: Iterable[CaseView],
    plant: Plant,
    *,
    now: datetime,
    since: datetime | None = None,
    trust: Trust = Trust(),
    answers: Iterable[AnswerView] = (),
    left_out: int = 0,
) -> PlantView:
    """Make the first screen.

    Parameters
    ----------
    histories : mapping of str to sequence of Point
        By asset.
    cases : iterable of CaseView
        Open and closed ones.
    plant : Plant
    now : datetime
        Aware.
    since : datetime, optional
        Time of the last report: what changed is counted from there.
    trust : Trust
    answers : iterable of AnswerView
    left_out : int
        Recordings of the store that the histories do not hold, so that the page can say so.
    """
    of_asset: dict[str, list[CaseView]] = {}
    for case in cases:
        of_asset.setdefault(case.asset, []).append(case)
    said: dict[str, list[AnswerView]] = {}
    for answer in answers:
        said.setdefault(answer.asset, []).append(answer)
    assets = list(dict.fromkeys((*plant.machines, *sorted(histories))))
    made = [
        _row(
            asset, sorted(histories.get(asset, ()), key=_time), of_asset.get(asset, ()), said.get(asset, ()),
            plant, now, since, trust,
        )
        for asset in assets
    ]  # fmt: skip
    times = [point.at for points in histories.values() for point in points]
    zone = plant.zone
    return PlantView(
        name=plant.name,
        written=now.astimezone(zone),
        first=min(times).astimezone(zone) if times else None,
        since=since.astimezone(zone) if since else None,
        recordings=len(times),
        recordings_since=sum(at > since for at in times) if since else len(times),
        rows=tuple(sorted((row for row in made if row.state != "ok"), key=_urgency)),
        quiet=tuple(sorted((row for row in made if row.state == "ok"), key=lambda row: (row.area, row.tag))),
        trust=trust,
        left_out=left_out,
    )


def _time(point: Point) -> datetime:
    return point.at


def _urgency(row: Row) -> tuple[int, date, str, float, str]:
    order = ("act", "watch", "blind").index(row.state)
    severity = -row.case.severity if row.case else 0.0
    return order, row.by or date.max, row.criticality, severity, row.tag


def _row(
    asset: str,
    points: Sequence[Point],
    cases: Sequence[CaseView],
    answers: Sequence[AnswerView],
    plant: Plant,
    now: datetime,
    since: datetime | None,
    trust: Trust,
) -> Row:
    machine, zone = plant.machine(asset), plant.zone
    open_cases = sorted(
        (case for case in cases if case.state_at(now) in _BEFORE),
        key=lambda case: (case.state_at(now) != "act", -case.severity, case.opened),
    )
    case = open_cases[0] if open_cases else None
    blind = None if case else _blind(asset, points, plant, now)
    state: State = _BEFORE[case.state_at(now)] if case else "blind" if blind else "ok"
    label = case.label if case else ""
    action = plant.action(UNKNOWN if label == UNKNOWN else label)
    began = case.opened if case else blind.since if blind else None
    mine = [p for p in points if case and p.at >= case.opened and p.judged]
    same = [p for p in mine if _family(p) == label]
    probability, second, second_probability = _chance(same, label)
    by, at_stop = plant.deadline(asset, label, _acting_since(case).astimezone(zone).date()) if case else (None, False)
    return Row(
        asset=asset,
        tag=machine.tag or asset or "(no name)",
        name=machine.name,
        area=machine.area,
        criticality=machine.criticality,
        sensor=machine.sensor,
        state=state,
        before=_state_before(asset, points, cases, plant, since),
        what=words.fault_title(label, action.title) if case else blind.what if blind else "As it was",
        label=label,
        note=_note(answers, zone),
        since=began.astimezone(zone) if began else None,
        days=max(0, (now - began).days) if began else 0,
        k=len(same) if case else blind.k if blind else 0,
        n=len(mine) if case else blind.n if blind else 0,
        level=_level(probability, trust),
        probability=probability,
        runner_up=second,
        runner_up_probability=second_probability,
        trend=trend(points, cases, now, zone_of=plant, began=began if case else None),
        do=(action.do or "Look at it: plant.toml names no action") if case else blind.remedy if blind else "",
        by=by,
        by_text=words.deadline(by, now.astimezone(zone).date(), at_stop) if by else "",
        case=case,
        newest=points[-1] if points else None,
        others=tuple(words.fault_title(c.label, plant.action(c.label).title) for c in open_cases[1:]),
        snoozed_until=case.snoozed_until.astimezone(zone) if case and case.snoozed_until and case.snoozed_until > now else None,
    )  # fmt: skip


def _acting_since(case: CaseView) -> datetime:
    return next((at for at, state in case.changes if state == "act"), case.opened)


def _family(point: Point) -> str:
    return UNKNOWN if point.verdict == "unknown" else point.label if point.verdict == "fault" else ""


def _chance(points: Sequence[Point], label: str) -> tuple[float | None, str, float | None]:
    """Probability of a case: the median of its newest recordings'; an unknown has none."""
    newest = [p for p in points if p.probability is not None][-JUDGED_BY:]
    if label == UNKNOWN or not newest:
        return None, "", None
    last = newest[-1]
    return (
        median(p.probability for p in newest if p.probability is not None),
        last.runner_up,
        last.runner_up_probability,
    )


def _level(probability: float | None, trust: Trust) -> Level:
    """How sure, from how often calls of this confidence were right, where that was measured."""
    if probability is None:
        return ""
    measured = trust.bin_of(probability)
    rate = measured.right / measured.calls if measured and measured.calls >= 20 else probability
    return "high" if rate >= HIGH else "medium" if rate >= MEDIUM else "low"


class _Blind:
    """Why a machine is not judged."""

    def __init__(self, what: str, remedy: str, since: datetime | None, k: int, n: int) -> None:
        self.what, self.remedy, self.since, self.k, self.n = what, remedy, since, k, n


def _blind(asset: str, points: Sequence[Point], plant: Plant, now: datetime) -> _Blind | None:
    """A machine is not judged when its newest recordings were refused, or when none came although one was due."""
    if not points:
        return _Blind("Never recorded", "Record it healthy, then it is judged", None, 0, 0)
    due = plant.due(asset)
    if due and now - points[-1].at > due:
        return _Blind("Silent: no recording", "Check sensor and gateway", points[-1].at, 0, 0)
    refused = 0
    while refused < len(points) and not points[-1 - refused].judged:
        refused += 1
    if not refused:
        return None
    newest = points[-1]
    return _Blind(
        words.sentence(newest.reason) or "Refused", newest.remedy or "Record it again",
        points[-refused].at, refused, refused,
    )  # fmt: skip


def _state_before(
    asset: str, points: Sequence[Point], cases: Sequence[CaseView], plant: Plant, since: datetime | None
) -> State | None:
    if since is None:
        return None
    states = {case.state_at(since) for case in cases}
    if "act" in states or "watch" in states:
        return "act" if "act" in states else "watch"
    return "blind" if _blind(asset, [p for p in points if p.at <= since], plant, since) else "ok"


def _note(answers: Sequence[AnswerView], zone: object) -> str:
    said = [a for a in sorted(answers, key=lambda a: a.at) if a.kind != "check"]
    if not said:
        return ""
    last = said[-1]
    return f"{words.day(last.at.astimezone(zone))}: {words.answer(last)}"  # type: ignore[arg-type]


def trend(
    points: Sequence[Point],
    cases: Sequence[CaseView],
    now: datetime,
    *,
    zone_of: Plant,
    began: datetime | None = None,
    weeks: int = WEEKS,
    most: int = MOST_POINTS,
) -> Trend | None:
    """Deviation from healthy over the last weeks; None where nothing was compared with a baseline."""
    start = now - timedelta(weeks=weeks)
    compared = [p for p in points if p.change_db is not None and start <= p.at <= now]
    if not compared:
        return None
    days = np.array([(p.at - start) / timedelta(days=1) for p in compared])
    db = np.array([abs(p.change_db or 0.0) for p in compared])
    healthy = [abs(p.change_db) for p in points if p.change_db is not None and p.verdict == "healthy"]
    kept = _kept(days, db, most, weeks * 7)
    last = compared[-1]
    onset = (began - start) / timedelta(days=1) if began else None
    way, slope = _way(days, db, onset)
    return Trend(
        days=tuple(np.round(days[kept], 2).tolist()),
        db=tuple(np.round(db[kept], 1).tolist()),
        first_day=start.astimezone(zone_of.zone).date(),
        span_days=float(weeks * 7),
        band_db=round(float(np.percentile(healthy, 95)), 1) if len(healthy) >= 3 else None,
        onset=round(max(onset, 0.0), 2) if onset is not None else None,
        states=_states(points, cases, start, weeks * 7),
        latest_db=last.change_db,
        latest_hz=last.change_hz,
        way=way,
        db_per_day=slope,
    )  # fmt: skip


def _kept(days: np.ndarray, db: np.ndarray, most: int, span: int) -> np.ndarray:
    """Keep the largest of each day (of each stretch, if there are more): a peak must not vanish from the trend."""
    if len(days) <= most:
        return np.arange(len(days))
    stretch = np.minimum((days / span * most).astype(int), most - 1)
    return np.array(
        [members[db[members].argmax()] for members in (np.flatnonzero(stretch == s) for s in np.unique(stretch))]
    )


def _way(days: np.ndarray, db: np.ndarray, onset: float | None) -> tuple[Way, float | None]:
    if onset is None:
        return "", None
    since, x = db[days >= onset - 1e-6], days[days >= onset - 1e-6]
    if len(since) < 3 or x[-1] <= x[0]:
        return ("step" if len(since) and since[0] >= 0.8 * since[-1] else ""), None
    slope = float(np.polyfit(x, since, 1)[0])
    gone = slope * (x[-1] - x[0])
    if abs(gone) < max(SMALL_DB, 0.15 * float(since.mean())):
        return ("step" if onset > days[0] + 1 else "steady"), None
    return ("rising" if gone > 0 else "falling"), slope


def _states(points: Sequence[Point], cases: Sequence[CaseView], start: datetime, span: int) -> str:
    """One letter a day: a act, w watch, o as it was, r refused, x no recording."""
    letters = []
    by_day: dict[int, list[Point]] = {}
    for point in points:
        by_day.setdefault((point.at - start).days, []).append(point)
    for k in range(span):
        end = start + timedelta(days=k + 1)
        states = {case.state_at(end) for case in cases}
        here = by_day.get(k, [])
        if not here:
            letters.append("x")
        elif not any(p.judged for p in here):
            letters.append("r")
        else:
            letters.append("a" if "act" in states else "w" if "watch" in states else "o")
    return "".join(letters)
