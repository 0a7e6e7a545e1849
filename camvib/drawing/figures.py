"""Spectrograms and maps as pictures: small PNGs for the page, whole figures for files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from camvib.drawing.png import (
    AGAINST_RGB,
    FOR_RGB,
    change_palette,
    evidence_palette,
    level_palette,
    level_range_db,
    on_grid,
)
from camvib.drawing.ticks import Axis
from camvib.records import ActivationMap, ChangeMap, Region, Spectrogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def spectrogram_png(spectrogram: Spectrogram, path: Path, title: str = "") -> Path:
    """Write a spectrogram as a PNG with its axes in seconds and hertz and a colour bar in dB; return `path`.

    Parameters
    ----------
    spectrogram : Spectrogram
    path : Path
        Where to write; the folder is made if need be.
    title : str
    """
    figure, axes = _figure(title)
    _draw_levels(figure, axes, spectrogram)
    return _save(figure, path)


def map_png(
    spectrogram: Spectrogram,
    activation_map: ActivationMap,
    regions: Sequence[Region],
    path: Path,
    title: str = "",
    scale_logits: float | None = None,
) -> Path:
    """Write a signed map over its spectrogram in grey, with numbered regions; return `path`.

    Parameters
    ----------
    spectrogram : Spectrogram
    activation_map : ActivationMap
        On any grid; it is placed by its own axes.
    regions : sequence of Region
    path : Path
    title : str
    scale_logits : float, optional
        Logits of full colour. Give the same to every picture that will be compared with another;
        left out, it is `evidence_scale` of this map.
    """
    figure, axes = _figure(title)
    scale = scale_logits or evidence_scale([activation_map.values])
    against = f" (−: for {activation_map.reference})" if activation_map.reference else ""
    said = f"logits, +: for {activation_map.label}{against}".replace("_", " ")
    _draw_signed(figure, axes, spectrogram, on_grid(activation_map, spectrogram), scale, evidence_palette(), said)
    _draw_regions(axes, spectrogram, regions)
    return _save(figure, path)


def change_png(spectrogram: Spectrogram, change: ChangeMap, path: Path, title: str = "") -> Path:
    """Write a change map over its spectrogram in grey; return `path`.

    Parameters
    ----------
    spectrogram : Spectrogram
    change : ChangeMap
        On any grid; it is placed by its own axes.
    path : Path
    title : str
    """
    figure, axes = _figure(title)
    said = "probability of a change > 6 dB, +: gained, −: lost"
    _draw_signed(figure, axes, spectrogram, on_grid(change, spectrogram), 1.0, change_palette(), said)
    return _save(figure, path)


def evidence_scale(maps: Iterable[NDArray[np.floating]]) -> float:
    """Choose one scale for all maps of a report: the median of their 99.5th percentiles, rounded up.

    The median, since one map that is all peak would wash out those whose evidence is spread over many cells.
    Never below 2 logits: a map without evidence must stay pale, so it may not be stretched to full colour.
    """
    peaks = [float(np.percentile(np.abs(np.nan_to_num(m)), 99.5)) for m in maps if m.size]
    usual = float(np.percentile(peaks, 50, method="higher")) if peaks else 0.0
    decade = 10.0 ** np.floor(np.log10(max(usual, 2.0)))
    return max(2.0, float(next(decade * m for m in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if decade * m >= usual)))


def _figure(title: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure  # not pyplot: no global state, safe in threads

    figure = Figure(figsize=(7.2, 4.2), dpi=120, layout="constrained")
    axes = figure.add_subplot(title=title, xlabel="time, s", ylabel="frequency, Hz")
    return figure, axes


def _draw_levels(figure: Figure, axes: Axes, spectrogram: Spectrogram, grey: bool = False) -> None:
    """Draw the image cell by cell and write the numbers where the cells' own axes put them.

    Grey stays pale, so that evidence shows on the strongest lines too.
    """
    from matplotlib.colors import ListedColormap

    height, width = spectrogram.values_db.shape
    low, high = level_range_db(spectrogram.values_db)
    drawn = axes.imshow(
        spectrogram.values_db, origin="lower", aspect="auto", extent=(0, width, 0, height),
        vmin=low, vmax=high + grey * (high - low),
        cmap="Greys" if grey else ListedColormap(level_palette() / 255), interpolation="nearest",
    )  # fmt: skip
    time, frequency = Axis.of_cells(spectrogram.time_s).ticks(), Axis.of_cells(spectrogram.frequency_hz).ticks(8)
    axes.set_xticks([t.at / 100 * width for t in time], [t.text for t in time])
    axes.set_yticks([t.at / 100 * height for t in frequency], [t.text for t in frequency])
    if not grey:
        figure.colorbar(drawn, ax=axes, label=f"level, dB re 1 {power_unit(spectrogram.unit)}")


def _draw_signed(
    figure: Figure,
    axes: Axes,
    spectrogram: Spectrogram,
    values: NDArray[np.floating],
    scale: float,
    palette: NDArray[np.uint8],
    said: str,
) -> None:
    """Draw a signed map on the cells of a spectrogram in grey, and its colour bar."""
    from matplotlib.colors import ListedColormap

    _draw_levels(figure, axes, spectrogram, grey=True)
    height, width = spectrogram.values_db.shape
    drawn = axes.imshow(
        values, origin="lower", aspect="auto", extent=(0, width, 0, height),
        cmap=ListedColormap(palette / 255), vmin=-scale, vmax=scale, interpolation="bilinear",
    )  # fmt: skip
    figure.colorbar(drawn, ax=axes, label=said)


def _draw_regions(axes: Axes, spectrogram: Spectrogram, regions: Sequence[Region]) -> None:
    from matplotlib.patches import Rectangle

    height, width = spectrogram.values_db.shape
    time, frequency = Axis.of_cells(spectrogram.time_s), Axis.of_cells(spectrogram.frequency_hz)
    for number, region in enumerate(regions, 1):
        left, right = (float(v) * width for v in time.position([region.start_s, region.end_s]))
        bottom, top = (float(v) * height for v in frequency.position([region.low_hz, region.high_hz]))
        colour = np.array(FOR_RGB if region.sign > 0 else AGAINST_RGB) / 255
        style = "-" if region.sign > 0 else "--"
        axes.add_patch(Rectangle((left, bottom), right - left, top - bottom, fill=False, ec=colour, lw=1.4, ls=style))
        axes.text(
            left, top, str(number), color="white", va="bottom", fontsize=8, bbox={"fc": colour, "lw": 0, "pad": 1.5}
        )


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png")
    return path


def pretty_unit(unit: str) -> str:
    """Write a unit for reading: ``m/s2`` as m/s²."""
    return unit.replace("s2", "s²") if unit != "arbitrary" else "arbitrary unit"


def power_unit(unit: str) -> str:
    """Write the unit of a power density."""
    return f"({pretty_unit(unit)})²/Hz"
