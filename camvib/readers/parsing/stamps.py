"""Dates and times of day as loggers, spreadsheets and historians print them → seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DATE = (
    r"(?P<date>\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})|\d{8}|"
    r"\d{1,2}[-/. ]+[^\W\d_]{3,9}\.?[-/. ,]+(?:\d{4}|\d{2})|"
    r"[^\W\d_]{3,9}\.?[-/. ]+\d{1,2}(?:st|nd|rd|th)?[-/., ]+\d{4})"
)
_TIME = (
    r"(?:(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})(?:[:.m](?P<second>\d{2})(?:[.,:](?P<fraction>\d{1,9}))?)?|"
    r"(?P<hour2>\d{2})(?P<minute2>\d{2})(?P<second2>\d{2})(?:[.,](?P<fraction2>\d{1,9}))?)"
)
_TAIL = r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|UTC|GMT|[-+]\d{2}:?\d{2}|\([-+]\d{4}\))?"
_BOTH = re.compile(rf"{_DATE}(?:T|,? +|[-_:](?=\d\d:)){_TIME}{_TAIL}|{_DATE.replace('<date>', '<day>')}")
_OF_DAY = re.compile(r"(?P<hour>\d{1,2}):(?P<minute>\d{2}):(?P<second>\d{2})(?:[.,:](?P<fraction>\d{1,9}))?" + _TAIL)
_MINUTES = re.compile(r"(?P<minute>\d{1,3}):(?P<second>\d{2})[.,](?P<fraction>\d{1,9})")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}([.,]\d{1,9})?(Z|[-+]\d{2}:\d{2})?")
_MONTHS = {
    name: month
    for month, names in enumerate(
        ("jan", "feb fév fev", "mar mär mrz mars", "apr avr abr", "may mai mag maj", "jun juin giu", "jul juil lug",
         "aug aoû ago", "sep set", "oct okt ott out", "nov", "dec dez déc dic des"), start=1,
    )
    for name in names.split()
}  # fmt: skip
_DAY_S = 86400


def is_stamp(cell: str) -> bool:
    """Tell whether a cell is a date, a time of day, or both."""
    if not (
        ":" in cell or cell.count("-") > 1 or cell.count("/") > 1 or cell.count(".") > 1 or " " in cell or "T" in cell
    ):
        return len(cell) == 8 and cell.isdigit()
    return cell[:1].isalnum() and any(pattern.fullmatch(cell) for pattern in (_BOTH, _OF_DAY, _MINUTES))


@dataclass(frozen=True)
class StampForm:
    """How the stamps of one column are written, and the moment that their seconds count from.

    `day` is the first day, in days since 1970; 0 where stamps hold no date. `zero_s` is the first time of that day.
    """

    pattern: re.Pattern[str]
    is_iso: bool
    day_first: bool
    day: int
    zero_s: float = 0.0

    def seconds(self, cells: Any) -> NDArray[np.float64]:
        """Turn a pandas Series of stamps into seconds since the first; NaN for what is none."""
        return np.round(self._since_midnight(cells) - self.zero_s, 9)

    def _since_midnight(self, cells: Any) -> NDArray[np.float64]:
        import pandas as pd

        text = cells.astype("string").str.strip().str.strip("'\"")
        if self.is_iso:
            times = pd.to_datetime(text, errors="coerce", format="ISO8601", utc=True)
            nanoseconds = times.dt.as_unit("ns").astype("int64").to_numpy() - self.day * _DAY_S * 10**9
            return np.where(times.isna(), np.nan, np.round(nanoseconds * 1e-9, 9))
        parts = text.str.extract(self.pattern)
        return self._join({name: parts[name] for name in parts.columns}, len(text))

    def _join(self, parts: dict[str, Any], n: int) -> NDArray[np.float64]:
        def number(name: str) -> NDArray[np.float64]:
            values = [parts[key] for key in (name, f"{name}2") if key in parts]
            if not values:
                return np.zeros(n)
            column = values[0] if len(values) == 1 else values[0].fillna(values[1])
            return column.astype("float64").to_numpy(dtype=float, na_value=np.nan)

        hour, minute, second = number("hour"), number("minute"), number("second")
        clock = hour * 3600 + minute * 60 + np.where(np.isnan(second) & ~np.isnan(minute), 0, second)
        for key in ("fraction", "fraction2"):
            if key in parts:
                digits = parts[key].fillna("")
                clock = clock + np.nan_to_num(("0." + digits).astype("float64").to_numpy(dtype=float, na_value=0.0))
        if "half" in parts and parts["half"].notna().any():
            is_pm = parts["half"].str.lower().str.startswith("p").fillna(False).to_numpy(dtype=bool)
            has_half = parts["half"].notna().to_numpy(dtype=bool)
            clock = (
                clock
                + np.where(has_half & is_pm & (hour < 12), 43200, 0)
                - np.where(has_half & ~is_pm & (hour == 12), 43200, 0)
            )
        if "zone" in parts and parts["zone"].notna().any():
            clock = clock - parts["zone"].map(_offset_s, na_action="ignore").astype("float64").fillna(0).to_numpy()
        if "date" in parts:
            dates = parts["date"].fillna(parts["day"])
            is_date_only = parts["date"].isna().to_numpy(dtype=bool)
            days = dates.map({word: _day(word, self.day_first) for word in dates.dropna().unique()})
            days = days.astype("float64").to_numpy(dtype=float, na_value=np.nan)
            clock = np.where(is_date_only, 0.0, clock) + (days - self.day) * _DAY_S
        return np.round(clock, 9)


def find_form(cells: Sequence[str], day_first: bool) -> StampForm | None:
    """Find how a column's stamps are written from some of its cells; None if the first is no stamp.

    `day_first` decides for dates that may be read either way, such as 03/04/2024.
    """
    import pandas as pd

    cells = [cell.strip().strip("'\"") for cell in cells if cell.strip()]
    if not cells:
        return None
    pattern = next((p for p in (_MINUTES, _OF_DAY, _BOTH) if p.fullmatch(cells[0])), None)
    if pattern is None:
        return None
    words = []
    for cell in cells:
        match = pattern.fullmatch(cell)
        if match and pattern is _BOTH:
            words.append(match["date"] or match["day"])
    fields = [re.split(r"[-/.]", word) for word in words if re.fullmatch(r"\d{1,2}[-/.]\d{1,2}[-/.]\d+", word)]
    if any(int(field[0]) > 12 for field in fields) or any("." in word for word in words):
        day_first = True
    elif any(int(field[1]) > 12 for field in fields):
        day_first = False
    day = next((day for word in words if (day := _day(word, day_first)) is not None), 0)
    is_iso = pattern is _BOTH and all(_ISO.fullmatch(cell) for cell in cells if pattern.fullmatch(cell))
    compiled = re.compile(rf"^(?:{pattern.pattern})$")
    form = StampForm(compiled, is_iso, day_first, day)
    first = form.seconds(pd.Series(cells[:1]))[0]
    return replace(form, zero_s=float(first)) if np.isfinite(first) else form


def _day(word: str, day_first: bool) -> int | None:
    """Days since 1970 of a date in words or numbers; None if there is no such day."""
    fields = [field for field in re.split(r"[-/., ]+", word) if field]
    if re.fullmatch(r"\d{8}", word):
        fields = [word[:4], word[4:6], word[6:]]
    letters = next((i for i, field in enumerate(fields) if not field[0].isdigit()), None)
    try:
        if letters is not None:
            month = _month(fields.pop(letters))
            day, year = (int(re.sub(r"\D", "", field)) for field in fields)
        elif len(fields[0]) == 4:
            year, month, day = map(int, fields)
        else:
            first, second, year = map(int, fields)
            day, month = (first, second) if day_first else (second, first)
        year += 0 if year > 99 else 2000 if year < 70 else 1900
        return date(year, month, day).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        return None


def _month(word: str) -> int:
    word = word.lower()
    longest_first = sorted(_MONTHS.items(), key=lambda one: -len(one[0]))
    month = next((month for name, month in longest_first if word.startswith(name)), None)
    if month is None:
        raise ValueError(f"{word} is no month")
    return month


def _offset_s(zone: str) -> float:
    digits = re.sub(r"[^\d+-]", "", zone)
    if not digits:
        return 0.0
    sign = -1.0 if digits[0] == "-" else 1.0
    return sign * (int(digits[1:3]) * 3600 + int(digits[3:5] or 0) * 60)
