"""Class maps → signed evidence: contrast, regions, band shares, the add-up check.

Under softmax only differences of class maps are defined (adding one map to all classes changes no
probability), so what is shown is the contrast with a reference class:
``log(p_c / p_r) = (b_c - b_r) + mean(M_c - M_r)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from camvib.errors import ModelError
from camvib.records import ActivationMap, Region
from camvib.spectrograms import Axes

ADD_UP_TOLERANCE = 1e-3


def contrast(
    maps: NDArray[np.floating],
    logits: NDArray[np.floating],
    classes: tuple[str, ...],
    label: str,
    reference: str,
    axes: Axes,
) -> ActivationMap:
    """Map of `label` minus map of `reference`; an empty reference leaves the plain map of `label`.

    Parameters
    ----------
    maps : ndarray, shape (classes, rows, columns)
    logits : ndarray, shape (classes,)
    classes : tuple of str
    label, reference : str
    axes : Axes
        Edges of the map's cells, in Hz and s.
    """
    values = np.asarray(maps[classes.index(label)], np.float64)
    logit = float(logits[classes.index(label)])
    if reference:
        values = values - maps[classes.index(reference)]
        logit -= float(logits[classes.index(reference)])
    centres = axes.centres()
    return ActivationMap(
        values, centres.frequency_hz, centres.time_s, label, reference, bias=logit - float(values.mean())
    )


def check_add_up(activation_map: ActivationMap, logit: float) -> None:
    """Raise ModelError unless the map and its bias add up to `logit`."""
    gap = abs(activation_map.logit - logit)
    if gap > ADD_UP_TOLERANCE * max(1.0, abs(logit)):
        raise ModelError(
            f"the map of {activation_map.label} adds up to {activation_map.logit:.6f}, its logit is {logit:.6f}",
            "The network is not one whose maps are its forward pass; use gap_cnn",
        )


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
