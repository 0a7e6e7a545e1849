"""Axes of pictures: where a value lies along a side, and which values to write there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray


class Tick(NamedTuple):
    """A number written along an axis; `at` is its place in percent of the side."""

    at: float
    text: str


@dataclass(frozen=True, eq=False)
class Axis:
    """One side of a picture whose cells are equally wide, whatever values they stand for.

    Attributes
    ----------
    edges : ndarray, shape (n + 1,)
        Borders of the n cells, rising. The spacing may be linear, logarithmic or mel-like.
    """

    edges: NDArray[np.floating]

    @classmethod
    def of_cells(cls, centres: NDArray[np.floating]) -> Self:
        """Put borders half way between the cells' centres."""
        if len(centres) == 1:
            return cls(np.array([centres[0] - 0.5, centres[0] + 0.5]))
        between = (centres[1:] + centres[:-1]) / 2
        first, last = 2 * centres[0] - between[0], 2 * centres[-1] - between[-1]
        return cls(np.concatenate([[first], between, [last]]))

    @classmethod
    def between(cls, low: float, high: float) -> Self:
        """Make a linear axis."""
        return cls(np.array([low, high if high > low else low + 1.0]))

    def position(self, value: float | Sequence[float] | NDArray[np.floating]) -> NDArray[np.floating]:
        """Place values, 0 (start) to 1 (end); values beyond an end stay at that end."""
        return np.asarray(np.interp(value, self.edges, np.linspace(0, 1, len(self.edges))))

    def ticks(self, count: int = 6) -> list[Tick]:
        """Choose about `count` round numbers that do not crowd each other."""
        low, high = float(self.edges[0]), float(self.edges[-1])
        widths = np.diff(self.edges)
        values = self._spread(_decade_steps(max(low, 0.0), high), 0.55 / count)
        if len(values) < 3 or widths.max() < 1.5 * widths.min():
            values = _linear_steps(low, high, count)
        return [Tick(round(100 * float(self.position(v)), 2), f"{v:.10g}".replace("-", "−")) for v in sorted(values)]

    def _spread(self, values: list[float], gap: float) -> list[float]:
        """Keep the earlier values of the list where two come closer than `gap`."""
        kept: list[float] = []
        for value in values:
            at = self.position(value)
            if all(abs(at - self.position(other)) >= gap for other in kept):
                kept.append(value)
        return kept


def _linear_steps(low: float, high: float, count: int) -> list[float]:
    rough = (high - low) / count
    decade = 10.0 ** math.floor(math.log10(rough))
    step = next(decade * m for m in (1, 2, 5, 10) if decade * m >= rough * 0.999)
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _decade_steps(low: float, high: float) -> list[float]:
    """Zero, then 1, 10, 100 …, then the 5s and 2s: the order in which they deserve a place."""
    if high <= 0:
        return []
    powers = range(math.floor(math.log10(max(low, high * 1e-4))), math.ceil(math.log10(high)) + 1)
    return [v for v in (0.0, *(m * 10.0**p for m in (1, 5, 2) for p in powers)) if low <= v <= high]
