"""Histories and cases of machines → the rows of the first screen, in the order of urgency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from statistics import median

import numpy as np
from numpy.typing import NDArray

from camvib.recordings.plant import UNKNOWN, Plant
from camvib.records import Answer, AssetHistory, Case, HistoryPoint
from camvib.report import words
from camvib.report.urgency import (
    JUDGED_BY,
    Changes,
    Seen,
    band_db,
    blind,
    case_changes,
    moment,
    speaks_for,
    state_at,
)
from camvib.report.view import Level, Newest, PlantView, Row, State, Trend, Trust, Way

WEEKS = 8
MOST_POINTS = 56  # of a row's trend: one a day
HIGH, MEDIUM = 0.85, 0.65
LAST = 20  # recordings that "k of the last n" looks back on
LEAST_CALLS = 20  # that a measured rate stands on before it is believed over the probability
SMALL_DB = 0.5  # less than this over a case's life is no trend
FAR = datetime.max.replace(tzinfo=UTC)
LookAt = Callable[[HistoryPoint], Newest | None]


@dataclass(frozen=True)
class Context:
    """What all rows have in common."""

    plant: Plant
    now: datetime
    since: datetime | None
    trust: Trust
    look_at: LookAt
    answers: Mapping[str, Sequence[Answer]]

    @property
    def zone(self) -> tzinfo:
        """Time zone of the page."""
        return self.plant.zone


def plant_view(
    histories: Iterable[AssetHistory],
    plant: Plant,
    *,
    now: datetime,
    since: datetime | None = None,
    trust: Trust = Trust(),
    answers: Iterable[Answer] = (),
    look_at: LookAt = lambda point: None,
    left_out: int = 0,
) -> PlantView:
    """Make the first screen.

    Parameters
    ----------
    histories : iterable of AssetHistory
        One an asset; held one at a time.
    plant : Plant
        Machines that it names stand on the page, recorded or not.
    now : datetime
        Aware.
    since : datetime, optional
        Time of the last report: what changed is counted from there.
    trust : Trust
    answers : iterable of Answer
    look_at : callable
        Looks closely at the recording of a row that is to be acted on, watched or recorded again.
    left_out : int
        Recordings of the store that the histories do not hold, so that the page can say so.
    """
    said: dict[str, list[Answer]] = {}
    for answer in answers:
        said.setdefault(answer.asset, []).append(answer)
    context = Context(plant, now, since, trust, look_at, said)
    made: dict[str, Row] = {}
    recordings = after = 0
    first = FAR
    for history in histories:
        seen = Seen.all_of(history.points)
        made[history.asset] = _row(history.asset, seen, history.cases, context)
        recordings += len(seen)
        after += sum(one.at > since for one in seen) if since else len(seen)
        first = min(first, seen[0].at) if seen else first
    for asset in plant.machines:
        if asset not in made:
            made[asset] = _row(asset, [], (), context)
    zone = plant.zone
    return PlantView(
        name=plant.name,
        written=now.astimezone(zone),
        first=None if first is FAR else first.astimezone(zone),
        since=since.astimezone(zone) if since else None,
        recordings=recordings,
        recordings_since=after,
        rows=tuple(sorted((row for row in made.values() if row.state != "ok"), key=_urgency)),
        quiet=tuple(sorted((row for row in made.values() if row.state == "ok"), key=lambda row: (row.area, row.tag))),
        trust=trust,
        left_out=left_out,
    )


def _urgency(row: Row) -> tuple[int, date, str, float, str]:
    order = ("act", "watch", "blind").index(row.state)
    return order, row.by or date.max, row.criticality, -(row.case.severity if row.case else 0.0), row.tag


def _row(asset: str, seen: Sequence[Seen], cases: Sequence[Case], context: Context) -> Row:
    """Make the row of one machine: by its worst open case, else by why it is not judged, else as it was."""
    band = band_db(seen, cases)
    changes = {case: case_changes(case, seen, band, context.plant.alarm) for case in cases}
    current = {case: state_at(past, context.now) for case, past in changes.items()}
    at_work = sorted(
        (case for case, state in current.items() if state in ("act", "watch")),
        key=lambda case: (current[case] != "act", -case.severity, case.opened_at),
    )
    machine = context.plant.machine(asset)
    before = _state_before(asset, seen, list(changes.values()), context)
    common = {
        "asset": asset,
        "tag": machine.tag or asset or "(no name)",
        "name": machine.name,
        "area": machine.area,
        "criticality": machine.criticality,
        "sensor": machine.sensor,
        "before": before,
        "note": _note(context.answers.get(asset, ()), at_work[:1], context.zone),
        "last": seen[-1].at.astimezone(context.zone) if seen else None,
    }
    if at_work:
        return _case_row(common, at_work, seen, changes, band, context)
    return _row_without_case(common, seen, list(changes.values()), band, context)


def _case_row(
    common: Mapping[str, object],
    at_work: Sequence[Case],
    seen: Sequence[Seen],
    changes: Mapping[Case, Changes],
    band: float | None,
    context: Context,
) -> Row:
    case, zone = at_work[0], context.zone
    state: State = "act" if state_at(changes[case], context.now) == "act" else "watch"
    began = moment(case.since)
    within = [one for one in seen if one.at >= began and one.judged]
    same = [one for one in within if speaks_for(one.point, case)]
    last = within[-LAST:]
    newest = same[-1].point if same else seen[-1].point if seen else None
    looked = context.look_at(newest) if newest else None
    known = case.label != UNKNOWN and case.family != UNKNOWN
    probability = _probability(same) if known else None
    second = looked.runner_up(case.label) if looked and probability is not None else None
    action = context.plant.action(case.label if known else UNKNOWN)
    acting = next((at for at, what in changes[case] if what == "act"), moment(case.opened_at))
    by, at_stop = context.plant.deadline(str(common["asset"]), case.label, acting.astimezone(zone).date())
    snoozed = moment(case.snoozed_until).astimezone(zone) if case.state == "snoozed" and case.snoozed_until else None
    return Row(
        **common,  # type: ignore[arg-type]
        state=state,
        what=words.fault_title(case.label if known else UNKNOWN, action.title),
        label=case.label if known else UNKNOWN,
        since=began.astimezone(zone),
        days=max(0, (context.now - began).days),
        k=sum(speaks_for(one.point, case) for one in last),
        n=len(last),
        level=_level(probability, context.trust),
        probability=probability,
        runner_up=second[0] if second else "",
        runner_up_probability=second[1] if second else None,
        trend=trend(seen, list(changes.values()), context, band, began),
        rise=looked.rise if looked else None,
        do=action.do or "Look at it; plant.toml names no action",
        by=by if state == "act" else None,
        by_text=words.deadline(by, context.now.astimezone(zone).date(), at_stop) if state == "act" else "",
        case=case,
        point=newest,
        others=tuple(words.fault_title(c.label, context.plant.action(c.label).title) for c in at_work[1:]),
        snoozed_until=snoozed,
    )


def _row_without_case(
    common: Mapping[str, object], seen: Sequence[Seen], past: Sequence[Changes], band: float | None, context: Context
) -> Row:
    why = blind(str(common["asset"]), seen, context.plant, context.now)
    looked = context.look_at(why.point) if why and why.point and not why.remedy else None
    remedy = why.remedy or (looked.diagnosis.remedy if looked else "") or "Record it again" if why else ""
    since = why.since if why else None
    return Row(
        **common,  # type: ignore[arg-type]
        state="blind" if why else "ok",
        what=why.what if why else "As it was",
        label="",
        since=since.astimezone(context.zone) if since else None,
        days=max(0, (context.now - since).days) if since else 0,
        k=why.k if why else 0,
        n=why.n if why else 0,
        level="",
        probability=None,
        runner_up="",
        runner_up_probability=None,
        trend=trend(seen, past, context, band, None) if why else None,
        rise=None,
        do=remedy,
        by=None,
        by_text="",
        case=None,
        point=why.point if why else None,
    )


def _probability(same: Sequence[Seen]) -> float | None:
    newest = [one.point.probability for one in same if one.point.probability is not None][-JUDGED_BY:]
    return median(newest) if newest else None


def _level(probability: float | None, trust: Trust) -> Level:
    """How sure, from how often calls of this confidence were right, where that was measured."""
    if probability is None:
        return ""
    measured = trust.bin_of(probability)
    rate = measured.right / measured.calls if measured and measured.calls >= LEAST_CALLS else probability
    return "high" if rate >= HIGH else "medium" if rate >= MEDIUM else "low"


def _state_before(asset: str, seen: Sequence[Seen], past: Sequence[Changes], context: Context) -> State | None:
    if context.since is None:
        return None
    states = {state_at(changes, context.since) for changes in past}
    if states & {"act", "watch"}:
        return "act" if "act" in states else "watch"
    until = [one for one in seen if one.at <= context.since]
    return "blind" if blind(asset, until, context.plant, context.since) else "ok"


def _note(answers: Sequence[Answer], cases: Sequence[Case], zone: tzinfo) -> str:
    """The newest thing that a person said or did."""
    said = [(moment(a.at), words.answer(a)) for a in answers]
    said += [(moment(e.at), words.event(e)) for case in cases for e in case.events if e.who != "camvib"]
    if not said:
        return ""
    at, line = max(said, key=lambda item: item[0])
    return f"{words.day(at.astimezone(zone))}: {line}"


def trend(
    seen: Sequence[Seen], past: Sequence[Changes], context: Context, band: float | None, began: datetime | None
) -> Trend | None:
    """Change against healthy over the last weeks; None where nothing was compared with a baseline."""
    start, span = context.now - timedelta(weeks=WEEKS), WEEKS * 7
    compared = [one for one in seen if one.point.change_db is not None and start <= one.at <= context.now]
    if not compared:
        return None
    days = np.array([(one.at - start) / timedelta(days=1) for one in compared])
    db = np.array([abs(one.point.change_db or 0.0) for one in compared])
    kept = _kept(days, db, span)
    onset = max((began - start) / timedelta(days=1), 0.0) if began else None
    way, slope = _way(days, db, onset)
    alarm = context.plant.alarm
    return Trend(
        days=tuple(np.round(days[kept], 2).tolist()),
        db=tuple(np.round(db[kept], 1).tolist()),
        first_day=start.astimezone(context.zone).date(),
        span_days=float(span),
        band_db=round(band, 1) if band is not None else None,
        watch_db=round(alarm.watch_times_band * band, 1) if band is not None else None,
        act_db=round(alarm.act_times_band * band, 1) if band is not None else None,
        onset=round(onset, 2) if onset is not None else None,
        states=_states(seen, past, start, span),
        way=way,
        db_per_day=slope,
    )


def _kept(days: NDArray[np.floating], db: NDArray[np.floating], span: int) -> NDArray[np.intp]:
    """Keep the largest of each stretch: a peak must not vanish from the trend."""
    if len(days) <= MOST_POINTS:
        return np.arange(len(days))
    stretch = np.minimum((days / span * MOST_POINTS).astype(int), MOST_POINTS - 1)
    members = (np.flatnonzero(stretch == s) for s in np.unique(stretch))
    return np.array([those[db[those].argmax()] for those in members])


def _way(days: NDArray[np.floating], db: NDArray[np.floating], onset: float | None) -> tuple[Way, float | None]:
    if onset is None:
        return "", None
    later = days >= onset - 1e-6
    x, since = days[later], db[later]
    if len(since) < 3 or x[-1] <= x[0]:
        return ("step" if len(since) and since[0] >= 0.8 * since[-1] else ""), None
    slope = float(np.polyfit(x, since, 1)[0])
    gone = slope * float(x[-1] - x[0])
    if abs(gone) < max(SMALL_DB, 0.15 * float(since.mean())):
        return ("step" if onset > days[0] + 1 else "steady"), None
    return ("rising" if gone > 0 else "falling"), slope


def _states(seen: Sequence[Seen], past: Sequence[Changes], start: datetime, span: int) -> str:
    """One letter a day: a act, w watch, o as it was, r refused, x no recording."""
    by_day: dict[int, list[Seen]] = {}
    for one in seen:
        by_day.setdefault((one.at - start).days, []).append(one)
    letters = []
    for k in range(span):
        here = by_day.get(k, [])
        states = {state_at(changes, start + timedelta(days=k + 1)) for changes in past}
        if not here:
            letters.append("x")
        elif not any(one.judged for one in here):
            letters.append("r")
        else:
            letters.append("a" if "act" in states else "w" if "watch" in states else "o")
    return "".join(letters)
