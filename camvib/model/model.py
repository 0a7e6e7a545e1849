"""The deployed model: raw waveform in, logits and class maps out, in one folder without pickle.

A model folder holds ``model.json`` (schema, classes, input, settings, figures) and ``weights.npz``
(arrays only). What it needs to explain itself travels in it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from camvib.errors import SignalError
from camvib.images.axes import Axes
from camvib.images.baseline import Baseline
from camvib.model.calibration import Calibration
from camvib.model.diagnoser import Diagnoser, Prediction, layer_images
from camvib.networks.heads import probabilities
from camvib.recordings.quality import InputSpec
from camvib.settings import Settings

SCHEMA = 1


@dataclass(frozen=True, eq=False)
class Model:
    """A trained diagnoser with all it needs to give a verdict.

    Attributes
    ----------
    diagnoser : Diagnoser
    classes : tuple of str
    healthy : str
        The reference class; empty where the set has none (then the runner-up is the reference).
    spec : InputSpec
        What a recording must be like: sampling rate, unit, channel.
    settings : Settings
    calibration : Calibration
    modes : tuple of (str, float)
        Names and frequencies in Hz that regions are named with, from a rig file.
    mode_tolerance : float
        Relative distance within which a region is given a mode's name.
    card : dict
        What is known of it: measured accuracy, training groups, data digest.
    """

    diagnoser: Diagnoser
    classes: tuple[str, ...]
    healthy: str
    spec: InputSpec
    settings: Settings
    calibration: Calibration
    modes: tuple[tuple[str, float], ...] = ()
    mode_tolerance: float = 0.08
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def window_s(self) -> float:
        """Length of the model's input in seconds."""
        return self.diagnoser.spectrogram.n / self.spec.sampling_rate_hz

    @property
    def is_multilabel(self) -> bool:
        """Whether faults may come together (sigmoid outputs)."""
        return self.settings.model.head == "sigmoid"

    @cached_property
    def digest(self) -> str:
        """Hash of weights and description: the name of this model version, 12 hexadecimal digits."""
        return digest_of(self._description(), self._arrays())

    def map_axes(self, maps: NDArray[np.float32]) -> Axes:
        """Edges of the cells of class maps, shape (..., rows, columns), in Hz and s."""
        return self.diagnoser.spectrogram.axes.pooled(maps.shape[-2], maps.shape[-1])

    @property
    def needs_baseline(self) -> bool:
        """Whether it compares a recording with its asset's healthy baseline."""
        return self.diagnoser.network.needs_baseline

    @cached_property
    def image_digest(self) -> str:
        """Hash of what a baseline must have in common with this model: image, sampling rate, unit, channel."""
        image = self.settings.spectrogram.model_dump(mode="json")
        key = json.dumps([image, self.spec.sampling_rate_hz, self.spec.unit, self.spec.channel], sort_keys=True)
        return hashlib.sha256(key.encode()).hexdigest()[:12]

    def images(self, waveforms: NDArray[np.float32], batch_size: int = 32) -> NDArray[np.float32]:
        """Spectrogram images in dB, shape (n, rows, columns), of windows, shape (n, samples)."""
        return layer_images(self.diagnoser.spectrogram, waveforms, batch_size)

    def predict(
        self, waveforms: NDArray[np.float32], baseline: Baseline | None = None, *, batch_size: int = 32
    ) -> Prediction:
        """Run windows, shape (n, samples), through the network.

        Parameters
        ----------
        waveforms : ndarray
        baseline : Baseline, optional
            Of the asset, or one each of the windows; needed where `needs_baseline`.
        batch_size : int

        Raises
        ------
        SignalError
            The baseline is missing, or is not of this model's images.
        """
        given = self._beside(baseline, len(waveforms))
        parts = []
        self.diagnoser.eval()
        with torch.inference_mode():
            for first in range(0, len(waveforms), batch_size):
                rows = slice(first, first + batch_size)
                image = self.diagnoser.spectrogram(torch.from_numpy(np.array(waveforms[rows], np.float32)))
                output = self.diagnoser.explain(image, *(torch.from_numpy(value[rows]) for value in given))
                found: Any = [None if value is None else value.numpy() for value in (*output, image)]
                parts.append(Prediction(*found))
        return Prediction.join(parts)

    def _beside(self, baseline: Baseline | None, n: int) -> list[NDArray[np.float32]]:
        """What the network takes beside `n` images."""
        if not self.needs_baseline:
            return []
        rows = self.settings.spectrogram.rows
        remedy = "Give the `camvib.images.baseline.Baseline` of the asset; 'camvib baseline' learns it"
        if baseline is None:
            raise SignalError("this model compares with the asset's healthy baseline, and none is given", remedy)
        values = [np.asarray(value, np.float32) for value in (baseline.mean_db, baseline.spread_db)]
        if any(value.shape not in ((rows,), (n, rows)) or not np.isfinite(value).all() for value in values):
            shapes = " and ".join(str(value.shape) for value in values)
            raise SignalError(f"a baseline of shape {shapes} for {n} images of {rows} rows, or not finite", remedy)
        return [np.array(np.broadcast_to(value, (n, rows))) for value in values]

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.floating]:
        """Calibrated probabilities, shape (classes,), of logits, shape (classes,)."""
        scaled = torch.from_numpy(np.asarray(logits, np.float64)) / self.calibration.temperature
        return probabilities(scaled, self.settings.model.head).numpy()

    def what_to_show(self, label: str, logits: NDArray[np.floating]) -> tuple[str, str]:
        """Class and reference of the contrast that explains `label`.

        A fault is shown against healthy. For a healthy recording the likeliest fault is: what spoke
        against it is blue. A set without a healthy class shows the label against the strongest other.
        """
        order = [self.classes[i] for i in np.argsort(-np.asarray(logits))]
        if self.is_multilabel:
            named = [name for name in order if name in label.split("+")]
            return (named or order)[0], ""
        if not self.healthy:
            return label, next(name for name in order if name != label)
        if label == self.healthy:
            return next(name for name in order if name != self.healthy), self.healthy
        return label, self.healthy

    def _arrays(self) -> dict[str, NDArray[Any]]:
        state = {f"net/{name}": value.numpy() for name, value in self.diagnoser.state_dict().items()}
        return {
            **state,
            "calibration/means": np.asarray(self.calibration.means, np.float32),
            "calibration/precision": np.asarray(self.calibration.precision, np.float32),
        }

    def _description(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "classes": list(self.classes),
            "healthy": self.healthy,
            "input": asdict(self.spec),
            "settings": self.settings.model_dump(mode="json"),
            "calibration": {
                "temperature": self.calibration.temperature,
                "unknown_above": self.calibration.unknown_above,
            },
            "modes": [list(mode) for mode in self.modes],
            "mode_tolerance": self.mode_tolerance,
            "card": self.card,
        }

    def save(self, folder: Path) -> Path:
        """Write the model folder; an older one at the same place is replaced file by file."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = folder / "weights.tmp.npz"
        np.savez(weights, **self._arrays())  # type: ignore[arg-type]
        weights.replace(folder / "weights.npz")
        description = {**self._description(), "digest": self.digest}
        draft = folder / "model.json.tmp"
        draft.write_text(json.dumps(description, indent=2) + "\n")
        draft.replace(folder / "model.json")
        return folder


def digest_of(description: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> str:
    """Hash of what a model folder says and holds, 12 hexadecimal digits."""
    sha = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name, value in sorted(arrays.items()):
        sha.update(name.encode() + np.ascontiguousarray(value).tobytes())
    return sha.hexdigest()[:12]
