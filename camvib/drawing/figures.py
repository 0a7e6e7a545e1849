"""Spectrograms and maps as pictures: small PNGs for the page, whole figures for files."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camvib.records import ActivationMap, ChangeMap, Region, Spectrogram
from camvib.ticks import Axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOR_RGB = (208, 28, 31)
AGAINST_RGB = (24, 92, 190)
# Orange and purple stay apart for all kinds of colour blindness, and apart from the pair above.
GAIN_RGB = (226, 120, 0)
LOSS_RGB = (112, 56, 190)
_MAX_CELLS = 192  # a side; finer images are pooled so that a recording stays within its share of the page
_MAX_POINTS = 400
_PATH_SCALE = 1000
# From dark to light without red, which is kept for evidence. Lightness rises all the way, so that
# the same picture turned grey on the page still reads as a level.
_LEVEL_ANCHORS = ((12, 14, 32), (38, 42, 96), (28, 96, 128), (52, 156, 122), (172, 206, 84), (254, 247, 190))


class Picture(NamedTuple):
    """A PNG and the values at the two ends of its colour bar."""

    png: bytes
    low: float
    high: float

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


def level_palette() -> NDArray[np.uint8]:
    """Return the 256 colours of a spectrogram, shape (256, 3)."""
    at = np.linspace(0, 1, len(_LEVEL_ANCHORS))
    anchors = np.array(_LEVEL_ANCHORS, float)
    return np.stack([np.interp(np.linspace(0, 1, 256), at, anchors[:, k]) for k in range(3)], 1).astype(np.uint8)


def evidence_palette() -> NDArray[np.uint8]:
    """Return the 256 colours of a signed map, shape (256, 4): against, through transparent, to for."""
    return _signed_palette(AGAINST_RGB, FOR_RGB)


def change_palette() -> NDArray[np.uint8]:
    """Return the 256 colours of a change map, shape (256, 4): power lost, through transparent, to power gained."""
    return _signed_palette(LOSS_RGB, GAIN_RGB)


def _signed_palette(low: tuple[int, int, int], high: tuple[int, int, int]) -> NDArray[np.uint8]:
    signed = np.linspace(-1, 1, 256)
    rgb = np.where(signed[:, None] < 0, low, high)
    alpha = 240 * np.clip((np.abs(signed) - 0.05) / 0.95, 0, 1) ** 0.7
    return np.column_stack([rgb, alpha]).astype(np.uint8)


def compact(spectrogram: Spectrogram) -> Spectrogram:
    """Pool a spectrogram to at most 192 cells a side, keeping the largest of each group so that lines survive."""
    values, frequency, time = spectrogram.values_db, spectrogram.frequency_hz, spectrogram.time_s
    rows, columns = _group_starts(len(frequency)), _group_starts(len(time))
    values = np.maximum.reduceat(np.maximum.reduceat(values, rows, axis=0), columns, axis=1)
    return Spectrogram(values, _group_means(frequency, rows), _group_means(time, columns), spectrogram.unit)


def _group_starts(n: int, most: int = _MAX_CELLS) -> NDArray[np.intp]:
    groups = min(n, most)
    return np.arange(groups) * n // groups


def _group_means(values: NDArray[np.floating], starts: NDArray[np.intp]) -> NDArray[np.floating]:
    return np.add.reduceat(values, starts) / np.diff(starts, append=len(values))


def level_range_db(values_db: NDArray[np.floating]) -> tuple[float, float]:
    """Choose the ends of a level scale: whole fives, at most 80 dB apart."""
    finite = values_db[np.isfinite(values_db)]
    if finite.size == 0:
        return -80.0, 0.0
    low, high = np.percentile(finite, (2, 99.95))
    top = 5 * np.ceil(high / 5) + 0.0  # -0 becomes 0
    return float(min(max(5 * np.floor(low / 5), top - 80), top - 10)), float(top)


def level_picture(spectrogram: Spectrogram) -> Picture:
    """Draw a spectrogram, one pixel a cell, lowest frequency at the bottom; the ends are in dB."""
    low, high = level_range_db(spectrogram.values_db)
    index = 255 * np.clip((np.nan_to_num(spectrogram.values_db, nan=low) - low) / (high - low), 0, 1)
    image = Image.fromarray(np.rint(index[::-1]).astype(np.uint8), "L")
    image.putpalette(level_palette().tobytes())
    return Picture(_png(image), low, high)


def evidence_picture(values: NDArray[np.floating], scale: float) -> Picture:
    """Draw a signed map whose full colours stand for ``-scale`` and ``+scale`` logits."""
    return _signed_picture(values, scale, evidence_palette())


def change_picture(values: NDArray[np.floating]) -> Picture:
    """Draw a change map whose full colours stand for a change that is certain, -1 (lost) and +1 (gained)."""
    return _signed_picture(values, 1.0, change_palette())


def _signed_picture(values: NDArray[np.floating], scale: float, palette: NDArray[np.uint8]) -> Picture:
    index = 127.5 + 127.5 * np.clip(np.nan_to_num(values) / scale, -1, 1)
    image = Image.fromarray(np.rint(index[::-1]).astype(np.uint8), "L")
    image.putpalette(palette[:, :3].tobytes())
    return Picture(_png(image, transparency=palette[:, 3].tobytes()), -scale, scale)


def _png(image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True, **options)
    return out.getvalue()


def on_grid(drawn: ActivationMap | ChangeMap, spectrogram: Spectrogram) -> NDArray[np.floating]:
    """Read a map at the cells of a spectrogram, by its own axes (bilinear; beyond its ends the last cell holds).

    Of a map finer than the spectrogram the strongest cell of each group is kept, so that nothing falls between.
    """
    frequency, time = spectrogram.frequency_hz, spectrogram.time_s
    values, have_hz = _strongest(drawn.values, drawn.frequency_hz, len(frequency))
    turned, have_s = _strongest(values.T, drawn.time_s, len(time))
    return _along(_along(turned, have_s, time).T, have_hz, frequency)


def _strongest(
    values: NDArray[np.floating], have: NDArray[np.floating], most: int
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Pool the first axis to at most `most` cells: of each group the value of largest magnitude, with its sign."""
    if len(have) <= most:
        return values, have
    starts = _group_starts(len(have), most)
    high, low = np.maximum.reduceat(values, starts, axis=0), np.minimum.reduceat(values, starts, axis=0)
    return np.where(high >= -low, high, low), _group_means(have, starts)


