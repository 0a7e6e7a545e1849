"""The folder that a training leaves: what went in, what was compared, what came out."""

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

from camvib.learning.data import TrainingData
from camvib.learning.loop import OnEpoch
from camvib.learning.splits import Plan
from camvib.settings import Settings

METRICS, COMPARISON, HISTORY, CHECKPOINTS = "metrics.json", "comparison.json", "history.csv", "checkpoints"


@dataclass(frozen=True)
class TrainingResult:
    """What a training gave: figures on groups that it never saw, and where the model lies.

    Attributes
    ----------
    folder, model_dir : Path
    accuracy, macro_f1 : float
    classes, train_groups, test_groups : tuple of str
    data_digest : str
    network, image : str
        What was chosen, in words.
    compared : tuple of dict
        image, network and macro_f1 of every candidate, on groups within the training groups.
    trivial : dict
        Macro-F1 of classifiers without a network, on the same recordings as `macro_f1`.
    learned : bool
        Whether it is better than every trivial classifier, or nearly perfect.
    metrics : dict
        All of this, and more.
    """

    folder: Path
    model_dir: Path
    accuracy: float
    macro_f1: float
    classes: tuple[str, ...]
    train_groups: tuple[str, ...]
    test_groups: tuple[str, ...]
    data_digest: str
    network: str
    image: str
    compared: tuple[dict[str, Any], ...]
    trivial: dict[str, float]
    learned: bool
    metrics: dict[str, Any]

    @classmethod
    def of(cls, out: Path, metrics: dict[str, Any]) -> TrainingResult:
        """Read it from its metrics."""
        return cls(
            folder=out,
            model_dir=out / "model",
            accuracy=metrics["accuracy"],
            macro_f1=metrics["macro_f1"],
            classes=tuple(metrics["classes"]),
            train_groups=tuple(metrics["train_groups"]),
            test_groups=tuple(metrics["test_groups"]),
            data_digest=metrics["data_digest"],
            network=metrics["network"],
            image=metrics["image"],
            compared=tuple(metrics["compared"]),
            trivial=metrics["trivial"],
            learned=metrics["learned"],
            metrics=metrics,
        )


def fingerprint_of(data: TrainingData, settings: Settings, *more: str | None) -> str:
    """Hash of all that decides what a training gives: data, settings, rig, what is declared."""
    key = json.dumps([data.digest, settings.digest(), data.channel, data.unit, data.sampling_rate_hz, *more])
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def finished(out: Path, fingerprint: str) -> TrainingResult | None:
    """Result of the same training, if it was finished in this folder."""
    path = out / METRICS
    if not path.is_file():
        return None
    metrics = json.loads(path.read_text())
    return TrainingResult.of(out, metrics) if metrics.get("fingerprint") == fingerprint else None


def describe_run(out: Path, data: TrainingData, settings: Settings, plan: Plan) -> None:
    """Write down what goes in before anything is fitted."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "settings.json").write_text(settings.model_dump_json(indent=2) + "\n")
    side = np.full(len(data), "train", dtype=object)
    side[plan.final.validation], side[plan.final.test] = "validation", "test"
    table = pd.DataFrame(
        {"recording_id": data.ids, "file": data.files, "label": data.labels, "group": data.groups, "side": side}
    )
    for number, (_, _, test) in enumerate(plan.folds if plan.crossed else []):
        table.loc[test, "fold"] = str(number)
    table.to_csv(out / "split.csv", index=False)
    (out / "data.json").write_text(
        json.dumps(
            {
                "digest": data.digest,
                "folder": data.folder.name,
                "channel": data.channel,
                "unit": data.unit,
                "sampling_rate_hz": data.sampling_rate_hz,
                "recordings": len(data),
                "left_out": data.left_out,
            },
            indent=2,
        )
        + "\n"
    )
    packages = sorted({f"{d.metadata['Name']}=={d.version}" for d in distributions() if d.metadata["Name"]})
    (out / "environment.txt").write_text("\n".join([f"python=={platform.python_version()}", *packages]) + "\n")


def leave_out(out: Path, further: list[dict[str, str]]) -> None:
    """Add to data.json what the network that was chosen could not use."""
    path = out / "data.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "left_out": [*data["left_out"], *further]}, indent=2) + "\n")


class History:
    """Figures of every epoch of the final training, to history.csv and to the caller."""

    def __init__(self, out: Path, on_epoch: OnEpoch | None) -> None:
        self.path, self.on_epoch = out / HISTORY, on_epoch

    def __call__(self, epoch: int, figures: dict[str, float]) -> None:
        """Write one line; a stage that begins again, after a kill, replaces its own lines."""
        row = pd.DataFrame([{"epoch": epoch, **figures}])
        if self.path.is_file():
            behind = pd.read_csv(self.path)
            name = next(iter(figures))
            same = behind[name].notna() & (behind.epoch >= epoch) if name in behind else False
            kept = behind[~np.asarray(same, bool)] if name in behind else behind
            row = pd.concat([kept, row]) if len(kept) else row
        row.to_csv(self.path, index=False)
        if self.on_epoch:
            self.on_epoch(epoch, figures)
