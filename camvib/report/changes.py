"""Which way a region went, by the model's change map."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from camvib.records import ChangeMap, Region

Way = Literal["gain", "loss", "both", "none"]
LIKELY = 0.5  # a cell counts as changed when a change is more likely than not
LEAST_SHARE = 0.1  # a region says so when this share of its cells has changed the same way


def way(change: ChangeMap, region: Region) -> Way:
    """Say whether power was gained or lost within a region.

    A mode that moved leaves a loss beside a gain, whose mean is near zero: such a region is both, not none.
    """
    rows = (change.frequency_hz >= region.low_hz) & (change.frequency_hz <= region.high_hz)
    columns = (change.time_s >= region.start_s) & (change.time_s <= region.end_s)
    gained, lost = _shares(change.values[np.ix_(rows, columns)])
    if max(gained, lost) < LEAST_SHARE:
        return "none"
    if min(gained, lost) >= LEAST_SHARE:
        return "both"
    return "gain" if gained > lost else "loss"


def _shares(values: NDArray[np.floating]) -> tuple[float, float]:
    if not values.size:
        return 0.0, 0.0
    return float((values > LIKELY).mean()), float((values < -LIKELY).mean())
