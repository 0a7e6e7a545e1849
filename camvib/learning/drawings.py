"""Drawings of a training: confusion matrix, a spectrogram and a map of each class."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from camvib.diagnosis.contrast import contrast
from camvib.diagnosis.regions import regions
from camvib.drawing.figures import change_png, evidence_scale, map_png, spectrogram_png
from camvib.images.baseline import Baseline
from camvib.learning.data import TrainingData
from camvib.learning.windows import Rows
from camvib.model.model import Model, Prediction
from camvib.records import ActivationMap, ChangeMap, Spectrogram

SPECTROGRAMS_A_CLASS = 3


class Drawn(NamedTuple):
    """One recording's first window as it is drawn."""

    image: Spectrogram
    activation: ActivationMap
    change: ChangeMap | None
    title: str


def write_drawings(
    model: Model,
    data: TrainingData,
    test: Rows,
    baselines: dict[int, Baseline],
    figures: dict[str, Any],
    out: Path,
) -> None:
    """Write figures/ (confusion matrix, a test recording's maps a class) and spectrograms/ (a sample a class).

    Parameters
    ----------
    model : Model
    data : TrainingData
    test : ndarray of int
        Recordings to take the maps from.
    baselines : dict
        Of recordings, for a model that compares with them; those that have none are not drawn.
    figures : dict
        With the confusion matrix.
    out : Path
    """
    (out / "figures").mkdir(exist_ok=True)
    (out / "spectrograms").mkdir(exist_ok=True)
    confusion_png(np.array(figures["confusion"]), figures["confusion_labels"], out / "figures" / "confusion_matrix.png")
    labels = np.asarray(data.labels)
    drawable = np.array([i for i in range(len(data)) if not model.needs_baseline or i in baselines], int)
    for label in sorted(set(data.labels)):
        for order, recording in enumerate(drawable[labels[drawable] == label][:SPECTROGRAMS_A_CLASS]):
            name = f"{_slug(label)}_{order + 1}.png"
            image, _ = _image(model, data, int(recording), baselines)
            title = f"{label}: {data.files[recording]}"
            spectrogram_png(image, out / "spectrograms" / name, title=title)
    seen = [i for i in test if i in set(drawable.tolist())]
    first = {label: next((i for i in seen if labels[i] == label), None) for label in sorted(set(data.labels))}
    drawn = {label: _drawn(model, data, int(i), label, baselines) for label, i in first.items() if i is not None}
    scale = evidence_scale([one.activation.values for one in drawn.values()])
    for label, one in drawn.items():
        axes = model.map_axes(one.activation.values)
        found = regions(one.activation, axes, threshold=model.settings.diagnosis.region_threshold)
        path = out / "figures" / f"map_{_slug(label)}.png"
        map_png(one.image, one.activation, found, path, one.title, scale_logits=scale)
        if one.change is not None:
            change_png(one.image, one.change, out / "figures" / f"change_{_slug(label)}.png", one.title)


def _image(
    model: Model, data: TrainingData, recording: int, baselines: dict[int, Baseline]
) -> tuple[Spectrogram, Prediction]:
    """Image and prediction of a recording's first window."""
    window = np.asarray(data.recordings[recording].samples[: model.n], np.float32)[None]
    speed = float(data.speeds[recording])
    predicted = model.predict(window, baselines.get(recording), speed=speed)
    centres = model.map_axes(predicted.image_db, speed).centres()
    return Spectrogram(predicted.image_db[0], centres.frequency_hz, centres.time_s, data.unit), predicted


def _drawn(model: Model, data: TrainingData, recording: int, label: str, baselines: dict[int, Baseline]) -> Drawn:
    image, predicted = _image(model, data, recording, baselines)
    shown, reference = model.what_to_show(label, predicted.logits[0])
    axes = model.map_axes(predicted.maps, float(data.speeds[recording]))
    activation = contrast(predicted.maps[0], predicted.logits[0], model.classes, shown, reference, axes)
    change = predicted.change
    changed = None if change is None else ChangeMap(change[0], image.frequency_hz, image.time_s)
    against = f" against {reference}" if reference else ""
    title = f"{shown}{against}, {activation.logit:+.2f} logits: {data.files[recording]}"
    return Drawn(image, activation, changed, title)


def _slug(label: str) -> str:
    return "".join(c if c.isalnum() or c in "-_+" else "-" for c in label)


def confusion_png(counts: NDArray[np.integer], labels: list[str], path: Path) -> Path:
    """Draw a confusion matrix, rows truth and columns verdict, with its counts."""
    from matplotlib.figure import Figure  # not pyplot: no global state

    side = 2.2 + 0.7 * len(labels)
    figure = Figure(figsize=(side + 0.8, side), dpi=120, layout="constrained")
    axes = figure.add_subplot(xlabel="predicted", ylabel="true", title="Recordings of unseen groups")
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    names = [label.replace("_", " ") for label in labels]
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
    axes.set_yticks(range(len(names)), names)
    for row, column in np.ndindex(*counts.shape):
        colour = "white" if share[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    figure.savefig(path)
    return path
