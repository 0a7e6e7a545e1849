"""What scalars and attributes state, and for which arrays it holds: those in the same group, or below it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.readers.parsing.channel import Rate
from camvib.readers.parsing.names import fits_unit, known_unit, rate_of, split_name, states_rate
from camvib.readers.parsing.text import parse_date

Path = tuple[str, ...]

_PARTS = re.compile(r"[./]")
UNIT_KEYS = ("unit", "units", "einheit", "y_unit", "unit_string", "engineering_units", "eu", "unitlabel", "unit_label")
DATE_KEYS = ("started", "recorded_at", "start_time", "date")
NAME_KEYS = (
    "columns", "column_names", "names", "channel_names", "channels", "channel_labels", "labels", "fields", "headers",
    "variable_names", "axes",
)  # fmt: skip
_UNIT_OF_AXIS = re.compile(r"(^|[./])y_?values[./]quantity[./]label$", re.IGNORECASE)
# Two halves of one thing in files without structure: Channel_1_Header, Channel_1_Data.
_HALF = re.compile(
    r"[_ ](header|hdr|data|meta|metadata|info|attrs|attributes|properties|signal|values|samples)$", re.IGNORECASE
)
_RATE_FOR = re.compile(
    r"(?:fs|sr|sampling_?rate(?:_hz)?|sample_?rate(?:_hz)?)_(\w+)|(\w+)_(?:fs|sr|sampling_?rate(?:_hz)?|sample_?rate(?:_hz)?)",
    re.IGNORECASE,
)
_X_AXIS = re.compile(r"(x|t|time|abscissa)([_ ]?(values|axis|data))?", re.IGNORECASE)
_BARE_NUMBER = re.compile(r"[-+\d.,eE]*")
_LISTED = re.compile(r"(.*)\[(\d+)\]")


@dataclass(frozen=True)
class Stated:
    """One statement: the group or array that it holds for, its key, and what it says."""

    scope: Path
    key: str
    text: str
    rate: Rate | None = None
    listed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scopes:
    """All statements of a file."""

    stated: Sequence[Stated] = field(default_factory=tuple)

    def holding_for(self, name: str) -> list[Stated]:
        """Statements that hold for an array, the nearest first."""
        path = tuple(_stem(part) for part in parts(name))
        held = [one for one in self.stated if tuple(map(_stem, one.scope)) == path[: len(one.scope)]]
        return sorted(held, key=lambda one: -len(one.scope))

    def rates(self, name: str) -> tuple[Rate, ...]:
        """All statements of the rate that stand nearest."""
        rates = [one for one in self.holding_for(name) if one.rate]
        return tuple(one.rate for one in rates if one.rate and len(one.scope) == len(rates[0].scope))

    def unit(self, name: str) -> str | None:
        """The unit that stands nearest, unless two stand there or the name speaks of another quantity."""
        units = [one for one in self.holding_for(name) if one.key in UNIT_KEYS and not one.listed and one.text]
        words = {known_unit(one.text) or one.text for one in units if len(one.scope) == len(units[0].scope)}
        if len(words) != 1:
            return None
        word = words.pop()
        return word if len(units[0].scope) == len(parts(name)) or fits_unit(_last(name), word) else None

    def date(self, name: str) -> datetime | None:
        """The date that stands nearest."""
        dates = (parse_date(one.text) for one in self.holding_for(name) if one.key in DATE_KEYS)
        return next((date for date in dates if date), None)

    def listed(self, name: str, keys: Sequence[str], n: int) -> tuple[str, ...]:
        """A list of `n` words under one of these keys; empty if there is none."""
        lists = [one.listed for one in self.holding_for(name) if one.key in keys and len(one.listed) == n]
        return lists[0] if lists else ()

    def numbers(self, name: str) -> dict[str, list[str]]:
        """What stands beside an array or on it, nearest group only, as text by key."""
        held = [one for one in self.holding_for(name) if len(one.scope) >= len(parts(name)) - 1]
        found: dict[str, list[str]] = {}
        for one in held:
            found.setdefault(one.key, []).append(one.text)
        return found


def gather(variables: Mapping[str, NDArray[Any]], series: Sequence[str]) -> Scopes:
    """Collect what scalars and short lists state. A group that holds no series speaks for the group around it."""
    paths = [tuple(map(_stem, parts(name))) for name in series]
    found = []
    for name, value in [*variables.items(), *_lists(variables)]:
        for scope, key, text, words in _statements(name, value):
            key = f"x {key}" if key.lower() in ("increment", "step") and scope and _X_AXIS.fullmatch(scope[-1]) else key
            while scope and not any(path[: len(scope)] == tuple(map(_stem, scope)) for path in paths):
                scope = scope[:-1]
            is_rate = states_rate(key) and (
                key.lower() != "rate" or not _BARE_NUMBER.fullmatch(text)
            )  # may be the shaft's
            rate = rate_of(key, text, name.strip()) if is_rate and text else None
            target = _RATE_FOR.fullmatch(key) if not rate else None
            if target:  # fs_acc: the rate of acc
                word = _stem(target[1] or target[2])
                named = [path for path in paths if path[:-1] == scope and word in (path[-1], split_name(path[-1])[0])]
                rate = rate_of("fs", text, name.strip()) if named else None
                scope = named[0] if named else scope
            if target and not rate:
                continue
            found.append(Stated(scope, key.lower(), text, rate, words))
    return Scopes(found)


def _statements(name: str, value: NDArray[Any]) -> Iterator[tuple[Path, str, str, tuple[str, ...]]]:
    scope, key = tuple(parts(name)[:-1]), _last(name)
    if _UNIT_OF_AXIS.search(name) and value.size == 1:
        yield scope, "unit", _text(value.reshape(-1)[0]), ()
    elif value.size == 1:
        text = _text(value.reshape(-1)[0])
        yield scope, key, text, tuple(word.strip() for word in text.split(",")) if "," in text else ()
        if text.startswith("{"):
            yield from _in_json(scope, text)
    elif 1 < value.size <= 256 and value.dtype.kind in "USO":
        yield scope, key, "", tuple(_text(item) for item in value.reshape(-1))
    elif states_rate(key) and value.dtype.kind in "fiu" and value.size <= 256 and (value == value.flat[0]).all():
        yield scope, key, _text(value.flat[0]), ()


def _in_json(scope: Path, text: str) -> Iterator[tuple[Path, str, str, tuple[str, ...]]]:
    try:
        entries = json.loads(text)
    except ValueError:
        return
    for key, value in entries.items() if isinstance(entries, dict) else ():
        inner = value.items() if isinstance(value, dict) else [(key, value)]
        yield from ((scope, str(k), str(v), ()) for k, v in inner if isinstance(v, (str, int, float)))


def _lists(variables: Mapping[str, NDArray[Any]]) -> list[tuple[str, NDArray[Any]]]:
    """Join ``names[0]``, ``names[1]``, … of a cell array to one list."""
    lists: dict[str, dict[int, str]] = {}
    for name, value in variables.items():
        match = _LISTED.fullmatch(name)
        if (
            match
            and value.size == 1
            and value.dtype.kind in "US"
            and _last(match[1]).lower() in (*NAME_KEYS, *UNIT_KEYS)
        ):
            lists.setdefault(match[1], {})[int(match[2])] = _text(value.reshape(-1)[0])
    return [(name, np.array([words[i] for i in sorted(words)])) for name, words in lists.items() if len(words) > 1]


def _text(item: Any) -> str:
    return item.decode("utf-8", "replace").strip() if isinstance(item, bytes) else str(item).strip()


def parts(name: str) -> list[str]:
    """Split a name into the groups or structs that it stands in, and the last part."""
    return _PARTS.split(name)


def _last(name: str) -> str:
    return parts(name)[-1].strip()


def _stem(part: str) -> str:
    return _HALF.sub("", part.strip()).lower()
