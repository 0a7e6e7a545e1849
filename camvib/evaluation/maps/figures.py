"""The picture grid of the map benchmark: one recording a class, the truth and the maps side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray

from camvib.evaluation.maps.data import FAULTS, MapData, image_axes

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COLUMNS = (
    ("spectrogram", "recording"),
    ("evidence", "evidence: + gained, − missing"),
    ("camvib", "class map, logits"),
    ("change", "change map, P(> 6 dB)"),
    ("gradcam", "Grad-CAM"),
    ("baseline_difference", "|recording − baseline|"),
)


def picture_grid(data: MapData, maps: Mapping[str, NDArray[np.floating]], path: Path) -> Path:
    """Draw the recording of median evidence of each class; none is chosen for its looks."""
    axes = image_axes()
    shown = [column for column in COLUMNS if column[0] in maps or column[0] in ("spectrogram", "evidence")]
    figure, grid = plt.subplots(
        len(FAULTS), len(shown), figsize=(2.5 * len(shown), 8.4), sharex=True, sharey=True, layout="constrained"
    )
    for fault, line in zip(FAULTS, grid, strict=True):
        rows = np.flatnonzero(data.labels == fault)
        area = (data.evidence[rows] != 0).mean(axis=(1, 2))
        row = rows[np.argsort(area)[len(rows) // 2]]
        for (name, title), panel in zip(shown, line, strict=True):
            values, colours, low, high = _panel(name, row, data, maps)
            panel.pcolormesh(axes.time_s, axes.frequency_hz, values, cmap=colours, vmin=low, vmax=high, rasterized=True)
            panel.set_yscale("function", functions=_spread(float(axes.frequency_hz[-1])))
            panel.set_yticks([0, 100, 300, 800, 1800])
            if fault == FAULTS[0]:
                panel.set_title(title, fontsize=9)
        line[0].set_ylabel(f"{fault.replace('_', ' ')}\nHz", fontsize=9)
    for panel in grid[-1]:
        panel.set_xlabel("s", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)
    return path


def _panel(
    name: str, row: int, data: MapData, maps: Mapping[str, NDArray[np.floating]]
) -> tuple[NDArray[np.floating], str, float, float]:
    if name == "spectrogram":
        image = data.images_db[row].astype(np.float32)
        return image, "viridis", *np.quantile(image, [0.02, 0.995]).tolist()
    if name == "evidence":
        return data.evidence[row].astype(np.float32), "RdBu_r", -1.0, 1.0
    values = maps[name][row]
    return values, "magma", 0.0, float(np.quantile(values, 0.998)) or 1.0


def _spread(top_hz: float):  # type: ignore[no-untyped-def]  # two functions, as matplotlib takes them
    knee = top_hz / 12
    return (lambda hz: np.log1p(np.maximum(hz, 0) / knee), lambda place: knee * np.expm1(place))
