"""Protocol B3: the model on rigs that its training never saw.

One is simulated (`camvib.simulation.fleet.OTHER_RIG`), two are measured cantilevers where physics tells the evidence:
a shaker whose 150 Hz tone vanishes, and a beam whose second bending line moves with a roller. The measured ones are
far from what the network knows: other rates, seconds, excitation, no specimen of theirs in training.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from camvib.diagnosis.contrast import contrast
from camvib.evaluation.maps.answers import answer, baseline_for, with_diagnoser
from camvib.evaluation.maps.data import RATE_HZ, MapData, true_faults
from camvib.evaluation.maps.grids import on_grid
from camvib.evaluation.maps.scores import bootstrap_macro, macro, score_maps
from camvib.evaluation.maps.trivial import trivial_maps
from camvib.images.baseline import Baseline, level_free
from camvib.model.diagnoser import Diagnoser
from camvib.model.model import Model
from camvib.recordings import catalog
from camvib.recordings.entries import Entry
from camvib.recordings.folder import LabelledSet
from camvib.recordings.resampling import resample
from camvib.records import Declared, Recording

MEASURED = {"shaker": "cantilever_shaker_ds4", "dropbear8": "dropbear8"}
"""What the result calls them, and what the catalog does."""


def other_rig(model: Model, data: MapData) -> dict[str, float]:
    """Score the maps of the true class on simulated recordings of another rig.

    Returns
    -------
    dict
        `ap` (class map), `change` where there is a change map, `baseline_difference`: average precision; `low`,
        `high`: interval of the class map's gain over the difference, over specimens.
    """
    found = answer(model, data, true_faults(data), baseline_for(model.diagnoser.image, data))
    trivial = trivial_maps(data, data.baselines_db.mean(axis=0))["baseline_difference"]
    ours = score_maps(found.class_map, data.evidence)[:, 0]
    theirs = score_maps(trivial, data.evidence)[:, 0]
    low, high = bootstrap_macro(ours - theirs, data.labels, data.groups)
    change = {}
    if found.amount is not None:
        change["change"] = macro(score_maps(found.amount, data.evidence)[:, 0], data.labels)
    return {
        **change,
        "ap": macro(ours, data.labels),
        "baseline_difference": macro(theirs, data.labels),
        "low": low,
        "high": high,
        "recordings": len(data),
    }


def measured(model: Model, name: str, folder: Path) -> dict[str, float]:
    """Score the change map, and the map of the class called, on a measured cantilever.

    Parameters
    ----------
    model : Model
    name : str
        One of `MEASURED`.
    folder : Path

    Returns
    -------
    dict
        `change` (where there is a change map), `ap` (class map) and `baseline_difference`: mean average precision;
        `chance`; `low`, `high`: interval of the change map's gain over the difference, over files.
    """
    sign = -1 if name == "shaker" else 0  # of a line that vanishes only the loss is evidence
    if name != "shaker":
        model = with_windows(model, 0.9, 0.4)
    cases = _shaker(model, folder) if name == "shaker" else _roller(model, folder)
    waves, healthy, truth, groups = (np.concatenate(parts) for parts in zip(*cases, strict=True))
    own = [Baseline.of(images) for images in healthy]
    mean, spread = np.stack([b.mean_db for b in own]), np.stack([b.spread_db for b in own])
    baseline = Baseline(mean, spread, min(b.recordings for b in own))
    found = model.predict(waves, baseline)
    faults = [name for name in model.classes if name != model.healthy]
    class_maps = []
    for maps, logits in zip(found.maps, found.logits, strict=True):
        called = max(faults, key=lambda fault: logits[model.classes.index(fault)])
        shown = contrast(maps, logits, model.classes, called, model.healthy, model.map_axes(found.maps))
        class_maps.append(on_grid(shown.values, model.axes, model.axes))
    distance = ndimage.gaussian_filter(_part(level_free(found.image_db) - mean[:, :, None], sign), (0, 2, 2))
    scores = {
        **({} if found.change is None else {"change": score_maps(_part(found.change, sign), truth)[:, 0]}),
        "ap": score_maps(np.stack(class_maps), truth)[:, 0],
        "baseline_difference": score_maps(distance, truth)[:, 0],
    }
    gain = scores.get("change", scores["ap"]) - scores["baseline_difference"]
    low, high = bootstrap_macro(gain, np.zeros(len(gain), dtype="<U1"), groups)
    means = {key: float(value.mean()) for key, value in scores.items()}
    return {**means, "chance": float(truth.mean()), "low": low, "high": high, "recordings": len(waves)}


def with_windows(model: Model, window_s: float, fft_s: float) -> Model:
    """The same networks on windows of another length, for recordings that are shorter than the model's."""
    members = []
    for member in model.members:
        settings = member.settings.with_(image={"window_s": window_s, "fft_s": fft_s})
        other = Diagnoser(len(model.classes), settings, member.image.sampling_rate_hz)
        other.load_state_dict(member.state_dict())
        members.append(other.eval())
    return with_diagnoser(model, members)


