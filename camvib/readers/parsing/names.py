"""What a name says: a column's unit, whether it may be time, whether a key states a rate."""

from __future__ import annotations

import re
from collections.abc import Iterable

from camvib.errors import UnitError
from camvib.readers.parsing.channel import Rate, read_rate, read_step
from camvib.readers.parsing.numbers import TIME_UNITS, hertz_per, read_number, time_unit
from camvib.units import parse_unit

__all__ = [
    "TIME_UNITS", "comparable", "fits_unit", "is_frequency", "is_index", "is_key", "is_status", "is_time", "is_unit",
    "known_unit",
    "rate_of", "split_name", "states_rate", "unit_in_time_name", "witnessed",
]  # fmt: skip

# Suffixes that count as a declared unit; anything else after an underscore is part of the name.
SUFFIXES = {
    "_m_per_s2": "m/s2", "_m_s2": "m/s2", "_ms2": "m/s2", "_mm_s2": "mm/s2", "_g": "g", "_mg": "mg",
    "_m_per_s": "m/s", "_m_s": "m/s", "_mm_per_s": "mm/s", "_mm_s": "mm/s", "_in_s": "in/s", "_ips": "in/s",
    "_um": "um", "_mm": "mm", "_mil": "mil", "_V": "V", "_mV": "mV", "_Pa": "Pa", "_N": "N", "_kN": "kN", "_lbf": "lbf",
    "_ustrain": "ustrain", "_A": "A", "_deg_s": "deg/s", "_rad_s": "rad/s", "_s": "s", "_sec": "s", "_ms": "ms",
    "_us": "us", "_ns": "ns",
}  # fmt: skip
_LONGEST_FIRST = sorted(SUFFIXES, key=len, reverse=True)
# Also the letters of directions (vertical, axial, north): what stands before them must speak of the quantity.
_LETTERS = {
    "_V": r"volt|spannung|accel|acc|sensor|geo|probe|adc|ain?\d*|ch(annel)?[ _]?\d*|in(put)?\d*|"
    r"out(put)?\d*|raw|u|signal",
    "_A": r"current|curr|strom|amp|phase|i",
    "_N": r"force|kraft|load|hammer|impact|f",
}
_WORDS = {
    "voltage": "V", "voltage (unscaled)": "V", "newtons": "N", "pounds": "lbf", "lbs": "lbf",
    "pascal": "Pa", "meters": "m", "amperes": "A", "gs": "g", "m/s2": "m/s2", "mm/sec": "mm/s",
    "m/sec": "m/s", "m/sâ²": "m/s2", "mm/sâ²": "mm/s2", "m·s⁻²": "m/s2", "m·s-2": "m/s2", "m s⁻²": "m/s2",
    "inch/s": "in/s", "inches/s": "in/s", "in/sec": "in/s",
}  # fmt: skip
_BRACKETS = re.compile(r"^(.*?)\s*[\[(（［]\s*([^\[\]()（）［］]+?)\s*[\])）］]\s*$")
_BESIDE = re.compile(r"^(.*?\S)(?:\s+/\s*|\s+in\s+)(\S+)$")
_TIME = re.compile(
    r"(x_?value|t|ts|.*time(stamp)?s?([ _-]?(us|ms|ns|utc|local|rel(ative)?|abs(olute)?))?|time.*|stamp|elapsed.*|"
    r".*[ _]elapsed|.*[ _]time[ _].*|.*zeit(punkt|stempel)?|temps|tiempo|tempo|cas|čas|czas|tid|tijd|aika|idő|zaman|"
    r"время.*|"
    r"时间.*|時間.*|時刻.*|时刻.*|시간|date.*|datum.*|fecha|clock.*|uhrzeit|secs?|seconds?|s|ms|us|millis|micros|utc.*|"
    r"epoch.*|epoc|unix.*|posix.*)",
    re.IGNORECASE,
)
_TIME_IN_NAME = re.compile(
    r"(?:.*[ _]|time|t|ts|epoch)?(millis|micros|nanos|ms|us|ns|msec|usec|seconds?|secs?|sec|hours?|minutes?)",
    re.IGNORECASE,
)
_FREQUENCY = re.compile(
    r"^(freq.*|frequency.*|frequenz.*|fréquence.*|frecuencia.*|f|order|ordnung)$|^.*[\[(]\s*[kM]?Hz\s*[\])]$",
    re.IGNORECASE,
)
_INDEX = re.compile(
    r"^(|column_\d+|#|no\.?|nr\.?|n|i|index|idx|sample.*|row|unnamed.*|id|point|count(er)?|interval|seq.*|packet.*|.*\[\d+\])$",
    re.IGNORECASE,
)
_KEY = re.compile(
    r".*(sensor|axis|achse|channel|kanal|device|node|location|position|point|tag|field|signal|mac|asset|machine|"
    r"direction|richtung|probe|station|variable|metric|parameter|name|key|type|source|serial|imei|address)s?"
    r"([ _-]?(id|nr|no|name|key|idx|number))?|id|topic|_?table",
    re.IGNORECASE,
)
_STATUS = re.compile(
    r"(.*[ _.-])?(quality|status|state|flags?|error.*|errors?|alarms?|alm.*|events?|valid|overflows?|count(er)?s?|"
    r"clip.*|samples|id|device.*|serial.*|version|channel|sensor|range|gain|table|result)(\[\d+\])?",
    re.IGNORECASE,
)
# What a name speaks of → the quantity of `camvib.units`, empty for those that no unit of vibration has.
_QUANTITIES = tuple(
    (re.compile(rf"(^|[^a-z])({words})([^a-z]|$)", re.IGNORECASE), quantity)
    for words, quantity in (
        ("temp|temperature|temperatur|tmp|humidity|rpm|speed|drehzahl|torque|drehmoment|power|tach|tacho|keyphasor|"
         "trigger|lat|latitude|lon|longitude|altitude|battery|vbat|oil|flow|level", ""),
        ("acc|accel|acceleration|beschleunigung|accelerometer", "acceleration"),
        ("vel|velocity|schwinggeschwindigkeit", "velocity"),
        ("disp|displacement|weg|prox|proximity", "displacement"),
        ("current|strom|curr", "current"),
        ("voltage|spannung|volt", "voltage"),
        ("pressure|druck|mic|microphone|sound", "pressure"),
        ("force|kraft|hammer", "force"),
        ("strain|dehnung", "strain"),
        ("gyr|gyro|gyroscope|angular", "angular velocity"),
    )
)  # fmt: skip
_RATE = re.compile(
    r"((?:the|actual|real|true|effective|nominal|current|input|signal|channel|vibration|measurement|recording|logger|"
    r"device|sensor|adc|daq|file|waveform|wf|time|digital|accelerometer|acc)[\s_-]*)?"
    r"((?:sampl(?:e|ing)s?|samp|acquisition|acq|scan|data|adc|daq|digiti[sz](?:ing|ation|er))[\s_-]*(?:rate|freq(?:uency)?)|"
    r"rate|samples?[\s_-]*(?:per|/)[\s_-]*s(?:ec(?:ond)?)?|sps|f_?s(?:_?amp(?:le|ling)?)?|f_?samp(?:le|ling)?|s_?r(?:ate)?|"
    r"(?:output[\s_-]*data[\s_-]*rate|odr)|(?:abtast|mess|sample)[\s_-]*(?:rate|frequenz)|"
    r"fr[ée]quence d['’ ]?[ée]chantillonnage|frecuencia de muestreo|tasa de muestreo|frequenza di campionamento|"
    r"frequ[êe]ncia de amostragem|taxa de amostragem|bemonsteringsfrequentie|sampl?ings?(?:frekvens|rate|hastighet)|"
    r"cz[ęe]stotliwo[śs][ćc] pr[óo]bkowania|vzorkovac[íi] frekvence|частота дискретизации|采样频?率|取樣頻?率|"
    r"サンプリング(?:周波数|レート)|샘플링 ?(?:주파수|레이트))",
    re.IGNORECASE,
)
_STEP = re.compile(
    r"((?:sampl(?:e|ing)|samp|time|acq\w*|scan|horizontal|abscissa|x|wf)[\s_-]*(?:axis[\s_-]*)?"
    r"(?:interval|period|increment|inc|spacing|step|delta)|h_?resolution|sampl(?:e|ing)[\s_-]*time|t[\s_-]*sample|"
    r"delta[\s_-]*[tx]|Δ\s?t|dt|timestep|interval|increment|abtast(?:intervall|zeit|periode|schritt)|pas de temps|"
    r"p[ée]riode d['’ ]?[ée]chantillonnage|intervallo di campionamento|intervalo de muestreo|"
    r"采样(?:间隔|周期)|サンプリング間隔)",
    re.IGNORECASE,
)
_BARE_STEPS = ("interval", "increment")  # of anything: only with a unit of time
_KEY_UNITS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(.+?)[\s_]*[\[(（]\s*([^\[\]()（）]+?)\s*[\])）]",
        r"(.+?)[\s_]+in[\s_]+(\S+)",
        r"(.+)_([^_\s]+)",
        r"(.+?)\s*/\s*(\S+)",
    )
)
_COMMA_COUNTRIES = re.compile(
    r"abtast|messrate|messfreq|[ée]chantillonnage|muestreo|campionamento|amostragem|bemonstering|frekvens|hastighet|"
    r"próbkowania|probkowania|frekvence|дискретизации|pas de temps|intervall\b",
    re.IGNORECASE,
)