def _along(
    values: NDArray[np.floating], have: NDArray[np.floating], want: NDArray[np.floating]
) -> NDArray[np.floating]:
    at = np.interp(want, have, np.arange(len(have)))
    below = np.floor(at).astype(int)
    above = np.minimum(below + 1, len(have) - 1)
    weight = (at - below)[:, None]
    return values[below] * (1 - weight) + values[above] * weight


def envelope_path(low: NDArray[np.floating], high: NDArray[np.floating], axis: Axis) -> str:
    """Trace the band between smallest and largest samples as an SVG path in a 1000 × 1000 box."""
    finite = np.isfinite(low) & np.isfinite(high)
    if not finite.any():
        return ""
    starts = np.unique(np.linspace(0, len(low), min(len(low), _MAX_POINTS), endpoint=False).astype(int))
    floor = np.minimum.reduceat(np.where(finite, low, np.inf), starts)
    ceiling = np.maximum.reduceat(np.where(finite, high, -np.inf), starts)
    x = (np.arange(len(starts)) + 0.5) / len(starts)
    outline = np.concatenate([ceiling, floor[::-1]])
    kept = np.isfinite(outline)
    return _path(np.concatenate([x, x[::-1]])[kept], axis.position(outline[kept])) + "Z"


def line_path(x: NDArray[np.floating], y: NDArray[np.floating]) -> str:
    """Trace a line given by positions 0..1 as an SVG path in a 1000 × 1000 box, keeping its peaks."""
    column = np.minimum((x * _MAX_POINTS).astype(int), _MAX_POINTS - 1)
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    return _path(_group_means(x, starts), np.maximum.reduceat(y, starts)) if len(starts) else ""


def _path(x: NDArray[np.floating], y: NDArray[np.floating]) -> str:
    points = np.rint(np.stack([x, 1 - y], 1) * _PATH_SCALE).astype(int)
    return "M" + "L".join(f"{a} {b}" for a, b in points)


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
