"""The folder that a training leaves: what went in, what came out, and pictures of it."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camvib.diagnosis.contrast import contrast
from camvib.diagnosis.regions import regions
from camvib.drawing.figures import change_png, evidence_scale, map_png, spectrogram_png
from camvib.errors import SplitError
from camvib.learning.data import TrainingData
from camvib.learning.scores import classification_figures, trust_figures
from camvib.learning.splits import Split
from camvib.model.model import Model
from camvib.records import ActivationMap, ChangeMap, Spectrogram
from camvib.settings import Settings

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


@dataclass(frozen=True)
class TrainingResult:
    """What a training gave: figures on groups that it never saw, and where the model lies."""

    folder: Path
    model_dir: Path
    accuracy: float
    macro_f1: float
    classes: tuple[str, ...]
    train_groups: tuple[str, ...]
    test_groups: tuple[str, ...]
    data_digest: str
    metrics: dict[str, Any]


def fingerprint_of(data: TrainingData, settings: Settings, rig: str | None) -> str:
    """Hash of all that decides what a training gives: data, settings, rig, what is declared."""
    key = json.dumps([data.digest, settings.digest(), rig, data.channel, data.unit, data.sampling_rate_hz])
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def finished(out: Path, fingerprint: str) -> TrainingResult | None:
    """Result of the same training, if it was finished in this folder."""
    path = out / "metrics.json"
    if not path.is_file():
        return None
    metrics = json.loads(path.read_text())
    return _result(out, metrics) if metrics.get("fingerprint") == fingerprint else None


def _result(out: Path, metrics: dict[str, Any]) -> TrainingResult:
    return TrainingResult(
        folder=out,
        model_dir=out / "model",
        accuracy=metrics["accuracy"],
        macro_f1=metrics["macro_f1"],
        classes=tuple(metrics["classes"]),
        train_groups=tuple(metrics["train_groups"]),
        test_groups=tuple(metrics["test_groups"]),
        data_digest=metrics["data_digest"],
        metrics=metrics,
    )


def describe_run(out: Path, data: TrainingData, settings: Settings, split: Split) -> None:
    """Write down what goes in before anything is fitted."""
    (out / "settings.json").write_text(settings.model_dump_json(indent=2) + "\n")
    side = np.full(len(data.labels), "train", dtype=object)
    side[split.validation], side[split.test] = "validation", "test"
    table = pd.DataFrame(
        {"recording_id": data.ids, "file": data.files, "label": data.labels, "group": data.groups, "side": side}
    )
    table.to_csv(out / "split.csv", index=False)
    (out / "data.json").write_text(
        json.dumps(
            {
                "digest": data.digest,
                "folder": data.folder.name,
                "channel": data.channel,
                "unit": data.unit,
                "sampling_rate_hz": data.sampling_rate_hz,
                "window_s": data.window_s,
                "recordings": len(data.labels),
                "windows": len(data.windows),
                "left_out": data.left_out,
            },
            indent=2,
        )
        + "\n"
    )
    packages = sorted({f"{d.metadata['Name']}=={d.version}" for d in distributions() if d.metadata["Name"]})
    (out / "environment.txt").write_text("\n".join([f"python=={platform.python_version()}", *packages]) + "\n")


def conclude(
    model: Model, data: TrainingData, split: Split, settings: Settings, out: Path, fingerprint: str
) -> TrainingResult:
    """Measure on the test groups, once, and write model, metrics and pictures."""
    windows = data.windows_of(split.test)
    if not len(windows):
        raise SplitError("no test recording could be read", "See left_out in data.json for the reasons")
    predicted = model.predict(data.windows[windows], data.baseline_of(windows))
    logits = np.stack([predicted.logits[data.entry[windows] == i].mean(axis=0) for i in split.test])
    figures = classification_figures(
        [data.labels[i] for i in split.test], logits, data.classes, multilabel=model.is_multilabel
    )
    groups = np.asarray(data.groups)
    metrics = {
        **figures,
        "classes": list(data.classes),
        "train_groups": sorted(set(groups[split.train])),
        "validation_groups": sorted(set(groups[split.validation])),
        "test_groups": sorted(set(groups[split.test])),
        "test_recordings": len(split.test),
        "left_out": len(data.left_out),
        "data_digest": data.digest,
        "settings_digest": settings.digest(),
        "seed": settings.training.seed,
        "fingerprint": fingerprint,
    }
    card = {key: metrics[key] for key in ("accuracy", "macro_f1", "test_recordings", "data_digest", "seed")}
    card["test_groups"] = len(metrics["test_groups"])
    card["train_groups"] = len(metrics["train_groups"])
    if not model.is_multilabel:
        chances = np.stack([model.probabilities(row) for row in logits])
        card.update(trust_figures([data.labels[i] for i in split.test], chances, data.classes, model.healthy))
    model.card.update({**data.notes, **card})
    model.save(out / "model")
    write_pictures(model, data, split, figures, out)
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    return _result(out, metrics)
