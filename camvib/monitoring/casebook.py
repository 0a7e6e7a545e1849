"""Cases in the ledger: opened and updated by verdicts, answered by people, told of once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, insert, select, text, update

from camvib.errors import StoreError
from camvib.monitoring.cases import CasePolicy, Observation, act, joined, marks_of, step
from camvib.monitoring.clock import now_text, utc_text
from camvib.monitoring.database import Database, chunks
from camvib.monitoring.outcomes import from_record
from camvib.monitoring.tables import CaseEventRow, CaseRow, DiagnosisRow, RecordingRow
from camvib.records import Case, CaseEvent, CaseEventKind

_TELLING = ("opened", "woken")  # what people are told of; what they did themselves they know
_BESIDE = 12  # recordings before the window, for the hysteresis


class Casebook:
    """The part of `camvib.monitoring.ledger.Store` that keeps cases."""

    database: Database

    def cases(self, *, asset: str | None = None, closed: bool = False) -> list[Case]:
        """Cases, the most severe first.

        Parameters
        ----------
        asset : str, optional
            Of this asset only.
        closed : bool
            Closed ones too.
        """
        query = select(CaseRow.__table__).order_by(CaseRow.severity.desc(), CaseRow.id)
        if asset is not None:
            query = query.where(CaseRow.asset == asset)
        if not closed:
            query = query.where(CaseRow.state != "closed")
        rows = self.database.rows(query)
        events: dict[int, list[CaseEvent]] = {}
        for some in chunks(row.id for row in rows):
            happened = select(CaseEventRow.__table__).where(CaseEventRow.case_id.in_(some)).order_by(CaseEventRow.id)
            for row in self.database.rows(happened):
                events.setdefault(row.case_id, []).append(_event(row))
        return [_case(row, events.get(row.id, [])) for row in rows]

    def act(self, case_id: int, kind: CaseEventKind, who: str, note: str = "", until: str = "") -> Case:
        """Acknowledge, snooze, close or reopen a case.

        Parameters
        ----------
        case_id : int
        kind : str
            ``acknowledged``, ``snoozed``, ``closed`` or ``reopened``.
        who, note : str
        until : str
            End of a snooze, ISO 8601.

        Raises
        ------
        StoreError
            There is no such case, its state does not allow it, nobody is named, or, reopening it, another case of the
            same asset and family is open.
        """

        def once(connection: Connection) -> Case:
            before = self._locked(connection, case_id)
            after = act(before, kind, who, now_text(), note=note, until=utc_text(until))
            if kind == "reopened" and _newest(connection, before.asset, before.family, open_only=True):
                raise StoreError(
                    f"case {case_id}: another case of {before.asset}, {before.family} is open", "Go on with that one"
                )
            _put(connection, before, after)
            return after

        return self.database.do(once)

    def _locked(self, connection: Connection, case_id: int) -> Case:
        row = connection.execute(select(CaseRow.__table__).where(CaseRow.id == case_id).with_for_update()).first()
        if row is None:
            raise StoreError(f"{self.database.name}: no case {case_id}", "'camvib case list' shows them")
        return _case(row, _events(connection, case_id))

    def update_cases(self, policy: CasePolicy | None = None) -> list[Case]:
        """Let the cases see the verdicts that they have not seen yet.

        However often it runs, and in however many processes, each verdict is seen once: its mark is taken away in the
        transaction that changes the cases.

        Returns
        -------
        list of Case
            Those that were opened or woken.
        """
        policy = policy or CasePolicy()
        query = select(DiagnosisRow.asset).where(DiagnosisRow.uncased).distinct()
        alarmed: list[Case] = []
        for (asset,) in self.database.rows(query):
            alarmed += self.database.do(lambda connection: self._update_asset(connection, asset, policy))  # noqa: B023
        return alarmed

    def _update_asset(self, connection: Connection, asset: str, policy: CasePolicy) -> list[Case]:
        if not self.database.is_sqlite:  # on SQLite nobody else writes meanwhile
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:asset))"), {"asset": f"case {asset}"})
        mine = DiagnosisRow.asset == asset
        new = connection.execute(
            select(DiagnosisRow.id, RecordingRow.observed_at)
            .join(RecordingRow, RecordingRow.id == DiagnosisRow.recording_id)
            .where(mine, DiagnosisRow.uncased)
            .order_by(RecordingRow.observed_at)
        ).all()
        if not new:
            return []
        first = new[0].observed_at
        seen = self._observations(connection, asset, policy, first)
        alarmed: dict[int, Case] = {}
        families = {family for one in seen for family in one.marks}
        known = connection.execute(select(CaseRow.family).where(CaseRow.asset == asset).distinct()).scalars()
        for family in sorted(families | set(known)):
            case = _newest(connection, asset, family)
            for end in range(1, len(seen) + 1):
                if seen[end - 1].at >= first:
                    before = case
                    window = seen[max(0, end - self._enough(policy)) : end]
                    case = _follow(connection, before, step(before, asset, family, window, policy))
                    if case is not None and _tells(before, case):
                        alarmed[case.id] = case
        for numbers in chunks(row.id for row in new):
            connection.execute(update(DiagnosisRow).where(DiagnosisRow.id.in_(numbers)).values(uncased=False))
        return list(alarmed.values())

    @staticmethod
    def _enough(policy: CasePolicy) -> int:
        """Recordings that a step may look at."""
        return max(policy.n, policy.clear_after) + _BESIDE

    def _observations(self, connection: Connection, asset: str, policy: CasePolicy, first: str) -> list[Observation]:
        """What is known of an asset from `first` on, and enough of what was before."""
        query = (
            select(DiagnosisRow.record, RecordingRow.observed_at)
            .join(RecordingRow, RecordingRow.id == DiagnosisRow.recording_id)
            .where(DiagnosisRow.asset == asset, DiagnosisRow.current, DiagnosisRow.verdict != "refused")
            .order_by(RecordingRow.observed_at, DiagnosisRow.id)
        )
        before = query.where(RecordingRow.observed_at < first).order_by(None)
        newest = before.order_by(RecordingRow.observed_at.desc(), DiagnosisRow.id.desc())
        rows = [
            *reversed(connection.execute(newest.limit(self._enough(policy))).all()),
            *connection.execute(query.where(RecordingRow.observed_at >= first)).all(),
        ]
        told = [(row.observed_at, marks_of(from_record(row.record), row.observed_at, policy)) for row in rows]
        return joined([(at, marks) for at, marks in told if marks is not None])

    def take_alerts(self) -> list[tuple[Case, CaseEvent]]:
        """Openings and wakings that nobody was told of; asked for once, they are counted as told."""

        def once(connection: Connection) -> list[tuple[Case, CaseEvent]]:
            waiting = select(CaseEventRow.__table__).where(CaseEventRow.told.is_(False)).order_by(CaseEventRow.id)
            rows = connection.execute(waiting.with_for_update(skip_locked=True)).all()
            found = []
            for row in rows:
                connection.execute(update(CaseEventRow).where(CaseEventRow.id == row.id).values(told=True))
                case = connection.execute(select(CaseRow.__table__).where(CaseRow.id == row.case_id)).one()
                found.append((_case(case, _events(connection, row.case_id)), _event(row)))
            return found

        if not self.database.rows(select(CaseEventRow.id).where(CaseEventRow.told.is_(False)).limit(1)):
            return []
        return self.database.do(once)


def _tells(before: Case | None, after: Case) -> bool:
    """Whether people must be told of a step."""
    known = len(before.events) if before is not None and before.id == after.id else 0
    return any(event.kind in _TELLING for event in after.events[known:])


def _follow(connection: Connection, before: Case | None, after: Case | None) -> Case | None:
    """Write down a step; a case that is new gets its number."""
    if after is None or after == before:
        return after
    if before is None or before.state == "closed":
        number = connection.execute(insert(CaseRow).returning(CaseRow.id), [_row(after)]).scalar_one()
        new = replace(after, id=number)
        _add_events(connection, new, new.events)
        return new
    _put(connection, before, after)
    return after


def _put(connection: Connection, before: Case, after: Case) -> None:
    connection.execute(update(CaseRow).where(CaseRow.id == after.id).values(_row(after)))
    _add_events(connection, after, after.events[len(before.events) :])


def _add_events(connection: Connection, case: Case, events: Sequence[CaseEvent]) -> None:
    rows = [
        {"case_id": case.id, "at": e.at, "kind": e.kind, "who": e.who, "note": e.note, "told": e.kind not in _TELLING}
        for e in events
    ]
    if rows:
        connection.execute(insert(CaseEventRow), rows)


def _newest(connection: Connection, asset: str, family: str, *, open_only: bool = False) -> Case | None:
    query = select(CaseRow.__table__).where(CaseRow.asset == asset, CaseRow.family == family)
    if open_only:
        query = query.where(CaseRow.state != "closed")
    row = connection.execute(query.order_by(CaseRow.id.desc()).limit(1)).first()
    return None if row is None else _case(row, _events(connection, row.id))


def _events(connection: Connection, case_id: int) -> list[CaseEvent]:
    query = select(CaseEventRow.__table__).where(CaseEventRow.case_id == case_id).order_by(CaseEventRow.id)
    return [_event(row) for row in connection.execute(query)]


def _event(row: Any) -> CaseEvent:
    return CaseEvent(row.at, row.kind, row.who, row.note)


_COLUMNS = (
    "asset", "family", "label", "state", "since", "opened_at", "updated_at", "hits", "of", "probability", "criticality",
    "severity", "snoozed_until",
)  # fmt: skip


def _row(case: Case) -> dict[str, Any]:
    return {**{name: getattr(case, name) for name in _COLUMNS}, "recording_ids": list(case.recording_ids)}


def _case(row: Any, events: Sequence[CaseEvent]) -> Case:
    values = {name: getattr(row, name) for name in _COLUMNS}
    return Case(**values, recording_ids=tuple(row.recording_ids), events=tuple(events), id=row.id)
