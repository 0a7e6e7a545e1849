"""A column of a table, as it stands in the file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from numpy.typing import NDArray

from camvib.readers.parsing.channel import Rate


@dataclass(frozen=True, eq=False)
class Column:
    """A column as it stands in the file; with `labels` it holds words, and `values` are their numbers (-1: none)."""

    name: str
    values: NDArray[Any]
    unit: str | None = None
    rates: tuple[Rate, ...] = ()
    recorded_at: datetime | None = None
    warnings: tuple[str, ...] = ()
    named: bool = True
    labels: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    problem: str = ""
