"""What a finding is drawn from, and how: one machine's evidence against its healthy state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from camvib.diagnosis.proof import Proof
from camvib.diagnosis.rigs import KnownLine
from camvib.drawing.cells import Cells, band_path, relative_path
from camvib.drawing.paths import envelope_path
from camvib.drawing.png import level_range_db
from camvib.drawing.ticks import Axis, Tick
from camvib.images.rise import profile_db
from camvib.records import ActivationMap, Diagnosis, Evidence, Region, Spectrogram
from camvib.report import words
from camvib.report.changes import Way, way
from camvib.report.sound import Clip

SPECTRUM_POINTS = 256
LEVEL_STEP_DB = 1.0
CHANGE_STEP = 1 / 16
WATERFALL_DB = 12.0
LINE_HALF_WIDTH = 0.015  # relative: a known line's level is the largest within it
DIFFERENCE_DB = 12.0  # full colour where the model gives no probability of change


@dataclass(frozen=True, eq=False)
class Healthy:
    """What the machine looks like when healthy.

    Attributes
    ----------
    mean_db, spread_db : ndarray, shape (rows,)
        Of its level-free images, see `camvib.images.baseline`.
    recordings : int
    learned_at : str
    spectra_db : ndarray, shape (n, m)
        Welch spectra of healthy recordings, on the bins of the one that is judged; n may be 0.
    """

    mean_db: NDArray[np.floating]
    spread_db: NDArray[np.floating]
    recordings: int
    learned_at: str = ""
    spectra_db: NDArray[np.floating] = field(default_factory=lambda: np.zeros((0, 0)))


@dataclass(frozen=True)
class Overall:
    """Overall level: today's, the median healthy one, the user's limit, and the zone where ISO 20816-3 covers it."""

    rms: float
    unit: str
    healthy: float | None = None
    limit: float | None = None
    source: str = ""
    zone: str = ""


@dataclass(frozen=True, eq=False)
class Material:
    """All that a finding is drawn from; whatever is not at hand is None and said so on the page."""

    diagnosis: Diagnosis
    evidence: Evidence | None = None
    missing: str = ""
    healthy: Healthy | None = None
    recent: tuple[tuple[datetime, NDArray[np.floating]], ...] = ()
    lines: tuple[KnownLine, ...] = ()
    proof: Proof | None = None
    proof_missing: str = ""
    today: Clip | None = None
    before: Clip | None = None
    overall: Overall | None = None
    channels: int = 1
    disagree: tuple[int, int, datetime | None] = (0, 0, None)
    level_shift_db: float | None = None
    similar: tuple[str, ...] = ()
    notes: tuple[tuple[datetime, str], ...] = ()
    replay: str = ""


@dataclass(frozen=True)
class Box:
    """A region in percent of the picture."""

    number: int
    speaks_for: bool
    left: float
    bottom: float
    width: float
    height: float


@dataclass(frozen=True)
class RegionView:
    """A region in words."""

    where: str
    what: str
    way: Way | None
    share: str
    speaks_for: bool
    name: str


@dataclass(frozen=True)
class LineView:
    """A known line: where it stands in the spectrum, percent of its width, and how far it rose."""

    name: str
    hz: float
    at: float
    rise_db: float | None


@dataclass(frozen=True)
class Spectrum:
    """Spectra as paths in tenths of a decibel over the bin; `box` is the SVG's view box."""

    today: str
    healthy: str
    band: str
    box: str
    x: list[Tick]
    y: list[Tick]
    lines: tuple[LineView, ...]
    recordings: int
    shift_db: float


@dataclass(frozen=True)
class Maps:
    """The pictures of one recording on the same axes."""

    today: Cells
    change: Cells | None
    change_is_probability: bool
    evidence: Cells
    runner_up: Cells | None
    scale: float
    contrast: ActivationMap
    time: list[Tick]
    frequency: list[Tick]
    boxes: tuple[Box, ...]
    gained: float
    lost: float


