"""The deployed model: raw waveform in, logits and class maps out, with all it needs to give a verdict."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from camvib.errors import SignalError
from camvib.images.axes import Axes
from camvib.images.baseline import Baseline
from camvib.images.layer import layer_images
from camvib.model.calibration import Calibration
from camvib.model.committee import Committee
from camvib.model.diagnoser import Beside, Diagnoser
from camvib.networks.heads import probabilities
from camvib.recordings.quality import InputSpec
from camvib.settings import Settings


class Prediction(NamedTuple):
    """Numpy arrays for a batch of windows.

    Attributes
    ----------
    logits, maps, embedding, change, presence : ndarray
        See `camvib.networks.output.Output`.
    image_db : ndarray, shape (batch, rows, columns)
    """

    logits: NDArray[np.float32]
    maps: NDArray[np.float32]
    embedding: NDArray[np.float32]
    change: NDArray[np.float32] | None
    presence: NDArray[np.float32] | None
    image_db: NDArray[np.float32]

    @classmethod
    def join(cls, parts: Sequence[Prediction]) -> Prediction:
        """One batch after the other."""
        columns = zip(*parts, strict=True)
        joined: Any = [None if column[0] is None else np.concatenate(column) for column in columns]
        return cls(*joined)


@dataclass(frozen=True, eq=False)
class Model:
    """A trained diagnoser with all it needs to give a verdict.

    Attributes
    ----------
    diagnoser : Diagnoser or Committee
    classes : tuple of str
    healthy : str
        The reference class; empty where the set has none (then the runner-up is the reference).
    spec : InputSpec
        What a recording must be like: sampling rate, unit, channel.
    settings : Settings
        Of a committee those of its first member.
    calibration : Calibration
    modes : tuple of (str, float)
        Names and frequencies in Hz that regions are named with, from a rig file.
    mode_tolerance : float
        Relative distance within which a region is given a mode's name.
    shaft_hz : float
        Mean shaft speed of the training, where its images stand at one speed; else 0.
    card : dict
        What is known of it: measured accuracy, what it was compared with, training groups, data digest.
    """

    diagnoser: Diagnoser | Committee
    classes: tuple[str, ...]
    healthy: str
    spec: InputSpec
    settings: Settings
    calibration: Calibration
    modes: tuple[tuple[str, float], ...] = ()
    mode_tolerance: float = 0.08
    shaft_hz: float = 0.0
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Samples of a window."""
        return self.diagnoser.n

    @property
    def window_s(self) -> float:
        """Length of the model's input in seconds."""
        return self.n / self.spec.sampling_rate_hz

    @property
    def axes(self) -> Axes:
        """Edges of the image's cells, in Hz and s."""
        return self.diagnoser.axes

    @property
    def members(self) -> tuple[Diagnoser, ...]:
        """The diagnosers that vote; one, if it is no committee."""
        if isinstance(self.diagnoser, Diagnoser):
            return (self.diagnoser,)
        return tuple(member for member in self.diagnoser.members if isinstance(member, Diagnoser))

    @property
    def is_multilabel(self) -> bool:
        """Whether faults may come together (sigmoid outputs)."""
        return self.settings.model.head == "sigmoid"

    @property
    def network_name(self) -> str:
        """Of the network, or of the committee's members."""
        return " + ".join(dict.fromkeys(member.settings.model.name for member in self.members))

    def save(self, folder: Path) -> Path:
        """Write the model folder, see `camvib.model.folder.save_model`."""
        from camvib.model.folder import save_model

        return save_model(self, folder)

    @cached_property
    def sha256(self) -> str:
        """Hash of weights and description, 64 hexadecimal digits."""
        from camvib.model.folder import contents_sha256

        return contents_sha256(self)

    @property
    def digest(self) -> str:
        """Name of this model version: the first 12 digits of its hash."""
        return self.sha256[:12]

    def map_axes(self, maps: NDArray[np.float32], speed: float = 1.0) -> Axes:
        """Edges of the cells of class maps, shape (..., rows, columns), in Hz and s."""
        axes = self.axes.pooled(maps.shape[-2], maps.shape[-1])
        return axes._replace(frequency_hz=axes.frequency_hz * speed) if self.settings.image.at_shaft_speed else axes

    def relative_speed(self, shaft_hz: float | None) -> float:
        """Shaft's speed relative to the training's; 1 where either is not known."""
        return shaft_hz / self.shaft_hz if shaft_hz and self.shaft_hz else 1.0

    @property
    def needs_speed(self) -> bool:
        """Whether a recording's shaft speed counts."""
        return self.shaft_hz > 0 and any(member.settings.image.at_shaft_speed for member in self.members)

    @property
    def needs_baseline(self) -> bool:
        """Whether it compares a recording with its asset's healthy baseline."""
        return self.diagnoser.needs_baseline

    @cached_property
    def image_digest(self) -> str:
        """Hash of what a baseline must have in common with this model: image, sampling rate, unit, channel."""
        image = self.settings.image.model_dump(mode="json")
        key = json.dumps([image, self.spec.sampling_rate_hz, self.spec.unit, self.spec.channel], sort_keys=True)
        return hashlib.sha256(key.encode()).hexdigest()[:12]

    def images(self, waveforms: NDArray[np.float32], batch_size: int = 32) -> NDArray[np.float32]:
        """Images in dB, shape (n, rows, columns), of windows, shape (n, samples)."""
        return layer_images(self.diagnoser.image, waveforms, batch_size=batch_size)

    def predict(
        self,
        waveforms: NDArray[np.float32],
        baseline: Baseline | None = None,
        *,
        speed: float | NDArray[np.floating] = 1.0,
        batch_size: int = 32,
    ) -> Prediction:
        """Run windows, shape (n, samples), through the network.

        Parameters
        ----------
        waveforms : ndarray
        baseline : Baseline, optional
            Of the asset, or one each of the windows; needed where `needs_baseline`.
        speed : float or ndarray, shape (n,)
            The shaft's speed relative to that of training; counts where `needs_speed`.
        batch_size : int

        Raises
        ------
        SignalError
            The baseline is missing, or is not of this model's images.
        """
        given = self._beside(baseline, len(waveforms))
        speeds = np.broadcast_to(np.asarray(speed, np.float32), (len(waveforms),)) if self.needs_speed else None
        parts = []
        self.diagnoser.eval()
        with torch.inference_mode():
            for first in range(0, len(waveforms), batch_size):
                rows = slice(first, first + batch_size)
                mean, spread = (torch.from_numpy(value[rows]) for value in given) if given else (None, None)
                beside = Beside(mean, spread, None if speeds is None else torch.from_numpy(np.array(speeds[rows])))
                output, image = self.diagnoser(torch.from_numpy(np.array(waveforms[rows], np.float32)), beside)
                found: Any = [None if value is None else value.numpy() for value in (*output, image)]
                parts.append(Prediction(*found))
        return Prediction.join(parts)

    def _beside(self, baseline: Baseline | None, n: int) -> list[NDArray[np.float32]]:
        """Mean and spread for `n` images, where the network compares with them."""
        if not self.needs_baseline:
            return []
        rows = self.settings.image.rows
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

    def decision(self, logits: NDArray[np.floating]) -> NDArray[np.floating]:
        """Calibrated logits, (..., classes), with healthy's margin: the largest is the verdict's label."""
        scaled = np.asarray(logits, np.float64) / self.calibration.temperature
        if self.healthy and not self.is_multilabel:
            scaled[..., self.classes.index(self.healthy)] += self.calibration.healthy_margin
        return scaled

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
