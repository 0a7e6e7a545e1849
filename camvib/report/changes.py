"""What changed, as the report shows it: a picture, a word for each region, and how much of the picture it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from camvib.drawing.png import Picture, change_picture, on_grid
from camvib.records import ChangeMap, Region, Spectrogram

Way = Literal["gain", "loss", "both", "none"]
LIKELY = 0.5  # a cell counts as changed when a change is more likely than not
LEAST_SHARE = 0.1  # a region says so when this share of its cells has changed the same way
SAID: dict[Way, str] = {
    "gain": "power gained",
    "loss": "power lost",
    "both": "power gained and lost",
    "none": "no clear change",
}
SIGNS: dict[Way, str] = {"gain": "▲", "loss": "▼", "both": "▲▼", "none": ""}


@dataclass(frozen=True)
class ChangeView:
    """The change map of one recording, drawn.

    Attributes
    ----------
    picture : Picture
    gained, lost : float
        Share of all cells where a gain, or a loss, of more than 6 dB is more likely than not.
    ways : list
        Which way each region went, in the order of the regions.
    """

    picture: Picture
    gained: float
    lost: float
    ways: list[Way]

    @classmethod
    def of(cls, change: ChangeMap, regions: Sequence[Region], spectrogram: Spectrogram) -> ChangeView:
        """Draw `change` on the cells of `spectrogram`."""
        gained, lost = _shares(change.values)
        picture = change_picture(on_grid(change, spectrogram))
        return cls(picture, gained, lost, [way(change, region) for region in regions])


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