def known_unit(text: str | None) -> str | None:
    """Return a word that `camvib.units` (or a clock) knows for this text, else None."""
    text = re.sub(r"^[\[({（［](.*)[\])}）］]$", r"\1", (text or "").strip()).strip()
    if not text:
        return None
    text = re.sub(r"^(\w+) since .*\d.*$", r"\1", text)  # of netCDF's clocks
    if (clock := time_unit(text)) and not (clock == "d" and len(text) == 1):
        return clock
    for word in (text, _WORDS.get(text.lower(), "")):
        try:
            return word if word and parse_unit(word) else None
        except UnitError:
            continue
    return None


def is_unit(word: str) -> bool:
    """Tell whether `camvib.units` knows this word."""
    try:
        return bool(parse_unit(word))
    except UnitError:
        return False


def split_name(name: str) -> tuple[str, str | None]:
    """Split ``Acceleration (g)``, ``Zeit / s`` or ``tip_mm_s`` into the bare name and the unit, if it is known."""
    name = name.strip()
    for pattern in (_BRACKETS, _BESIDE):
        match = pattern.match(name)
        if match and (unit := known_unit(match[2])):
            return match[1].strip(), unit
    for suffix in _LONGEST_FIRST:
        if name.endswith(suffix) and len(name) > len(suffix):
            stem = name[: -len(suffix)]
            if suffix in _LETTERS and not re.search(rf"(^|[ _/.-]|\d)({_LETTERS[suffix]})$", stem, re.IGNORECASE):
                break
            return stem, SUFFIXES[suffix]
    return name, None


