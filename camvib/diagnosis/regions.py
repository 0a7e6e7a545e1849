"""Where the evidence lies: boxes around connected cells of a map, and shares of frequency bands."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from camvib.images.axes import Axes
from camvib.records import ActivationMap, Region


def regions(
    activation_map: ActivationMap, axes: Axes, *, threshold: float = 0.5, most: int = 5, least_share: float = 0.03
) -> tuple[Region, ...]:
    """Boxes around the connected cells that carry the evidence, strongest first.

    Cells above `threshold` of the largest absolute value are joined with their eight neighbours,
    those for and those against the label apart. The literature boxes the single largest component
    above 20 % of a min-max scaled map [1]_; here the map keeps its sign and its zero, the threshold
    is half of the peak, and every component that holds `least_share` of its sign's evidence is kept,
    because a fault often shows as several lines (docs/decisions/005-regions.md).

    References
    ----------
    .. [1] Zhou et al., CVPR 2016, section 3.2: above 20 % of the maximum, largest component.
    """
    values = activation_map.values
    peak = float(np.abs(values).max(initial=0.0))
    if peak <= 0.0:
        return ()
    found = []
    for sign in (1, -1):
        signed = np.maximum(sign * values, 0.0)
        labelled, count = ndimage.label(signed > threshold * peak, structure=np.ones((3, 3)))
        masses = ndimage.sum_labels(signed, labelled, np.arange(1, count + 1))
        for box, mass in zip(ndimage.find_objects(labelled), masses, strict=True):
            found.append((float(mass), _box(box, float(mass / signed.sum()), sign, axes)))
    found.sort(key=lambda item: -item[0])
    return tuple([region for _, region in found if region.share >= least_share][:most])


def _box(box: tuple[slice, slice], share: float, sign: int, axes: Axes) -> Region:
    rows, columns = box
    return Region(
        start_s=float(axes.time_s[columns.start]),
        end_s=float(axes.time_s[columns.stop]),
        low_hz=float(axes.frequency_hz[rows.start]),
        high_hz=float(axes.frequency_hz[rows.stop]),
        share=share,
        sign=sign,
    )


def band_share(activation_map: ActivationMap, axes: Axes, low_hz: float, high_hz: float) -> float:
    """Share of the positive evidence between two frequencies; cells on the border count in part."""
    mass = np.maximum(activation_map.values, 0.0).sum(axis=1)
    edges = axes.frequency_hz
    overlap = np.minimum(edges[1:], high_hz) - np.maximum(edges[:-1], low_hz)
    inside = np.clip(overlap / np.diff(edges), 0.0, 1.0)
    return float((mass * inside).sum() / mass.sum()) if mass.sum() > 0 else 0.0
