"""Arrays that a page colours itself and reads under the pointer: grey PNGs whose grey is the value."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_GREYS = 255


@dataclass(frozen=True)
class Cells:
    """An array as a grey picture, lowest row at the bottom: value = `low` + grey × `step`.

    A picture needs no script to be seen, and a browser unpacks it faster than a script could.
    """

    png: bytes
    low: float
    step: float
    rows: int
    columns: int

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()

    @classmethod
    def of(cls, values: NDArray[np.floating], low: float, high: float, step: float) -> Cells:
        """Draw `values`, shape (rows, columns); those beyond an end stand at that end.

        Parameters
        ----------
        values : ndarray
        low, high : float
            Ends of the scale.
        step : float
            What a grey is worth: a value is read back to within half of it. Widened where 256 greys do not reach.
        """
        step = max(step, (high - low) / _GREYS)
        grey = np.rint((np.nan_to_num(values, nan=low) - low) / step)
        greys = np.clip(grey, 0, min(_GREYS, round((high - low) / step))).astype(np.uint8)
        out = io.BytesIO()
        Image.fromarray(greys[::-1], "L").save(out, "PNG", optimize=True)
        rows, columns = greys.shape
        return cls(out.getvalue(), low, step, rows, columns)


def relative_path(values: NDArray[np.floating], scale: float = 10.0) -> str:
    """Trace values over their index as an SVG path in steps of 1 / `scale`, upwards negative as in SVG.

    Steps from point to point are short to write; a script adds them up and has the values again.
    """
    y = -np.rint(np.asarray(values, float) * scale).astype(int)
    if not len(y):
        return ""
    steps = " ".join(f"1 {step}" if step >= 0 else f"1{step}" for step in np.diff(y))
    return f"M0 {y[0]}l{steps}" if steps else f"M0 {y[0]}h0"


def band_path(low: NDArray[np.floating], high: NDArray[np.floating], scale: float = 10.0) -> str:
    """Trace the band between two lines, closed, on the same grid as `relative_path`."""
    back = -np.rint(np.asarray(low, float)[::-1] * scale).astype(int)
    steps = " ".join(f"-1 {step}" if step >= 0 else f"-1{step}" for step in np.diff(back))
    return f"{relative_path(high, scale)}V{back[0]}l{steps}Z" if steps else ""
