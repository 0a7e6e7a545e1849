"""What the maps of a real set say: band shares, regions with names, distance to the healthy class over a life."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from camvib.diagnosis.bearings import name_line
from camvib.diagnosis.regions import band_share, regions
from camvib.evaluation.real.recipes import Recipe
from camvib.evaluation.real.sets import RealSet
from camvib.images.axes import Axes
from camvib.model import calibration
from camvib.records import ActivationMap

TRANSIENT = "transient"
_REGION_THRESHOLD = 0.3


class _Sum(NamedTuple):
    """Contrast maps of recognised cases on one grid, added up."""

    cases: int
    total: NDArray[np.floating]
    axes: Axes


@dataclass(eq=False)
class Evidence:
    """Collects the contrast maps of tested cases, as they would be shown: the verdict against the reference."""

    real: RealSet
    recipe: Recipe
    axes: Axes  # of the first recipe
    classes: list[str]
    healthy: str
    shaft_hz: float
    shares: list[dict[str, float]] = field(default_factory=list)
    choices: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[tuple[int, str], list[_Sum]] = field(default_factory=dict)

    def add(
        self,
        fold: int,
        logits: NDArray[np.floating],
        maps: NDArray[np.floating],
        start_s: NDArray[np.floating],
        truth: str,
        axes: Axes,
    ) -> None:
        """Take one case: mean logits, and the maps (windows, classes, rows, columns) of its windows, images `axes`."""
        order = np.argsort(-logits)
        label = int(order[0])
        other = int(order[1])
        if self.healthy and label != self.classes.index(self.healthy):
            other = self.classes.index(self.healthy)
        contrast = maps[:, label].astype(np.float64) - maps[:, other]
        axes = axes.pooled(*contrast.shape[-2:])
        if self.real.known and self.real.known.bands:
            self.shares.append(self._shares(contrast, start_s, axes))
        if self.classes[label] == truth:
            self._sum(self.sums.setdefault((fold, truth), []), contrast.mean(axis=0), axes)

    @staticmethod
    def _sum(sums: list[_Sum], contrast: NDArray[np.floating], axes: Axes) -> None:
        for number, one in enumerate(sums):
            if all(np.array_equal(a, b) for a, b in zip(one.axes, axes, strict=True)):
                sums[number] = _Sum(one.cases + 1, one.total + contrast, axes)
                return
        sums.append(_Sum(1, contrast, axes))

    def _shares(self, contrast: NDArray[np.floating], start_s: NDArray[np.floating], axes: Axes) -> dict[str, float]:
        mean = contrast.mean(axis=0)
        assert self.real.known is not None
        bands = self.real.known.bands
        found = {name: band_share(_as_map(mean, axes), axes, *band) for name, band in bands.items()}
        if self.recipe.transient_s:
            mass = np.maximum(contrast, 0.0)
            early = axes.centres().time_s[None, :] + start_s[:, None] < self.recipe.transient_s
            hz = axes.centres().frequency_hz
            outside = ~np.any([(hz >= low) & (hz <= high) for low, high in bands.values()], axis=0)
            found[TRANSIENT] = float((mass * early[:, None, :] * outside[None, :, None]).sum() / max(mass.sum(), 1e-12))
        return found

    def bands(self) -> dict[str, float]:
        """Mean share of the positive evidence, by band of the catalog."""
        names = self.shares[0] if self.shares else ()
        return {name: float(np.mean([share[name] for share in self.shares])) for name in names}

    def band_areas(self) -> dict[str, float]:
        """Share of the image's rows that a band takes: what evidence spread evenly would give."""
        bands = self.real.known.bands if self.real.known else {}
        even = np.ones((len(self.axes.frequency_hz) - 1, 1))
        return {name: band_share(_as_map(even, self.axes), self.axes, *band) for name, band in bands.items()}

    def regions(self, most: int = 3) -> list[dict[str, Any]]:
        """Strongest boxes of the mean contrast map of each class that was recognised, by fold."""
        found = []
        for (fold, label), sums in sorted(self.sums.items()):
            count, total, axes = max(sums, key=lambda one: one.cases)
            mean = _as_map(total / count, axes)
            boxes = [box for box in regions(mean, axes, threshold=_REGION_THRESHOLD, most=most + 3) if box.sign > 0]
            for box in boxes[:most]:
                peak_hz = _peak_hz(mean, box.low_hz, box.high_hz)
                found.append(
                    {
                        "fold": fold, "label": label, "cases": count,
                        "low_hz": round(box.low_hz, 2), "high_hz": round(box.high_hz, 2), "peak_hz": round(peak_hz, 2),
                        "share": round(box.share, 4), "sign": box.sign, "name": self._name(peak_hz),
                    }
                )  # fmt: skip
        return found

    def _name(self, frequency_hz: float) -> str:
        bearing = self.real.known.bearing if self.real.known else None
        return name_line(frequency_hz, bearing, self.shaft_hz) if bearing and self.shaft_hz else ""

    def life(
        self,
        known: NDArray[np.floating],
        known_labels: NDArray[np.str_],
        embedding: NDArray[np.floating],
        entry: NDArray[np.int64],
        labels: NDArray[np.str_],
    ) -> dict[str, NDArray[Any]]:
        """Distance of held-out windows to the healthy class of the training specimens, in order of life."""
        healthy = known[known_labels == self.healthy]
        zeros = np.zeros(len(healthy), np.int64)
        fitted = calibration.fit(healthy, zeros, healthy, np.zeros((len(healthy), 1)), zeros, temperature=False)
        distance = fitted.distance(embedding)
        late = labels != self.healthy
        group = np.array([self.real.groups[i] for i in entry])
        order = np.lexsort((np.arange(len(entry)), late, group))
        return {"group": group[order], "late": late[order], "distance": distance[order]}


def life_scores(parts: list[dict[str, NDArray[Any]]]) -> dict[str, dict[str, float]]:
    """Does the distance rise over each life? Rank correlation with time, and early against late, means over seeds."""
    by_group: dict[str, list[tuple[float, ...]]] = {}
    for part in parts:
        for group in np.unique(part["group"]):
            own = part["group"] == group
            distance, late = part["distance"][own], part["late"][own]
            if late.all() or not late.any():
                continue
            rank = float(spearmanr(np.arange(len(distance)), distance).statistic)
            ends = float(np.median(distance[~late])), float(np.median(distance[late]))
            by_group.setdefault(str(group), []).append((rank, float(roc_auc_score(late, distance)), *ends))
    names = ("rank_correlation", "auroc", "early_median", "late_median")
    return {
        group: dict(zip(names, np.mean(values, axis=0).tolist(), strict=True)) for group, values in by_group.items()
    }


def _as_map(values: NDArray[np.floating], axes: Axes) -> ActivationMap:
    centres = axes.centres()
    return ActivationMap(values, centres.frequency_hz, centres.time_s, "mean")


def _peak_hz(mean: ActivationMap, low_hz: float, high_hz: float) -> float:
    inside = (mean.frequency_hz >= low_hz) & (mean.frequency_hz <= high_hz)
    profile = np.where(inside, np.maximum(mean.values, 0.0).sum(axis=1), -1.0)
    return float(mean.frequency_hz[int(profile.argmax())])