def witnessed(names: Iterable[str]) -> dict[str, str | None]:
    """Units of names that stand side by side: in DE_V, DE_H, DE_A the letters are directions, not units."""
    names = list(names)
    stems = [name[:-2] for name in names if re.search(r"_[A-Z]$", name)]
    return {
        name: None if name[-2:] in _LETTERS and stems.count(name[:-2]) > 1 else split_name(name)[1] for name in names
    }


def is_time(name: str) -> bool:
    """Tell whether a column of this name may be a clock; its content decides."""
    return bool(_TIME.fullmatch(split_name(name)[0].strip(" _.")))


def unit_in_time_name(name: str) -> str | None:
    """Return the unit that a clock's name tells: ``millis``, ``TimeUS``, ``seconds_elapsed``."""
    bare = name.strip()
    if match := _TIME_IN_NAME.fullmatch(bare):
        return time_unit(match[1])
    return "s" if re.fullmatch(r"(seconds?|secs?)[ _].*", bare, re.IGNORECASE) else None


def is_index(name: str) -> bool:
    """Tell whether a column of this name may be a running number."""
    return bool(_INDEX.match(name.strip()))


def is_key(name: str) -> bool:
    """Tell whether a column of this name may say which sensor a row belongs to."""
    return bool(_KEY.fullmatch(name.strip()))


def is_status(name: str) -> bool:
    """Tell whether a column of this name, if it holds one whole number only, is about the device."""
    return bool(_STATUS.fullmatch(name.strip()))


def fits_unit(name: str, unit: str) -> bool:
    """Tell whether a unit that is given for all may hold for what this name speaks of: g not for a temperature."""
    spoken = next((quantity for pattern, quantity in _QUANTITIES if pattern.search(name.replace("_", " "))), None)
    if spoken is None:
        return True
    try:
        return parse_unit(known_unit(unit) or unit).quantity == spoken
    except UnitError:
        return False


def is_frequency(name: str) -> bool:
    """Tell whether a column of this name is the axis of a spectrum, if it rises evenly."""
    return bool(_FREQUENCY.match(name.strip()))


def states_rate(name: str) -> bool:
    """Tell whether a key of this name states a sampling rate or an increment of time."""
    return _kind(name) is not None


def rate_of(name: str, text: str, source: str, decimal: str = ".") -> Rate | None:
    """Read what stands beside a key (``fs``, ``Sampling Rate [kHz]``, ``dt``): nothing of the text may be left over."""
    kind = _kind(name)
    reading = read_number(text, "," if _COMMA_COUNTRIES.search(name) else decimal)
    if kind is None or reading is None:
        return None
    is_rate, bare, unit = kind
    given = reading.unit or unit
    if is_rate:
        hertz = hertz_per(given) if given else 1.0
        return read_rate(reading, hertz, source) if hertz else None
    seconds = time_unit(given) if given else None if bare.lower() in _BARE_STEPS else "s"
    return read_step(reading, TIME_UNITS[seconds], source) if seconds else None


def _kind(name: str) -> tuple[bool, str, str] | None:
    """Tell rate (True) from increment (False), with the bare key and the unit that it ends with."""
    name = name.strip().strip("\"'#%;*$: =").strip()
    candidates = [(name, "")]
    candidates += [(m[1].strip(" _-"), m[2].strip()) for pattern in _KEY_UNITS if (m := pattern.fullmatch(name))]
    for bare, unit in candidates:
        if _RATE.fullmatch(bare) and (not unit or hertz_per(unit)):
            return True, bare, unit
        if _STEP.fullmatch(bare) and (not unit or time_unit(unit)):
            return False, bare, unit
    return None


def comparable(name: str) -> str:
    """Bring ``H[:,2]`` and ``H[2]``, ``Accel`` and ``accel`` to one form."""
    return re.sub(r"[\s:]|(?<=\[),|,(?=\])", "", name.replace(":,", "").replace(",:", "")).casefold()
