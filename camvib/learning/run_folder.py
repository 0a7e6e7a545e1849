"""Pictures of a training: confusion matrix, a spectrogram and a map of each class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.cam import contrast, regions
from camvib.evaluation.splits import Split
from camvib.inference import Model
from camvib.pictures import change_png, evidence_scale, map_png, spectrogram_png
from camvib.records import ActivationMap, ChangeMap, Spectrogram
from camvib.training_data import TrainingData

SPECTROGRAMS_A_CLASS = 3


def write_pictures(model: Model, data: TrainingData, split: Split, figures: dict[str, Any], out: Path) -> None:
    """Write figures/ (confusion matrix, a test recording's maps a class) and spectrograms/ (a sample a class)."""
    (out / "figures").mkdir(exist_ok=True)
    (out / "spectrograms").mkdir(exist_ok=True)
    confusion_png(np.array(figures["confusion"]), figures["confusion_labels"], out / "figures" / "confusion_matrix.png")
    labels = np.asarray(data.labels)
    for label in sorted(set(data.labels)):
        for order, recording in enumerate(np.flatnonzero(labels == label)[:SPECTROGRAMS_A_CLASS]):
            name = f"{_slug(label)}_{order + 1}.png"
            title = f"{label}: {data.files[recording]}"
            spectrogram_png(_picture(model, data, recording)[0], out / "spectrograms" / name, title=title)
    first = {label: split.test[labels[split.test] == label][:1] for label in sorted(set(data.labels))}
    drawn = {label: _map(model, data, int(found[0]), label) for label, found in first.items() if len(found)}
    scale = evidence_scale([activation.values for _, activation, _, _ in drawn.values()])
    for label, (picture, activation, change, title) in drawn.items():
        axes = model.map_axes(activation.values)
        found = regions(activation, axes, threshold=model.settings.diagnosis.region_threshold)
        map_png(picture, activation, found, out / "figures" / f"map_{_slug(label)}.png", title, scale_logits=scale)
        if change is not None:
            change_png(picture, change, out / "figures" / f"change_{_slug(label)}.png", title)


def _picture(model: Model, data: TrainingData, recording: int) -> tuple[Spectrogram, Any]:
    """Spectrogram and prediction of a recording's first window."""
    window = data.windows_of(np.array([recording]))[:1]
    predicted = model.predict(data.windows[window], data.baseline_of(window))
    centres = model.diagnoser.spectrogram.axes.centres()
    image = Spectrogram(predicted.spectrogram_db[0], centres.frequency_hz, centres.time_s, data.unit)
    return image, predicted


def _map(
    model: Model, data: TrainingData, recording: int, label: str
) -> tuple[Spectrogram, ActivationMap, ChangeMap | None, str]:
    """Spectrogram, contrast map, change map if the model has one, and title of one recording of a label."""
    picture, predicted = _picture(model, data, recording)
    shown, reference = model.what_to_show(label, predicted.logits[0])
    axes = model.map_axes(predicted.maps)
    activation = contrast(predicted.maps[0], predicted.logits[0], model.classes, shown, reference, axes)
    change = predicted.change
    changed = None if change is None else ChangeMap(change[0], picture.frequency_hz, picture.time_s)
    against = f" against {reference}" if reference else ""
    return picture, activation, changed, f"{shown}{against}, {activation.logit:+.2f} logits: {data.files[recording]}"


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
