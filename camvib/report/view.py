"""The page as data: what stands in each row, before anything is drawn.

Everything here is frozen, and times are aware and in the plant's zone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from camvib.images.rise import Rise
from camvib.records import Case, Diagnosis, HistoryPoint

State = Literal["act", "watch", "blind", "ok"]
STATES: tuple[State, ...] = ("act", "watch", "blind", "ok")
Way = Literal["rising", "steady", "falling", "step", ""]
Level = Literal["high", "medium", "low", ""]


@dataclass(frozen=True)
class Bin:
    """Of `calls` calls with a probability of `low` to `high`, on machines never seen, `right` were right."""

    low: float
    high: float
    calls: int
    right: int


@dataclass(frozen=True)
class Trust:
    """How far to trust the page: figures measured on machines that the model never saw; None where unmeasured.

    Attributes
    ----------
    accuracy : float or None
    recordings, machines : int
        That it was measured on.
    false_of_100 : float or None
        Of 100 recordings called faulty, so many were healthy.
    missed_of_100 : float or None
        Of 100 recordings of faulty machines, so many were called healthy.
    bins : tuple of Bin
    digests : tuple of (str, str)
        What is folded away: model, settings, version.
    """

    accuracy: float | None = None
    recordings: int = 0
    machines: int = 0
    false_of_100: float | None = None
    missed_of_100: float | None = None
    bins: tuple[Bin, ...] = ()
    digests: tuple[tuple[str, str], ...] = ()

    def bin_of(self, probability: float | None) -> Bin | None:
        """Find the calls of the same confidence."""
        if probability is None:
            return None
        return next((b for b in self.bins if b.low <= probability <= b.high and b.calls), None)


@dataclass(frozen=True)
class Trend:
    """A machine's change against healthy over the weeks.

    Attributes
    ----------
    days, db : tuple of float
        When, counted from the first day of the window, and how much.
    first_day : date
    span_days : float
    band_db : float or None
        Healthy band: 95 % of the recordings judged healthy lie below.
    watch_db, act_db : float or None
        The lines.
    onset : float or None
        Day of the first recording of the case.
    states : str
        One letter a day: a act, w watch, o as it was, r refused, x no recording.
    way : str
    db_per_day : float or None
    """

    days: tuple[float, ...]
    db: tuple[float, ...]
    first_day: date
    span_days: float
    band_db: float | None
    watch_db: float | None
    act_db: float | None
    onset: float | None
    states: str
    way: Way = ""
    db_per_day: float | None = None


@dataclass(frozen=True)
class Newest:
    """The newest recording that speaks for a case, or that was refused, looked at closely."""

    diagnosis: Diagnosis
    rise: Rise | None = None

    def runner_up(self, label: str) -> tuple[str, float] | None:
        """The likeliest of the other conditions."""
        others = [(name, p) for name, p in self.diagnosis.probabilities.items() if name != label]
        return max(others, key=lambda item: item[1]) if others else None


@dataclass(frozen=True)
class Row:
    """One machine of the list.

    Attributes
    ----------
    asset, tag, name, area, criticality, sensor : str
    state, before : State
        Now, and at the last report (None: there was none).
    what, label, note : str
        The fault in words, its label, the newest thing said of it.
    since : datetime or None
    days, k, n : int
        How long, and in k of n recordings.
    level, probability, runner_up, runner_up_probability
        How sure.
    trend : Trend or None
    rise : Rise or None
        The largest deviation from healthy in the newest recording, and where.
    do, by, by_text
        What to do until when.
    case : Case or None
    point : HistoryPoint or None
        The recording that the finding draws.
    others : tuple of str
        Further open cases of the machine.
    """

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
    rise: Rise | None
    do: str
    by: date | None
    by_text: str
    case: Case | None
    point: HistoryPoint | None
    last: datetime | None
    others: tuple[str, ...] = ()
    snoozed_until: datetime | None = None

    @property
    def id(self) -> str:
        """Name of its finding within the page: stable, whatever the asset is called."""
        return "m" + hashlib.sha256(self.asset.encode("utf-8", "surrogatepass")).hexdigest()[:8]

    @property
    def is_new(self) -> bool:
        """Whether it came to act since the last report."""
        return self.state == "act" and self.before in ("ok", "blind")


@dataclass(frozen=True)
class PlantView:
    """The first screen. `left_out` counts recordings of the store that it does not hold."""

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
    def areas(self) -> dict[str, list[Row]]:
        """All machines by area, those to look at first."""
        found: dict[str, list[Row]] = {}
        for row in sorted((*self.rows, *self.quiet), key=lambda row: (row.area == "", row.area, row.tag)):
            found.setdefault(row.area, []).append(row)
        return found

    @property
    def machines(self) -> int:
        """How many machines there are."""
        return len(self.rows) + len(self.quiet)

    @property
    def new(self) -> int:
        """How many of those to act on are new."""
        return sum(row.is_new for row in self.rows)
