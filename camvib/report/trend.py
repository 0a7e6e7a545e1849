"""A machine's trend as it is drawn: the small one of the list, and the large one of its finding."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from markupsafe import Markup

from camvib.drawing.ticks import Axis, Tick
from camvib.report import words
from camvib.report.urgency import moment
from camvib.report.view import Row, Trend

WIDTH, HEIGHT = 150, 34
GAP_DAYS = 4.0  # a longer time without a recording breaks the line
LETTERS = {"o": "as it was", "w": "watch", "a": "act", "r": "refused", "x": "no recording"}


@dataclass(frozen=True)
class Line:
    """A horizontal line of the plot, percent from below."""

    kind: str
    at: float
    text: str


@dataclass(frozen=True)
class Event:
    """A day of note, percent from the left."""

    at: float
    text: str


@dataclass(frozen=True)
class Run:
    """So many days of one state."""

    letter: str
    days: int


@dataclass(frozen=True)
class TrendPlot:
    """The large trend; paths are in hundredths of a day and tenths of a decibel."""

    box: str
    line: str
    dots: str
    band: str
    x: list[Tick]
    y: list[Tick]
    lines: tuple[Line, ...]
    events: tuple[Event, ...]
    since: float | None
    runs: tuple[Run, ...]
    said: str
    states_said: str
    first_second: int
    span_seconds: int


def _stretches(trend: Trend) -> list[list[tuple[float, float]]]:
    """Cut the trend where nothing was recorded for long."""
    days = trend.days
    usual = sorted(b - a for a, b in pairwise(days))[len(days) // 2 - 1] if len(days) > 1 else 1.0
    found: list[list[tuple[float, float]]] = [[]]
    for before, day, db in zip((days[0], *days), days, trend.db, strict=False):
        if day - before > max(GAP_DAYS, 3 * usual):
            found.append([])
        found[-1].append((day, db))
    return found


def sparkline(row: Row) -> Markup:
    """Draw eight weeks over the healthy band, with the onset."""
    trend = row.trend
    if trend is None:
        return Markup("")
    top = 1.08 * max(*trend.db, trend.act_db or 0.0, 2 * (trend.band_db or 0.5))

    def x(day: float) -> str:
        return f"{WIDTH * day / trend.span_days:.0f}"

    def y(db: float) -> str:
        return f"{HEIGHT * (1 - db / top):.0f}"

    parts = []
    if trend.band_db is not None:
        parts.append(f"<rect y={y(trend.band_db)} width={WIDTH} height={HEIGHT - int(y(trend.band_db))} />")
    if trend.onset is not None:
        parts.append(f"<line x1={x(trend.onset)} x2={x(trend.onset)} y1=0 y2={HEIGHT} />")
    for stretch in _stretches(trend):
        parts.append(f'<polyline points="{" ".join(f"{x(day)},{y(db)}" for day, db in stretch)}"/>')
    parts.append(f"<circle cx={x(trend.days[-1])} cy={y(trend.db[-1])} r=2.6 />")
    said = f"{words.tenth(trend.db[-1])} dB from healthy now, healthy up to {words.tenth(trend.band_db)}"
    # Numbers only: nothing here comes from a name.
    return Markup(
        f'<svg class="sp" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">{"".join(parts)}</svg>'
    )


def trend_words(row: Row) -> str:
    """What the trend says: how much, where, and which way it goes."""
    trend = row.trend
    if trend is None:
        return ""
    amount = f"{words.tenth(trend.db[-1])} dB from healthy"
    if row.rise:
        amount = f"{words.decibels(row.rise.db)} at {words.hertz(row.rise.hz)}"
    return f"{amount}, {trend.way}" if trend.way else amount


def no_trend(row: Row) -> str:
    """Why there is no trend."""
    if row.state == "blind" and row.since:
        return f"no trend since {words.day(row.since)}"
    return "not compared with a healthy baseline" if row.last else ""


def trend_plot(row: Row, now: datetime) -> TrendPlot | None:
    """Draw the large trend of a finding."""
    trend = row.trend
    if trend is None:
        return None
    highest = max(*trend.db, trend.act_db or 0.0)
    level, time = Axis.between(0.0, 1.12 * max(highest, 0.5)), Axis.between(0.0, trend.span_days)
    top = 10 * float(level.edges[-1])
    lines = tuple(
        Line(kind, round(100 * float(level.position(db)), 2), f"{kind}, {words.tenth(db)} dB")
        for kind, db in (("act", trend.act_db), ("watch", trend.watch_db))
        if db is not None and db <= level.edges[-1]
    )
    stretches = _stretches(trend)
    first = now - timedelta(days=trend.span_days)
    band = "" if trend.band_db is None else f"M0 0H{100 * trend.span_days:.0f}V{-10 * trend.band_db:.0f}H0Z"
    ways = [LETTERS[letter] for letter, _ in groupby(trend.states)]
    return TrendPlot(
        box=f"0 {-top:.0f} {100 * trend.span_days:.0f} {top:.0f}",
        line="".join("M" + "L".join(f"{100 * d:.0f} {-10 * db:.0f}" for d, db in part) for part in stretches),
        dots="".join(f"M{100 * d:.0f} {-10 * db:.0f}h0" for part in stretches for d, db in part),
        band=band,
        x=_days(trend, time),
        y=level.ticks(4),
        lines=lines,
        events=_events(row, trend, first),
        since=None if trend.onset is None else round(100 * float(time.position(trend.onset)), 2),
        runs=tuple(Run(letter, len(list(days))) for letter, days in groupby(trend.states)),
        said=f"Change against healthy in dB over 8 weeks: {words.tenth(trend.db[0])} at first, "
        f"{words.tenth(trend.db[-1])} now; healthy recordings lie below {words.tenth(trend.band_db)}",
        states_said="State by day: " + ", then ".join(ways[:12]),
        first_second=round(first.timestamp()),
        span_seconds=round(86400 * trend.span_days),
    )


def _days(trend: Trend, time: Axis) -> list[Tick]:
    """Write each second Monday."""
    first = trend.first_day
    mondays = [day for day in range(int(trend.span_days)) if (first + timedelta(days=day)).weekday() == 0]
    return [Tick(round(100 * float(time.position(d)), 2), words.day(first + timedelta(days=d))) for d in mondays[::2]]


def _events(row: Row, trend: Trend, first: datetime) -> tuple[Event, ...]:
    """What people did, and when it began, from the right to the left so that names do not overlap."""
    days: list[tuple[float, str]] = []
    if trend.onset is not None and row.since:
        days.append((trend.onset, words.day(row.since)))
    for event in row.case.events if row.case else ():
        if event.who != "camvib":
            done = (moment(event.at) - first) / timedelta(days=1)
            days.append((done, words.DONE.get(event.kind, "")))
    found: list[Event] = []
    for day, text in sorted(days):
        at = round(100 * day / trend.span_days, 2)
        if 0 <= at <= 100 and (not found or at - found[-1].at > 9):
            found.append(Event(at, text))
    return tuple(found)
