"""What a column's name says: its unit, and whether it is time."""

from __future__ import annotations

import re

from camvib.errors import UnitError
from camvib.units import parse_unit

# Suffixes that count as a declared unit; anything else after an underscore is part of the name.
SUFFIXES = {
    "_m_per_s2": "m/s2", "_m_s2": "m/s2", "_ms2": "m/s2", "_mm_s2": "mm/s2", "_g": "g", "_mg": "mg",
    "_m_per_s": "m/s", "_m_s": "m/s", "_mm_per_s": "mm/s", "_mm_s": "mm/s", "_in_s": "in/s", "_ips": "in/s",
    "_um": "um", "_mm": "mm", "_mil": "mil", "_V": "V", "_mV": "mV", "_Pa": "Pa", "_N": "N", "_kN": "kN", "_lbf": "lbf",
    "_ustrain": "ustrain", "_A": "A", "_deg_s": "deg/s", "_rad_s": "rad/s", "_s": "s", "_sec": "s", "_ms": "ms",
    "_us": "us", "_ns": "ns",
}  # fmt: skip
_WORDS = {
    "voltage": "V", "voltage (unscaled)": "V", "newtons": "N", "pounds": "lbf", "lbs": "lbf", "sec": "s", "secs": "s",
    "seconds": "s", "second": "s", "msec": "ms", "milliseconds": "ms", "microseconds": "us", "usec": "us",
    "pascal": "Pa", "meters": "m", "amperes": "A", "gs": "g", "m/s2": "m/s2", "mm/sec": "mm/s",
    "m/sec": "m/s",
}  # fmt: skip
_BRACKETS = re.compile(r"^(.*?)\s*[\[(]\s*([^\[\]()]+?)\s*[\])]\s*$")
_TIME = re.compile(
    r"^(x_?value|x-?axis|t|time.*|rel(ative)?[ _]?time|elapsed.*|zeit.*|temps|tiempo|tempo|cas|čas|"
    r"date.*|datum|clock|uhrzeit|sec|secs|seconds?|ms|us|millis|micros)$",
    re.IGNORECASE,
)
_FREQUENCY = re.compile(
    r"^(freq.*|frequency.*|frequenz.*|fréquence.*|frecuencia.*|f|order|ordnung)$|^.*[\[(]\s*[kM]?Hz\s*[\])]$",
    re.IGNORECASE,
)
_RATE = re.compile(
    r"(sampl(e|ing)_?(rate|freq|frequency)|s_?rate|f_?s|sr|f_?samp(le|ling)?|sample_?freq)_?(?P<unit>k?hz)?",
    re.IGNORECASE,
)
_STEP = re.compile(
    r"(dt|delta_?[tx]|wf_increment|x_?increment|time_?step|sampl(e|ing)_?(interval|period|time))(_?(?P<unit>s|ms|us))?",
    re.IGNORECASE,
)
_INDEX = re.compile(
    r"^(|column_\d+|#|no\.?|nr\.?|n|i|index|idx|sample.*|row|unnamed.*|id|point|count(er)?)$", re.IGNORECASE
)
TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0}


def known_unit(text: str | None) -> str | None:
    """Return a word that `camvib.units` (or a clock) knows for this text, else None."""
    text = re.sub(r"^[\[({](.*)[\])}]$", r"\1", (text or "").strip()).strip()
    text = "us" if text in ("µs", "μs") else text  # the micro sign, and the Greek letter
    for word in (text, _WORDS.get(text.lower(), "")):
        if word in TIME_UNITS:
            return word
        try:
            return word if word and parse_unit(word) else None
        except UnitError:
            continue
    return None


def split_name(name: str) -> tuple[str, str | None]:
    """Split ``Acceleration (g)`` or ``tip_mm_s`` into the bare name and the unit, if it is known."""
    name = name.strip()
    match = _BRACKETS.match(name)
    if match and (unit := known_unit(match[2])):
        return match[1].strip(), unit
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)], SUFFIXES[suffix]
    return name, None


def is_time(name: str) -> bool:
    """Tell whether a column of this name is a clock."""
    return bool(_TIME.match(split_name(name)[0].strip()))


def is_index(name: str) -> bool:
    """Tell whether a column of this name may be a running number."""
    return bool(_INDEX.match(name.strip()))


def is_frequency(name: str) -> bool:
    """Tell whether a column of this name is the axis of a spectrum, if it rises evenly."""
    return bool(_FREQUENCY.match(name.strip()))


def rate_in(name: str, value: float) -> float | None:
    """Read a number of this name (``fs``, ``Sampling Rate [kHz]``, ``dt``) as a sampling rate in Hz, if it is one."""
    word = re.sub(r"[\s\-\[\]()]+", "_", name).strip("_")
    if match := _RATE.fullmatch(word):
        return value * (1e3 if (match["unit"] or "").lower() == "khz" else 1.0)
    if (match := _STEP.fullmatch(word)) and value > 0:
        return 1 / (value * TIME_UNITS[(match["unit"] or "s").lower()])
    return None


def comparable(name: str) -> str:
    """Bring ``H[:,2]`` and ``H[2]``, ``Accel`` and ``accel`` to one form."""
    return re.sub(r"[\s:]|(?<=\[),|,(?=\])", "", name.replace(":,", "").replace(",:", "")).casefold()