@dataclass(frozen=True)
class Drawn:
    """A finding's pictures and the numbers that the page reads under the pointer, as JSON."""

    maps: Maps
    spectrum: Spectrum
    waterfall: Cells | None
    waveform: str
    waveform_y: list[Tick]
    regions: tuple[RegionView, ...]
    data: str


def draw(material: Material, scale: float, undone_by: str = "") -> Drawn | None:
    """Draw a finding; None where there is no evidence to draw.

    Parameters
    ----------
    material : Material
    scale : float
        Logits of full colour, the same for all findings of a page.
    undone_by : str
        Completes 'would come back if …' in the words on lost power.
    """
    evidence = material.evidence
    if evidence is None:
        return None
    image = _smaller(evidence.spectrogram)
    expected = _expected(image, material.healthy)
    maps = _maps(material, evidence, image, expected, scale)
    spectrum, bins = _spectrum(material, evidence)
    waveform, waveform_y = _waveform(material.diagnosis, evidence)
    data = {
        "hz": [float(f"{v:.4g}") for v in image.frequency_hz],
        "s": [round(float(v), 4) for v in (image.time_s[0], image.time_s[-1])],
        "healthy": None if expected is None else [round(float(v), 1) for v in expected],
        "unit": image.unit,
        "bins": bins,
        "lines": [[line.name, round(line.hz, 3)] for line in material.lines],
        "waterfall": [round(at.timestamp()) for at, _ in material.recent],
        "scale": scale,
    }
    return Drawn(
        maps=maps,
        spectrum=spectrum,
        waterfall=_waterfall(material.recent),
        waveform=waveform,
        waveform_y=waveform_y,
        regions=_regions(material, image, expected, undone_by),
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    )


