"""What a path says: ``{asset}/{date}.wav`` names the asset and the time of a recording."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from camvib.errors import SettingsError
from camvib.readers import parse_date

_FIELD = re.compile(r"\{(\w*)\}|\*")
_KNOWN = ("asset", "date", "channel", "")
_DATES = ("%Y%m%dT%H%M%SZ", "%Y%m%dT%H%M%S", "%Y%m%d_%H%M%S", "%Y%m%d-%H%M%S", "%Y-%m-%d_%H-%M-%S", "%Y-%m-%dT%H-%M-%S",
          "%Y%m%d_%H%M", "%Y%m%d%H%M%S", "%Y%m%d", "%Y.%m.%d.%H.%M.%S")  # fmt: skip


class Said(NamedTuple):
    """What a path says; empty or None where it says nothing."""

    asset: str = ""
    recorded_at: datetime | None = None
    channel: str | None = None


class PathPattern:
    """Pattern over the end of a path, with ``{asset}``, ``{date}``, ``{channel}``, and ``{}`` or ``*`` for anything.

    No field reaches over a slash. A pattern with fewer folders than the path is laid at its end.

    Raises
    ------
    SettingsError
        It has no field, a field twice, or one that is not known.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        names = [match[1] or "" for match in _FIELD.finditer(pattern)]
        named = [name for name in names if name]
        if not named or len(set(named)) < len(named) or set(names) - set(_KNOWN):
            raise SettingsError(
                f"pattern {pattern!r} has the fields {', '.join(named) or 'none'}",
                "Use each of {asset}, {date} and {channel} once at most, and {} for what differs beside, "
                "e.g. '{asset}/{date}.wav'",
            )
        parts, at = [], 0
        for match in _FIELD.finditer(pattern):
            parts.append(re.escape(pattern[at : match.start()]))
            parts.append(f"(?P<{match[1]}>[^/]+?)" if match[1] else "[^/]*?")
            at = match.end()
        self._regex = re.compile("(?:.*/)?" + "".join(parts) + re.escape(pattern[at:]), re.DOTALL)

    def read(self, path: str) -> Said | None:
        """What a path with forward slashes says; None where it is not of this pattern."""
        match = self._regex.fullmatch(path)
        if match is None:
            return None
        found = match.groupdict()
        return Said(found.get("asset", ""), _date(found.get("date", "")), found.get("channel"))


def _date(text: str) -> datetime | None:
    """Time in a file's name, in any common spelling; seconds or milliseconds since 1970 too."""
    if not text:
        return None
    for form in _DATES:
        try:
            found = datetime.strptime(text, form)
        except ValueError:
            continue
        return found.replace(tzinfo=UTC) if form.endswith("Z") else found
    if text.isdigit() and len(text) in (10, 13):
        return datetime.fromtimestamp(int(text) / (1 if len(text) == 10 else 1000), UTC)
    return parse_date(text)
