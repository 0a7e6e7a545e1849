"""The page as data: what stands in each row and each finding, before anything is drawn.

Everything here is frozen, and times are aware and in the plant's zone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

State = Literal["act", "watch", "blind", "ok"]
STATES: tuple[State, ...] = ("act", "watch", "blind", "ok")
Way = Literal["rising", "steady", "falling", "step", ""]
Level = Literal["high", "medium", "low", ""]


@dataclass(frozen=True)
class Point:
    """One recording in the history of a machine.

    `change_db` is its largest deviation from healthy, signed, at `change_hz`; None where nothing was compared.
    """

    recording_id: str
    at: datetime
    verdict: str
    label: str = ""
    probability: float | None = None
    runner_up: str = ""
    runner_up_probability: float | None = None
    change_db: float | None = None
    change_hz: float | None = None
    reason: str = ""
    remedy: str = ""
    recording: str = ""
    model: str = ""

    @property
    def judged(self) -> bool:
        """Whether there is a verdict at all."""
        return self.verdict != "refused"


@dataclass(frozen=True)
class CaseView:
    """An alarm of one machine and one family of faults, as the ledger's rules made it.

    `changes` are its states with the times that they began: watch, act, closed.
    """

    id: str
    asset: str
    label: str
    changes: tuple[tuple[datetime, str], ...]
    first_recording: str = ""
    acknowledged: str = ""
    snoozed_until: datetime | None = None
    severity: float = 0.0

    @property
    def opened(self) -> datetime:
        """When it began."""
        return self.changes[0][0]

    def state_at(self, at: datetime) -> str:
        """State at a time; empty before it began."""
        return next((state for since, state in reversed(self.changes) if since <= at), "")


@dataclass(frozen=True)
class AnswerView:
    """What a person said of a case or a machine."""

    at: datetime
    author: str
    kind: str
    asset: str
    case: str = ""
    label: str = ""
    text: str = ""


@dataclass(frozen=True)
class Bin:
    """Of `calls` calls with a probability of `low` to `high`, on machines never seen, `right` were right."""

    low: float
    high: float
    calls: int
    right: int


@dataclass(frozen=True)
class Trust:
    """How far to trust the page: figures measured on machines that the model never saw; None where unmeasured."""

    accuracy: float | None = None
    recordings: int = 0
    machines: int = 0
    false_of_100: float | None = None
    missed_of_100: float | None = None
    bins: tuple[Bin, ...] = ()
    rule: str = ""
    digests: tuple[tuple[str, str], ...] = ()

    def bin_of(self, probability: float | None) -> Bin | None:
        """Find the calls of the same confidence."""
        if probability is None:
            return None
        return next((b for b in self.bins if b.low <= probability <= b.high and b.calls), None)


@dataclass(frozen=True)
class Trend:
    """A machine's deviation from healthy over the weeks.

    `days` count from the first day of the window; `db` are magnitudes. `band_db` is the healthy band: 95 % of the
    recordings judged healthy lie below. `onset` is a day, `states` one letter a day (o, w, a, x: no recording).
    """

    days: tuple[float, ...]
    db: tuple[float, ...]
    first_day: date
    span_days: float
    band_db: float | None
    onset: float | None
    states: str
    latest_db: float | None = None
    latest_hz: float | None = None
    way: Way = ""
    db_per_day: float | None = None


@dataclass(frozen=True)
class Row:
    """One machine of the list."""

    asset: str
    tag: str
    name: str
    area: str
    criticality: str
    sensor: str
    state: State
    before: State | None
    what: str
    label: str
    note: str
    since: datetime | None
    days: int
    k: int
    n: int
    level: Level
    probability: float | None
    runner_up: str
    runner_up_probability: float | None
    trend: Trend | None
    do: str
    by: date | None
    by_text: str
    case: CaseView | None
    newest: Point | None
    others: tuple[str, ...] = ()
    snoozed_until: datetime | None = None

    @property
    def id(self) -> str:
        """Name of its finding within the page: stable, whatever the asset is called."""
        return "m" + hashlib.sha256(self.asset.encode("utf-8", "surrogatepass")).hexdigest()[:8]

    @property
    def is_new(self) -> bool:
        """Whether it came to act since the last report."""
        return self.state == "act" and self.before not in ("act", "watch")


@dataclass(frozen=True)
class PlantView:
    """The first screen."""

    name: str
    written: datetime
    first: datetime | None
    since: datetime | None
    recordings: int
    recordings_since: int
    rows: tuple[Row, ...]
    quiet: tuple[Row, ...]
    trust: Trust = field(default_factory=Trust)
    left_out: int = 0

    def of(self, state: State) -> tuple[Row, ...]:
        """Machines of one state, in the order of the page."""
        return tuple(row for row in (*self.rows, *self.quiet) if row.state == state)

    def count(self, state: State) -> int:
        """How many machines are in a state."""
        return len(self.of(state))

    def difference(self, state: State) -> int | None:
        """How many more there are than at the last report; None without one."""
        if self.since is None:
            return None
        return self.count(state) - sum(row.before == state for row in (*self.rows, *self.quiet))

    @property
    def machines(self) -> int:
        """How many machines there are."""
        return len(self.rows) + len(self.quiet)

    @property
    def new(self) -> int:
        """How many of those to act on are new."""
        return sum(row.is_new for row in self.rows)
