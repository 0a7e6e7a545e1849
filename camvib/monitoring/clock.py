"""Times as the ledger keeps them: ISO 8601 in UTC with milliseconds, so that text sorts by time."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_text(when: datetime | float | str | None) -> str:
    """Time as text; a time without a zone is taken as UTC, nothing stays nothing.

    Parameters
    ----------
    when : datetime, float, str or None
        A float counts seconds since 1970; a str is ISO 8601.
    """
    if when is None or when == "":
        return ""
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    elif not isinstance(when, datetime):
        when = datetime.fromtimestamp(when, UTC)
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return when.isoformat(timespec="milliseconds")


def now_text() -> str:
    """Now, by this machine's clock."""
    return utc_text(datetime.now(UTC))
