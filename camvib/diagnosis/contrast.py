"""Class maps → signed evidence: contrast, regions, band shares, the add-up check.

Under softmax only differences of class maps are defined (adding one map to all classes changes no
probability), so what is shown is the contrast with a reference class:
``log(p_c / p_r) = (b_c - b_r) + mean(M_c - M_r)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from camvib.errors import ModelError
from camvib.images.axes import Axes
from camvib.records import ActivationMap

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
