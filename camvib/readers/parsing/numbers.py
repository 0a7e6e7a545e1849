"""The one parser of numbers with units: ``25,600 Hz``, ``51 200``, ``25.6 kS/s``, ``39.0625 us``, ``1.25D-4``.

The whole text must be understood. If anything is left over, it states nothing.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

BLANK_GROUPS = " \u00a0\u2009\u202f'’_"
_SIGN = r"[-+\u2212]?"
_EXPONENT = r"(?:[eEdD][-+]?\d{1,3})?"
_GROUPED = (
    rf"\d{{1,3}}(?:[{BLANK_GROUPS}]\d{{3}})+(?:[.,]\d+)?|"
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3})+(?:,\d+)?"
)
NUMBER = rf"{_SIGN}(?:(?:{_GROUPED})(?![\d.,])|\d+(?:[.,]\d+|\.)?|[.,]\d+){_EXPONENT}"
_PARTS = re.compile(rf"({NUMBER})\s*(.*)", re.DOTALL)
_ONE_GROUP = re.compile(r"[-+]?([1-9]\d{0,2})([.,])(\d{3})")

_SECOND = r"s(?:ec(?:ond)?s?)?"
_SAMPLES = r"(?:s(?:a|mpl|amples?)?|samp)"
# What stands behind the number of a sampling rate → hertz; matched whole, after blanks were taken out.
_RATE_UNITS = (
    (re.compile(rf"(?i:hz|hertz|{_SAMPLES}(?:/|per|p){_SECOND}|sps|1/s|s-1|s\^-1|s⁻¹)|Гц|гц|赫兹|ヘルツ"), 1.0),
    (re.compile(rf"(?i:k|khz|kilohertz|k{_SAMPLES}(?:/|per|p){_SECOND}|ksps)|кГц|кгц|千赫"), 1e3),
    (re.compile(rf"M|(?:M|m(?=hz))(?i:hz)|M(?i:{_SAMPLES}(?:/|per|p){_SECOND}|sps|egahertz)|(?i:megahertz)|МГц"), 1e6),
    (re.compile(rf"mHz|m(?i:{_SAMPLES}(?:/|per|p){_SECOND})"), 1e-3),
    (re.compile(r"(?i:(?:samples?|sa|s)?(?:/|per)min(?:ute)?|cpm|rpm)"), 1 / 60),
    (re.compile(r"(?i:(?:samples?|sa|s)?(?:/|per)h(?:our|r)?)"), 1 / 3600),
)
_TIME_UNITS = (
    (re.compile(r"(?i:s|secs?|seconds?|sek(?:unden?)?|секунды?|сек|с|秒|segundos?|secondes?|sekund[aey]?)"), "s"),
    (re.compile(r"(?i:ms|msecs?|milli-?s(?:ec(?:ond)?s?)?|millis|milliseconds?|мс|мсек|毫秒|ミリ秒)"), "ms"),
    (re.compile(r"(?i:[uµμ]s(?:ecs?)?|micro-?s(?:ec(?:ond)?s?)?|micros|mus|мкс|微秒)"), "us"),
    (re.compile(r"(?i:ns(?:ecs?)?|nano-?s(?:ec(?:ond)?s?)?|nanos|нс|纳秒)"), "ns"),
    (re.compile(r"(?i:min|mins|minutes?|minuten|мин)"), "min"),
    (re.compile(r"(?i:h|hrs?|hours?|std|stunden?|ч)"), "h"),
    (re.compile(r"(?i:d|days?|tage?|datenum|serial ?date|excel ?(?:date|days?|serial)|matlab ?days?)"), "d"),
)
TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0, "d": 86400.0}


class Reading(NamedTuple):
    """A number as written.

    Attributes
    ----------
    values : tuple of float
        What it may mean, the likelier first: ``25.600`` is 25.6 or 25600.
    is_sure : bool
        The first value counts, unless it is not plausible; else both are open.
    unit : str
        What stands behind it.
    step : float
        Worth of the last digit that is printed.
    """

    values: tuple[float, ...]
    is_sure: bool
    unit: str
    step: float


def read_number(text: str, decimal: str = ".") -> Reading | None:
    """Read a number and what stands behind it; None if the text does not begin with a number.

    Parameters
    ----------
    text : str
    decimal : {".", ","}
        The decimal sign that is usual where the text comes from.
    """
    match = _PARTS.fullmatch(text.strip().strip("\"'").strip())
    if match is None:
        return None
    word, unit = match[1].replace("\u2212", "-"), match[2].strip().strip("\"'").strip()
    word = re.sub(r"[dD]", "e", word)
    if one := _ONE_GROUP.fullmatch(word):
        grouped, pointed = float(one[1] + one[3]), float(f"{one[1]}.{one[3]}")
        return Reading(*_choice(grouped, pointed, one[2], decimal), unit, 1.0 if one[2] != decimal else 1e-3)
    plain = _plain(word)
    if plain is None or float(plain) in (float("inf"), float("-inf")):
        return None
    exponent = Decimal(plain).as_tuple().exponent
    return Reading(
        (float(plain),), True, unit, 10.0**exponent if isinstance(exponent, int) and abs(exponent) < 300 else 0.0
    )


def _choice(grouped: float, pointed: float, sign: str, decimal: str) -> tuple[tuple[float, ...], bool]:
    """Decide what one group of three digits means: 532.489 is no group, 25.600 may be one."""
    is_round = grouped % 10 == 0 or (grouped >= 1024 and float(grouped).hex().startswith("0x1.0000"))
    if sign == "." and not is_round:  # wherever it comes from: rates and steps in thousands are round
        return (pointed, grouped), True
    if sign != decimal:
        return (grouped, pointed), True
    return (pointed, grouped), False


def _plain(word: str) -> str | None:
    """Take out groups and bring the decimal sign to a point; None if it is no number after all."""
    digits = re.sub(f"[{BLANK_GROUPS}]", "", word)
    signs = re.findall(r"[.,]", digits)
    if len(set(signs)) == 2:
        digits = digits.replace(signs[0], "").replace(signs[-1], ".")
    elif len(signs) > 1:
        digits = digits.replace(signs[0], "")
    else:
        digits = digits.replace(",", ".")
    try:
        float(digits)
    except ValueError:
        return None
    return digits


def hertz_per(unit: str) -> float | None:
    """Return what one of this unit is in hertz (``kS/s``: 1000); None for any other word."""
    word = re.sub(r"[\s.]+", "", unit.strip("[](){} "))
    return next((factor for pattern, factor in _RATE_UNITS if pattern.fullmatch(word)), None)


def time_unit(text: str) -> str | None:
    """Return the unit of time that a word of any language means (``Sek.``: s); None for any other word."""
    word = text.strip().strip("[](){}（）［］ .").strip()
    return next((unit for pattern, unit in _TIME_UNITS if pattern.fullmatch(word)), None)
