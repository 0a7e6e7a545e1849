"""What a model folder of ``camvib train`` answers on a benchmark set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camvib.diagnosis.contrast import contrast
from camvib.errors import ModelError
from camvib.evaluation.maps.attributions import Explainable
from camvib.evaluation.maps.data import CLASSES, DURATION_S, RATE_HZ, MapData, image_axes
from camvib.evaluation.maps.grids import on_grid
from camvib.images.baseline import USUAL_RECORDINGS, Baseline, leave_one_out
from camvib.images.layer import ImageLayer, layer_images
from camvib.model.committee import Committee
from camvib.model.diagnoser import Diagnoser
from camvib.model.folder import load_model
from camvib.model.model import Model, Prediction

_AT_ONCE = 64


class Answers(NamedTuple):
    """A model's answers on a set.

    Attributes
    ----------
    logits : ndarray, shape (n, classes)
        In the order of the model's classes.
    class_map : ndarray, shape (n, rows, columns)
        Of the class asked for against healthy, as the report shows it, in the cells of the benchmark.
    change : ndarray, shape (n, rows, columns), or None
        Probability gained less probability lost; None where the model compares with nothing.
    add_up_error : float
        Largest distance of a map's mean plus its bias to its logit; 0 where maps and logits have nothing to do with
        each other.
    presence : ndarray, shape (n, classes - 1), or None
        Log odds that each fault is there, of a network that tells them.
    """

    logits: NDArray[np.float32]
    class_map: NDArray[np.floating]
    change: NDArray[np.float32] | None
    add_up_error: float
    presence: NDArray[np.float32] | None = None

    @property
    def amount(self) -> NDArray[np.float32] | None:
        """The change map without its sign."""
        return None if self.change is None else np.abs(self.change)


def load_judged(folder: Path) -> Model:
    """Read a run folder or model folder of ``camvib train`` that can be judged on simulated truth.

    Raises
    ------
    ModelError
        There is no model, it knows other classes than the simulator's, or its image is not of a whole recording.
    """
    model = load_model(folder)
    if set(model.classes) != set(CLASSES):
        raise ModelError(
            f"{folder}: classes {', '.join(model.classes)}; the simulator has {', '.join(CLASSES)}",
            "Train on recordings of 'camvib simulate' to score maps against its truth",
        )
    if (
        model.n != round(DURATION_S * RATE_HZ)
        or model.spec.sampling_rate_hz != RATE_HZ
        or model.diagnoser.image.quantity
    ):
        raise ModelError(
            f"{folder}: its images ({model.diagnoser.image.quantity or 'spectrogram'}, {model.window_s:g} s at "
            f"{model.spec.sampling_rate_hz:g} Hz) are not those of the benchmark (spectrogram, {DURATION_S:g} s at "
            f"{RATE_HZ:g} Hz)",
            "Train on 'camvib simulate' with its usual rate and duration to score maps against its truth",
        )
    return model


def with_diagnoser(model: Model, diagnosers: Sequence[Diagnoser]) -> Model:
    """The same model with other networks in the places of its members."""
    if isinstance(model.diagnoser, Committee):
        committee = Committee(diagnosers, model.diagnoser.temperatures.tolist())
        return replace(model, diagnoser=committee.eval(), settings=diagnosers[0].settings)
    return replace(model, diagnoser=diagnosers[0].eval(), settings=diagnosers[0].settings)


def baseline_for(layer: ImageLayer, data: MapData) -> Baseline:
    """Baselines of recordings, one each, from other healthy recordings of the asset; as `layer` sees them."""
    mean, spread = leave_one_out(layer_images(layer, data.batch.twin), data.batch.groups)
    return Baseline(mean[data.rows], spread[data.rows], USUAL_RECORDINGS)


def answer(model: Model, data: MapData, labels: Sequence[str] | NDArray[np.str_], baseline: Baseline) -> Answers:
    """Run a set through the model, and keep the map of one class of each recording."""
    return answer_waveforms(model, data.waveforms, labels, baseline)


def answer_waveforms(
    model: Model, waveforms: NDArray[np.float32], labels: Sequence[str] | NDArray[np.str_], baseline: Baseline
) -> Answers:
    """See `answer`; `baseline` is one each of the recordings."""
    logits, class_maps, changes, presence, worst = [], [], [], [], 0.0
    for first in range(0, len(waveforms), _AT_ONCE):
        rows = slice(first, first + _AT_ONCE)
        own = Baseline(baseline.mean_db[rows], baseline.spread_db[rows], baseline.recordings)
        found = model.predict(waveforms[rows], own)
        worst = max(worst, add_up_error(model, found))
        logits.append(found.logits)
        class_maps.append(shown_maps(model, found, labels[rows]))
        if found.change is not None:
            changes.append(on_grid(found.change, model.axes, image_axes()))
        if found.presence is not None:
            presence.append(found.presence)
    change, odds = (np.concatenate(parts) if parts else None for parts in (changes, presence))
    return Answers(np.concatenate(logits), np.concatenate(class_maps), change, worst, odds)


def shown_maps(model: Model, found: Prediction, labels: Sequence[str] | NDArray[np.str_]) -> NDArray[np.floating]:
    """Map that the report shows for a label, one each of the recordings, in the cells of the benchmark."""
    pooled = model.map_axes(found.maps)
    values = []
    for maps, logits, label in zip(found.maps, found.logits, labels, strict=True):
        shown, reference = model.what_to_show(str(label), logits)
        values.append(contrast(maps, logits, model.classes, shown, reference, pooled).values)
    return on_grid(np.stack(values), model.axes, image_axes())


def add_up_error(model: Model, found: Prediction) -> float:
    """Largest distance, in logits, of a class map's mean plus its bias to its logit."""
    bias = model.diagnoser.bias
    if bias is None:
        return 0.0
    total = found.maps.mean(axis=(2, 3), dtype=np.float64) + bias.detach().numpy()
    return float(np.abs(total - found.logits).max())


def class_numbers(model: Model, labels: Sequence[str] | NDArray[np.str_]) -> Tensor:
    """Place of each label among the model's classes."""
    return torch.tensor([model.classes.index(str(label)) for label in labels])


def explainable(member: Diagnoser, baseline: Baseline) -> Explainable:
    """A network as a classifier of images: one each of the baselines, or any number of a single one."""
    mean, spread = (torch.from_numpy(np.asarray(v, np.float32)) for v in (baseline.mean_db, baseline.spread_db))

    def logits(images: Tensor) -> Tensor:
        beside = [value.expand(len(images), -1) for value in (mean, spread)] if member.needs_baseline else []
        return member.explain(images, *beside).logits

    return Explainable(logits, member.network.layer)
