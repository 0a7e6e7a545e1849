"""What the maps of a real set say: shares of bands, regions with names, the score over a life."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from camvib.diagnosis.bearings import name_line
from camvib.diagnosis.regions import band_share, regions
from camvib.evaluation.real.sets import RealSet
from camvib.images.axes import Axes
from camvib.records import ActivationMap

TRANSIENT = "transient"
TRANSIENT_S = 0.2  # after the start of a dwell the machine's own move still rings
_REGION_THRESHOLD = 0.3


@dataclass(frozen=True, eq=False)
class Judged:
    """One held-out recording as `camvib diagnose` judged it.

    Attributes
    ----------
    truth, label : str
        `label` is empty where it was refused.
    group : str
    number : int
        Place in the set: time goes with it.
    score : float
        Probability of not being healthy.
    contrast : ActivationMap or None
        Map of the verdict's label against the reference.
    """

    truth: str
    label: str
    group: str
    number: int
    score: float
    contrast: ActivationMap | None


def edges_of(values: ActivationMap) -> Axes:
    """Edges of a map's cells, from their centres."""

    def edges(centres: NDArray[np.floating]) -> NDArray[np.floating]:
        if len(centres) < 2:
            return np.array([0.0, 2 * float(centres[0])])
        middle = (centres[1:] + centres[:-1]) / 2
        return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])

    return Axes(edges(values.frequency_hz), edges(values.time_s))


def band_shares(judged: Sequence[Judged], real: RealSet) -> tuple[dict[str, float], dict[str, float]]:
    """Mean share of the positive evidence by band of the catalog, and the share of rows that each band takes."""
    bands = real.known.bands if real.known else {}
    maps = [one.contrast for one in judged if one.contrast is not None]
    if not bands or not maps:
        return {}, {}
    shares: dict[str, list[float]] = {}
    for contrast in maps:
        axes = edges_of(contrast)
        for name, band in bands.items():
            shares.setdefault(name, []).append(band_share(contrast, axes, *band))
        shares.setdefault(TRANSIENT, []).append(_transient_share(contrast, list(bands.values())))
    even = ActivationMap(np.ones_like(maps[0].values), maps[0].frequency_hz, maps[0].time_s, "even")
    areas = {name: band_share(even, edges_of(even), *band) for name, band in bands.items()}
    return {name: float(np.mean(values)) for name, values in shares.items()}, areas


def _transient_share(contrast: ActivationMap, bands: list[tuple[float, float]]) -> float:
    """Share of the positive evidence in the first seconds of a recording, outside all bands."""
    mass = np.maximum(contrast.values, 0.0)
    hz, seconds = contrast.frequency_hz, contrast.time_s - contrast.time_s[0]
    outside = ~np.any([(hz >= low) & (hz <= high) for low, high in bands], axis=0)
    return float(mass[np.ix_(outside, seconds < TRANSIENT_S)].sum() / max(mass.sum(), 1e-12))


def mean_regions(
    judged: Sequence[Judged], real: RealSet, shaft_hz: float, fold: int, most: int = 3
) -> list[dict[str, Any]]:
    """Strongest boxes of the mean contrast map of each class that was recognised, of one fold."""
    found = []
    for label in sorted({one.truth for one in judged}):
        maps = [one.contrast for one in judged if one.truth == one.label == label and one.contrast is not None]
        alike = [m for m in maps if m.values.shape == maps[0].values.shape]
        if not alike:
            continue
        mean = ActivationMap(np.mean([m.values for m in alike], axis=0), alike[0].frequency_hz, alike[0].time_s, "mean")
        boxes = regions(mean, edges_of(mean), threshold=_REGION_THRESHOLD, most=most + 3)
        for box in [box for box in boxes if box.sign > 0][:most]:
            inside = (mean.frequency_hz >= box.low_hz) & (mean.frequency_hz <= box.high_hz)
            profile = np.where(inside, np.maximum(mean.values, 0.0).sum(axis=1), -1.0)
            peak_hz = float(mean.frequency_hz[int(profile.argmax())])
            bearing = real.known.bearing if real.known else None
            found.append(
                {
                    "fold": fold,
                    "label": label,
                    "cases": len(alike),
                    "low_hz": round(box.low_hz, 2),
                    "high_hz": round(box.high_hz, 2),
                    "peak_hz": round(peak_hz, 2),
                    "share": round(box.share, 4),
                    "sign": box.sign,
                    "name": name_line(peak_hz, bearing, shaft_hz) if bearing and shaft_hz else "",
                }
            )
    return found


def life_scores(judged: Sequence[Judged], healthy: str) -> dict[str, dict[str, float]]:
    """Does the score rise over each specimen's life? Rank correlation with time, and early against late."""
    found = {}
    for group in sorted({one.group for one in judged}):
        own = sorted((one for one in judged if one.group == group and one.label), key=lambda one: one.number)
        late = np.array([one.truth != healthy for one in own])
        if not len(own) or late.all() or not late.any():
            continue
        # Early life comes first, whatever the files are called.
        order = np.lexsort((np.arange(len(own)), late))
        score, late = np.array([one.score for one in own])[order], late[order]
        found[group] = {
            "rank_correlation": float(spearmanr(np.arange(len(score)), score).statistic),
            "auroc": float(roc_auc_score(late, score)),
            "early_median": float(np.median(score[~late])),
            "late_median": float(np.median(score[late])),
        }
    return found