def _smaller(image: Spectrogram, rows: int = 128, columns: int = 128) -> Spectrogram:
    """Pool to at most so many cells, keeping the largest, so that a finding stays within its share of the page."""
    values = image.values_db
    by_row, by_column = -(-len(values) // rows), -(-values.shape[1] // columns)
    if by_row == by_column == 1:
        return image
    starts = np.arange(0, len(values), by_row), np.arange(0, values.shape[1], by_column)
    pooled = np.maximum.reduceat(np.maximum.reduceat(values, starts[0], axis=0), starts[1], axis=1)
    hz, seconds = (
        np.add.reduceat(axis, start) / np.diff(start, append=len(axis))
        for axis, start in zip((image.frequency_hz, image.time_s), starts, strict=True)
    )
    return Spectrogram(pooled, hz, seconds, image.unit)


def _expected(image: Spectrogram, healthy: Healthy | None) -> NDArray[np.floating] | None:
    """Healthy level of each row at today's excitation, dB; None without a baseline of these rows."""
    if healthy is None or len(healthy.mean_db) != len(image.frequency_hz):
        return None
    level = np.median(image.values_db.mean(axis=1) - healthy.mean_db)
    return np.asarray(healthy.mean_db + level)


def _maps(
    material: Material, evidence: Evidence, image: Spectrogram, expected: NDArray[np.floating] | None, scale: float
) -> Maps:
    low, high = level_range_db(image.values_db)
    time, frequency = Axis.of_cells(image.time_s), Axis.of_cells(image.frequency_hz)
    change, is_probability = None, evidence.change is not None
    gained = lost = 0.0
    if evidence.change is not None:
        values = evidence.change.values
        change = Cells.of(values, -1.0, 1.0, CHANGE_STEP)
        gained, lost = float((values > 0.5).mean()), float((values < -0.5).mean())
    elif expected is not None:
        difference = _smoothed(image.values_db - expected[:, None])
        change = Cells.of(difference, -DIFFERENCE_DB, DIFFERENCE_DB, 0.5)
        gained, lost = float((difference > 6).mean()), float((difference < -6).mean())
    runner_up = material.proof.runner_up if material.proof else None
    if runner_up is not None and runner_up.reference == evidence.contrast.reference:
        runner_up = None  # healthy is the runner-up: that map is there already
    return Maps(
        today=Cells.of(image.values_db, low, high, LEVEL_STEP_DB),
        change=change,
        change_is_probability=is_probability,
        evidence=_signed(evidence.contrast.values, scale),
        runner_up=None if runner_up is None else _signed(runner_up.values, scale),
        scale=scale,
        contrast=evidence.contrast,
        time=time.ticks(),
        frequency=frequency.ticks(7),
        boxes=tuple(_box(n, region, time, frequency) for n, region in enumerate(material.diagnosis.regions, 1)),
        gained=gained,
        lost=lost,
    )  # fmt: skip


def _signed(values: NDArray[np.floating], scale: float) -> Cells:
    """Draw a map; cells beyond full colour still read as they are."""
    pooled = values
    if values.shape[1] > 128:
        by = -(-values.shape[1] // 128)
        starts = np.arange(0, values.shape[1], by)
        most, least = np.maximum.reduceat(values, starts, axis=1), np.minimum.reduceat(values, starts, axis=1)
        pooled = np.where(most >= -least, most, least)
    strongest = max(scale, float(np.abs(pooled).max(initial=0.0)))
    return Cells.of(pooled, -strongest, strongest, strongest / 60)  # so that zero is a grey of its own


def _smoothed(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Average three rows by nine columns: a single cell of a spectrogram is off by 6 dB from chance alone."""
    from scipy.ndimage import uniform_filter

    return np.asarray(uniform_filter(values, (3, 9), mode="nearest"))


def _box(number: int, region: Region, time: Axis, frequency: Axis) -> Box:
    left, right = (100 * float(v) for v in time.position([region.start_s, region.end_s]))
    bottom, top = (100 * float(v) for v in frequency.position([region.low_hz, region.high_hz]))
    return Box(number, region.sign > 0, *(round(v, 2) for v in (left, bottom, right - left, top - bottom)))


def _spectrum(material: Material, evidence: Evidence) -> tuple[Spectrum, list[float]]:
    """Today's spectrum over the healthy ones, each at today's level, on bins of equal width."""
    group = max(1, -(-len(evidence.spectrum_hz) // SPECTRUM_POINTS))
    starts = np.arange(0, len(evidence.spectrum_hz), group)
    hz = evidence.spectrum_hz[np.minimum(starts + group // 2, len(evidence.spectrum_hz) - 1)]
    today = np.maximum.reduceat(evidence.spectrum_db, starts)
    healthy, low, high, shift, count = None, None, None, 0.0, 0
    spectra = material.healthy.spectra_db if material.healthy else np.zeros((0, 0))
    if len(spectra):
        pooled = np.maximum.reduceat(spectra, starts, axis=1)
        moved = pooled + np.median(today - pooled, axis=1)[:, None]
        healthy = np.median(moved, axis=0)
        low, high = np.percentile(moved, (5, 95), axis=0)
        shift, count = float(np.median(today - np.median(pooled, axis=0))), len(spectra)
    elif (rows := _healthy_rows(material, evidence)) is not None:
        at, level, spread = rows
        healthy, width = np.interp(hz, at, level), np.interp(hz, at, spread)
        offset = float(np.median(today - healthy))
        healthy = healthy + offset
        low, high, count = healthy - width, healthy + width, material.healthy.recordings if material.healthy else 0
    everything = [today, *(v for v in (low, high) if v is not None)]
    top = max(float(v[1:].max()) for v in everything) + 3
    bottom = max(min(float(np.percentile(v[1:], 2)) for v in everything) - 3, top - 90)
    clip = [None if v is None else np.clip(v, bottom, top) for v in (today, healthy, low, high)]
    level_axis, hz_axis = Axis.between(bottom, top), Axis.between(float(hz[0]), float(hz[-1]))
    lines = tuple(_line(line, hz, today, healthy, hz_axis) for line in material.lines if hz[0] < line.hz < hz[-1])
    view = Spectrum(
        today=relative_path(clip[0]) if clip[0] is not None else "",
        healthy=relative_path(clip[1]) if clip[1] is not None else "",
        band=band_path(np.rint(clip[2]), np.rint(clip[3])) if clip[2] is not None and clip[3] is not None else "",
        box=f"0 {-10 * top:.0f} {len(hz) - 1} {10 * (top - bottom):.0f}",
        x=hz_axis.ticks(8),
        y=level_axis.ticks(5),
        lines=lines,
        recordings=count,
        shift_db=shift,
    )
    return view, [round(float(hz[0]), 4), round(float(hz[1] - hz[0]), 6) if len(hz) > 1 else 1.0]


def _healthy_rows(
    material: Material, evidence: Evidence
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]] | None:
    """Healthy level by the baseline's rows, where no healthy spectrum is at hand."""
    healthy = material.healthy
    if healthy is None or len(healthy.mean_db) != len(evidence.spectrogram.frequency_hz):
        return None
    return evidence.spectrogram.frequency_hz, healthy.mean_db, 1.645 * healthy.spread_db


def _line(
    line: KnownLine,
    hz: NDArray[np.floating],
    today: NDArray[np.floating],
    healthy: NDArray[np.floating] | None,
    axis: Axis,
) -> LineView:
    half = max(LINE_HALF_WIDTH * line.hz, float(hz[1] - hz[0]))
    near = np.abs(hz - line.hz) <= half
    rise = None
    if healthy is not None and near.any():
        rise = float(today[near].max() - healthy[near].max())
    return LineView(line.name, line.hz, round(100 * float(axis.position(line.hz)), 2), rise)


def _waterfall(recent: Sequence[tuple[datetime, NDArray[np.floating]]]) -> Cells | None:
    """Date × frequency: how far each of the last recordings lay from healthy."""
    if len(recent) < 2:
        return None
    profiles = np.stack([profile for _, profile in recent], axis=1)
    half = len(profiles) // 2 * 2
    paired = profiles[:half].reshape(half // 2, 2, -1)
    strongest = np.where(paired.max(axis=1) >= -paired.min(axis=1), paired.max(axis=1), paired.min(axis=1))
    return Cells.of(strongest, -WATERFALL_DB, WATERFALL_DB, 0.5)


def profile_of(evidence: Evidence, healthy: Healthy) -> NDArray[np.floating] | None:
    """Deviation of a recording from healthy by frequency, dB; None where the rows differ."""
    if len(healthy.mean_db) != len(evidence.spectrogram.frequency_hz):
        return None
    return profile_db(evidence.spectrogram.values_db, healthy.mean_db)


def _waveform(diagnosis: Diagnosis, evidence: Evidence) -> tuple[str, list[Tick]]:
    low, high = evidence.waveform_low, evidence.waveform_high
    group = max(1, len(low) // 100)
    starts = np.arange(0, len(low), group)
    low, high = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
    finite = np.concatenate([low[np.isfinite(low)], high[np.isfinite(high)]])
    bottom, top = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    axis = Axis.between(bottom - 0.05 * (top - bottom), top + 0.05 * (top - bottom))
    return envelope_path(low, high, axis), axis.ticks(3)


def _regions(
    material: Material, image: Spectrogram, expected: NDArray[np.floating] | None, undone_by: str
) -> tuple[RegionView, ...]:
    diagnosis, evidence = material.diagnosis, material.evidence
    assert evidence is not None
    whole = diagnosis.duration_s
    found = []
    for region in diagnosis.regions:
        went = way(evidence.change, region) if evidence.change else None
        amount = None
        if expected is not None:
            rows = (image.frequency_hz >= region.low_hz) & (image.frequency_hz <= region.high_hz)
            columns = (image.time_s >= region.start_s) & (image.time_s <= region.end_s)
            if rows.any() and columns.any():
                amount = image.values_db[np.ix_(rows, columns)].mean(axis=1) - expected[rows]
        long = region.end_s - region.start_s > 0.9 * whole
        where = f"{words.span(region.low_hz, region.high_hz, 'Hz')}, " + (
            "whole recording" if long else words.span(region.start_s, region.end_s, "s")
        )
        speaks_for = region.sign > 0
        share = f"{words.percent(region.share)} of the evidence {'for' if speaks_for else 'against'} it"
        found.append(RegionView(where, words.changed(went, amount, undone_by), went, share, speaks_for, region.name))
    return tuple(found)
