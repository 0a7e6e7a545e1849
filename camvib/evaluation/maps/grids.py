"""Maps of any resolution, brought to the cells that truth is known in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from camvib.images.axes import Axes


def on_grid(values: NDArray[np.floating], axes: Axes, to: Axes) -> NDArray[np.floating]:
    """Interpolate maps between their cells' centres; beyond the outermost centres they go on as they are.

    Parameters
    ----------
    values : ndarray, shape (..., rows, columns)
        Maps over an image, of its resolution or of blocks of its cells.
    axes : Axes
        Cell edges of that image.
    to : Axes
        Cell edges to reach.

    Returns
    -------
    ndarray, shape (..., new rows, new columns)
    """
    weights = [_weights(size, edges, wanted) for size, edges, wanted in zip(values.shape[-2:], axes, to, strict=True)]
    for axis, weight in zip((-2, -1), weights, strict=True):
        if weight is not None:
            values = np.moveaxis(np.moveaxis(values, axis, -1) @ weight.T.astype(values.dtype), -1, axis)
    return values


def _weights(size: int, edges: NDArray[np.floating], to: NDArray[np.floating]) -> NDArray[np.float64] | None:
    """Weight of each old cell in each new one, (new, old); None where the cells are the same."""
    cells = len(edges) - 1
    if size == cells == len(to) - 1 and np.allclose(edges, to):
        return None
    place = np.interp((to[1:] + to[:-1]) / 2, edges, np.arange(cells + 1)) * size / cells - 0.5
    place = place.clip(0, size - 1)
    return np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(size)[None]))