def _part(difference: NDArray[np.floating], sign: int) -> NDArray[np.floating]:
    return np.maximum(sign * difference, 0) if sign else np.abs(difference)


Case = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], NDArray[np.str_]]
"""Windows (n, samples), healthy images (n, k, rows, columns), truth (n, rows, columns), groups (n,)."""


def _shaker(model: Model, folder: Path) -> list[Case]:
    """Windows over the moment when the 150 Hz tone of test 3 vanishes, against windows of the first 9 s."""
    entry = next(one for one in _entries("shaker", folder) if "150Hz_removed" in one.label)
    recording, vanishes_s = entry.load(), float(entry.attributes["event_time_s"])
    starts = np.arange(vanishes_s - 3.5, vanishes_s - 0.4, 0.5)
    waves = _windows(model, recording, starts)
    healthy = model.images(_windows(model, recording, np.arange(0.0, 5.1, 1.0)))
    edges, centres = model.axes, model.axes.centres()
    rows = (edges.frequency_hz[1:] > 140) & (edges.frequency_hz[:-1] < 160)
    after = starts[:, None] + centres.time_s > vanishes_s
    truth = rows[None, :, None] & after[:, None, :]
    return [(waves, np.repeat(healthy[None], len(starts), axis=0), truth, starts.astype("<U8"))]


def _roller(model: Model, folder: Path) -> list[Case]:
    """Dwells of the roller at 40, 60, 80 % against the dwells at 20 % of other files: the line at 26 to 42 Hz moves."""
    outward = [entry for entry in _entries("dropbear8", folder) if entry.attributes["direction"] == "out"]
    home = [entry for entry in outward if entry.label == "roller_020pct"]
    moved = [e for e in outward if e.label in ("roller_040pct", "roller_060pct", "roller_080pct")]
    start = np.array([0.1])
    healthy = {entry.file: model.images(_windows(model, entry.load(), start))[0] for entry in home}
    edges = model.axes.frequency_hz
    rows = (edges[1:] > 24) & (edges[:-1] < 44)
    truth = np.repeat(rows[None, :, None], len(model.axes.time_s) - 1, axis=2)
    cases = []
    for entry in moved:
        others = [images for file, images in healthy.items() if file != entry.file][:5]
        wave = _windows(model, entry.load(), start)
        cases.append((wave, np.stack(others)[None], truth, np.array([entry.file.name])))
    return cases


def _entries(name: str, folder: Path) -> tuple[Entry, ...]:
    known = catalog.load_catalog()[MEASURED[name]]
    return LabelledSet.load(folder, Declared(known.channel, known.unit, extra_columns=True)).entries


def _windows(model: Model, recording: Recording, starts_s: NDArray[np.floating]) -> NDArray[np.float32]:
    """Windows that start at `starts_s` within the recording, at the rate of the simulated beams."""
    samples = np.asarray(resample(recording, RATE_HZ).samples, np.float32)
    first = np.minimum(np.round(starts_s * RATE_HZ).astype(int), len(samples) - model.n)
    return np.stack([samples[start : start + model.n] for start in first])
