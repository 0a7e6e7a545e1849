"""Steady lines put into images that have a healthy twin: tones and resonances that vanish, appear, swell or move.

A change network that has only seen beams takes a tone for the drive, which comes and goes as it likes. So a part of
what it is trained on carries lines that its baseline knows, and that are gone, or that the baseline does not know.
What is true is known to the cell: the powers of recording and twin are sums, with the line and without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from camvib.images.difference import mean_3x3
from camvib.images.layer import ImageLayer

PLACES = 8  # of a tone, to the row
LEVEL_DB = (6.0, 30.0)  # of a line over the row that it stands in
_KINDS = ("vanishes", "appears", "swells", "moves", "stays")
_ODDS = (0.3, 0.25, 0.15, 0.2, 0.1)
SPECKLE_DB = 2.5  # the mean power of noise over its mean level in dB: 10 log10 exp(0.5772)

Image = NDArray[np.float32]


class Pair(NamedTuple):
    """An image and all that belongs to it.

    Attributes
    ----------
    image_db, healthy_db, difference_db : ndarray, shape (rows, columns), float32
        Recording, healthy twin, and the difference of their 3 × 3 smoothed powers.
    baseline_db, spread_db : ndarray, shape (rows,), float32
    """

    image_db: Image
    healthy_db: Image
    difference_db: Image
    baseline_db: Image
    spread_db: Image


@dataclass(frozen=True, eq=False)
class ToneRows:
    """What a tone looks like on an image.

    Attributes
    ----------
    power : ndarray, shape (rows × `PLACES`, rows), float32
        Power in each row of tones at equal steps of row; the largest of each tone is 1.
    centre_hz : ndarray, shape (rows × `PLACES`,)
        Frequency of each tone.
    """

    power: Image
    centre_hz: NDArray[np.float64]

    @classmethod
    def of(cls, layer: ImageLayer) -> ToneRows:
        """Measure them on tones that go through the layer."""
        edges = layer.axes.frequency_hz
        rows = len(edges) - 1
        place = (np.arange(rows * PLACES) + 0.5) / PLACES
        centre_hz = np.interp(place, np.arange(rows + 1), edges)
        time_s = np.arange(layer.n) / layer.sampling_rate_hz
        found = []
        with torch.inference_mode():
            for some in np.array_split(centre_hz, rows):
                waves = np.sin(2 * np.pi * some[:, None] * time_s).astype(np.float32)
                found.append(10 ** (layer(torch.from_numpy(waves)).numpy().mean(axis=2) / 10))
        power = np.concatenate(found)
        return cls((power / power.max(axis=1, keepdims=True)).astype(np.float32), centre_hz)


def change_lines(pair: Pair, tones: ToneRows, rng: np.random.Generator, kind: str | None = None) -> Pair:
    """Put a tone, a family of harmonics or a narrow resonance into recording, twin and baseline.

    Parameters
    ----------
    pair : Pair
        Whatever else changed in it stays.
    tones : ToneRows
    rng : numpy.random.Generator
    kind : str, optional
        ``vanishes``, ``appears``, ``swells`` (or fades), ``moves`` (by a third of a row to five rows) or ``stays``;
        by default it is drawn.

    Returns
    -------
    Pair
        The twin has the line as the baseline knows it.
    """
    rows, columns = pair.image_db.shape
    kind = kind or str(rng.choice(_KINDS, p=_ODDS))
    healthy = np.asarray(10 ** (pair.healthy_db / 10), np.float32)
    background = healthy.mean(axis=1)
    places, weights = _draw_lines(tones, rng)
    noisy = rng.random() < 0.3
    width = float(rng.uniform(0.3, 2.0)) if noisy else 0.0
    wander = _wander(columns, rng)
    usual = _line(tones, places, weights, background, wander, width)
    day_db = rng.uniform(0, 2.0)  # how much a line's level differs by the day
    before = usual * _level(columns, day_db, rng)
    if kind == "appears":
        after, before, usual = before * _since(columns, rng), np.zeros_like(before), np.zeros_like(usual)
    elif kind == "vanishes":
        left = 0.0 if rng.random() < 0.7 else 10 ** (-rng.uniform(0.8, 3))
        since = _since(columns, rng)
        after = before * (1 - since + left * since)
    elif kind == "swells":
        factor = 10 ** (rng.choice([-1, 1]) * rng.uniform(0.3, 2))
        after = before * factor ** _since(columns, rng)
    elif kind == "moves":
        step = rng.choice([-1, 1]) * np.exp(rng.uniform(np.log(0.33), np.log(5)))
        moved = _line(tones, places + step, weights, background, wander, width) * (before.sum() / usual.sum())
        since = _since(columns, rng)
        after = before * (1 - since) + moved * since
    else:
        after = before
    noise = speckle((rows, columns), rng) if noisy else np.ones((1, 1), np.float32)
    ripple = np.zeros((1, 1), np.float32) if noisy else _ripple((rows, columns), rng)
    gone: Image = np.asarray(before * noise, np.float32)
    there: Image = np.asarray(after * noise, np.float32)
    return _put_in(pair, healthy.astype(np.float32), gone, there, usual.mean(axis=1).astype(np.float32), ripple, day_db)


def _draw_lines(tones: ToneRows, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places in rows and levels over the background of a tone or a family of harmonics."""
    level = 10 ** (rng.uniform(*LEVEL_DB) / 10)
    last = len(tones.centre_hz) - 1
    if rng.random() < 0.5:
        return np.array([rng.integers(last) / PLACES]), np.array([level])
    first_hz = tones.centre_hz[int(rng.integers(last // 12, last * 2 // 3))]
    harmonics = first_hz * np.arange(1, rng.integers(3, 12))
    harmonics = harmonics[harmonics < tones.centre_hz[-1]]
    places = np.interp(harmonics, tones.centre_hz, np.arange(last + 1)) / PLACES
    decay_db = rng.uniform(0, 3) * np.arange(len(places)) + rng.normal(0, 4, len(places))
    return places, level * 10 ** (-decay_db / 10)


def _line(
    tones: ToneRows,
    places: NDArray[np.float64],
    weights: NDArray[np.float64],
    background: Image,
    wander: NDArray[np.float64],
    width: float,
) -> Image:
    """Power of lines, (rows, columns); each is `weights` times the background of its row at its place."""
    total = np.zeros((len(background), len(wander)), np.float32)
    for place, weight in zip(places, weights, strict=True):
        index = np.round((place + wander) * PLACES).astype(int).clip(0, len(tones.power) - 1)
        row = int(min(max(place, 0), len(background) - 1))
        total += np.float32(weight * background[row]) * tones.power[index].T
    return ndimage.gaussian_filter1d(total, width, axis=0) if width else total


def _wander(columns: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How far a line is off its place over time, in rows: most are steady."""
    if rng.random() < 0.7:
        return np.zeros(columns)
    knots = rng.standard_normal(4) * np.exp(rng.uniform(np.log(0.1), np.log(1.5)))
    return np.interp(np.linspace(0, 3, columns), np.arange(4), knots)


def _level(columns: int, day_db: float, rng: np.random.Generator) -> Image:
    """Level over time, as a factor: another each day, and not quite steady."""
    slow = np.interp(np.linspace(0, 4, columns), np.arange(5), rng.standard_normal(5)) * rng.uniform(0, 1.0)
    return np.asarray(10 ** ((day_db * rng.standard_normal() + slow) / 10), np.float32)


def _since(columns: int, rng: np.random.Generator) -> Image:
    """1 where the line is no longer what it was: always, from a moment on, up to one, or for a while."""
    if rng.random() < 0.4:
        return np.ones(columns, np.float32)
    soft = rng.uniform(1, 8)
    moment, end = np.sort(rng.uniform(0, columns, 2))
    time = np.arange(columns)
    on, off = (1 / (1 + np.exp(-(time - at) * 4 / soft)) for at in (moment, max(end, moment + 8)))
    shape = rng.random()
    return np.asarray(on if shape < 0.5 else 1 - on if shape < 0.75 else on * (1 - off), np.float32)


def speckle(shape: tuple[int, int], rng: np.random.Generator) -> Image:
    """Power of narrow-band noise about its mean of 1, (rows, columns)."""
    parts = ndimage.gaussian_filter(rng.standard_normal((2, *shape)), (0, 0.6, 2.0), mode="wrap")
    power = np.square(parts).sum(axis=0)
    return np.asarray(power / power.mean(), np.float32)


def _ripple(shape: tuple[int, int], rng: np.random.Generator) -> Image:
    """Cosine of the angle between a tone and the noise beside it."""
    parts = ndimage.gaussian_filter(rng.standard_normal((2, *shape)), (0, 0.6, 2.0), mode="wrap")
    return np.asarray(parts[0] / np.sqrt(np.square(parts).sum(axis=0)), np.float32)


def _put_in(
    pair: Pair, healthy: Image, before: Image, after: Image, usual: Image, ripple: Image, day_db: float
) -> Pair:
    """Add line powers `before` to the twin, `after` to the recording, and the `usual` spectrum to the baseline."""
    power = 10 ** (pair.image_db / 10)
    image = 10 * np.log10(power + after + 1.8 * np.sqrt(power * after) * ripple)
    twin = 10 * np.log10(healthy + before + 1.8 * np.sqrt(healthy * before) * ripple)
    smooth = mean_3x3(healthy)
    ratio = 10 ** (pair.difference_db / 10)  # the old difference stays what it was, noise floor and all
    difference = 10 * np.log10((ratio * smooth + mean_3x3(after)) / (smooth + mean_3x3(before)))
    known = 10 ** ((pair.baseline_db + SPECKLE_DB + pair.healthy_db.mean()) / 10)
    rise = 10 * np.log10(1 + usual / known)
    share = usual / (usual + known)
    spread = np.sqrt(np.square(pair.spread_db * (1 - share)) + np.square((1.5 + day_db) * share))
    values = (image, twin, difference, pair.baseline_db + rise - rise.mean(), spread)
    return Pair(*(np.asarray(value, np.float32) for value in values))
