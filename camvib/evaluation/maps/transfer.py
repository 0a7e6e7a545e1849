"""Protocol B3: the network of the simulated beams on rigs that the simulator never saw.

One is simulated (`camvib.simulation.fleet.OTHER_RIG`), two are measured cantilevers where physics tells the evidence:
a shaker whose 150 Hz tone vanishes, and a beam whose second bending line moves with a roller. The measured ones are
far from what the network knows: other rates, seconds, excitation, no specimen of theirs in training.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from camvib.evaluation.maps.answers import explain, true_classes
from camvib.evaluation.maps.data import MapData
from camvib.evaluation.maps.scores import bootstrap_macro, macro, score_maps
from camvib.evaluation.maps.trivial import trivial_maps
from camvib.evaluation.real.sets import open_set, read_entries
from camvib.images.baseline import Baseline, level_free
from camvib.images.spectrogram import SpectrogramLayer
from camvib.networks.change_cnn import ChangeCnn
from camvib.recordings.resampling import resample
from camvib.records import Recording
from camvib.settings import ImageSettings

RATE_HZ = 4096.0  # of the simulated beams
MEASURED = ("cantilever_shaker_ds4", "dropbear8")


def other_rig(network: ChangeCnn, data: MapData) -> dict[str, float]:
    """Score the maps of the true class on simulated recordings of another rig."""
    answer = explain(network, data, true_classes(data))
    trivial = trivial_maps(data, data.baselines_db[0].mean(axis=0))["baseline_difference"]
    ours = score_maps(answer.class_map, data.evidence)[:, 0]
    theirs = score_maps(trivial, data.evidence)[:, 0]
    low, high = bootstrap_macro(ours - theirs, data.labels, data.groups)
    return {
        "ap": macro(ours, data.labels),
        "change": macro(score_maps(answer.change, data.evidence)[:, 0], data.labels),
        "baseline_difference": macro(theirs, data.labels),
        "low": low,
        "high": high,
        "recordings": len(data),
    }


def measured(network: ChangeCnn, name: str, folder: Path) -> dict[str, float]:
    """Score the change map, and the map of the class called, on a measured cantilever.

    Parameters
    ----------
    network : ChangeCnn
    name : str
        One of `MEASURED`.
    folder : Path

    Returns
    -------
    dict
        `change`, `ap` (class map) and `baseline_difference`: mean average precision; `chance`; `low`, `high`: interval
        of the change map's gain over the difference, over files.
    """
    cases = _shaker(folder) if name == MEASURED[0] else _roller(folder)
    images, healthy, truth, groups = (np.concatenate(parts) for parts in zip(*cases, strict=True))
    baseline = [Baseline.of(own) for own in healthy]
    mean, spread = np.stack([b.mean_db for b in baseline]), np.stack([b.spread_db for b in baseline])
    with torch.inference_mode():
        output = network(*(torch.from_numpy(values) for values in (images, mean, spread)))
    called = output.logits[:, 1:].argmax(dim=1) + 1
    sign = -1 if name == MEASURED[0] else 0  # of a line that vanishes only the loss is evidence
    distance = ndimage.gaussian_filter(_part(level_free(images) - mean[:, :, None], sign), (0, 2, 2))
    class_map = output.maps[torch.arange(len(images)), called].numpy()
    change = output.change.loss if sign else output.change.probability
    scores = {
        "change": score_maps(change.numpy(), truth)[:, 0],
        "ap": score_maps(class_map, truth)[:, 0],
        "baseline_difference": score_maps(distance, truth)[:, 0],
    }
    gain = scores["change"] - scores["baseline_difference"]
    low, high = bootstrap_macro(gain, np.zeros(len(gain), dtype="<U1"), groups)
    means = {key: float(value.mean()) for key, value in scores.items()}
    return {**means, "chance": float(truth.mean()), "low": low, "high": high, "recordings": len(images)}


def _part(difference_db: NDArray[np.floating], sign: int) -> NDArray[np.floating]:
    return np.maximum(sign * difference_db, 0) if sign else np.abs(difference_db)


Case = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], NDArray[np.str_]]
"""Images (n, rows, columns), healthy images (n, k, rows, columns), truth, groups (n,)."""


def _shaker(folder: Path) -> list[Case]:
    """Windows over the moment when the 150 Hz tone of test 3 vanishes, against windows of the first 9 s."""
    real = open_set("cantilever_shaker_ds4", folder, None, None, None)
    which = [i for i, row in enumerate(real.rows) if "150Hz_removed" in row["label"]]
    recording = read_entries(real, which, progress=False).recordings[0]
    vanishes_s = float(real.rows[which[0]]["event_time_s"])
    starts = np.arange(vanishes_s - 3.5, vanishes_s - 0.4, 0.5)
    images, layer = _images(recording, starts, 4.0, None)
    healthy, _ = _images(recording, np.arange(0.0, 5.1, 1.0), 4.0, None)
    edges, centres = layer.axes, layer.axes.centres()
    rows = (edges.frequency_hz[1:] > 140) & (edges.frequency_hz[:-1] < 160)
    after = starts[:, None] + centres.time_s > vanishes_s
    truth = rows[None, :, None] & after[:, None, :]
    return [(images, np.repeat(healthy[None], len(starts), axis=0), truth, starts.astype("<U8"))]


def _roller(folder: Path) -> list[Case]:
    """Dwells of the roller at 40, 60, 80 % against the dwells at 20 % of other files: the line at 26 to 42 Hz moves."""
    real = open_set("dropbear8", folder, None, None, None)
    outward = [row["direction"] == "out" for row in real.rows]
    place = np.array([row["label"] for row in real.rows])
    home = np.flatnonzero(outward & (place == "roller_020pct"))
    moved = np.flatnonzero(outward & np.isin(place, ["roller_040pct", "roller_060pct", "roller_080pct"]))
    read = {int(i): read_entries(real, [int(i)], progress=False).recordings[0] for i in (*home, *moved)}
    seen = {i: _images(recording, np.array([0.1]), 0.9, 0.4) for i, recording in read.items()}
    cases = []
    for i in moved.tolist():
        image, layer = seen[i]
        others = [seen[j][0][0] for j in home.tolist() if real.groups[j] != real.groups[i]][:5]
        edges = layer.axes.frequency_hz
        rows = (edges[1:] > 24) & (edges[:-1] < 44)
        truth = np.broadcast_to(rows[:, None], image.shape[1:])[None]
        cases.append((image, np.stack(others)[None], truth, np.array([real.groups[i]])))
    return cases


def _images(
    recording: Recording, starts_s: NDArray[np.floating], window_s: float, fft_s: float | None
) -> tuple[NDArray[np.float32], SpectrogramLayer]:
    """Images of windows that start at `starts_s` within the recording, at the rate of the simulated beams."""
    settings = ImageSettings.model_validate({"window_s": window_s, "fft_s": fft_s})
    layer = SpectrogramLayer(settings, RATE_HZ)
    samples = np.asarray(resample(recording, RATE_HZ).samples, np.float32)
    first = np.minimum(np.round(starts_s * RATE_HZ).astype(int), len(samples) - layer.n)
    with torch.inference_mode():
        images = layer(torch.from_numpy(np.stack([samples[start : start + layer.n] for start in first])))
    return images.numpy(), layer
