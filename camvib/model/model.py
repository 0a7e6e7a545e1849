"""The deployed model: raw waveform in, logits and class maps out, in one folder without pickle.

A model folder holds ``model.json`` (schema, classes, input, settings, figures) and ``weights.npz``
(arrays only). What it needs to explain itself travels in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from camvib.baseline import Baseline
from camvib.calibration import Calibration
from camvib.errors import ModelError, SignalError
from camvib.models import Output, build, probabilities
from camvib.quality import InputSpec
from camvib.settings import Settings
from camvib.spectrograms import Axes, SpectrogramLayer

SCHEMA = 1
HEALTHY_WORDS = ("healthy", "normal", "ok", "good", "baseline")


def layer_images(layer: SpectrogramLayer, waveforms: NDArray[np.float32], batch_size: int = 32) -> NDArray[np.float32]:
    """Images in dB, shape (n, rows, columns), of windows, shape (n, samples); a few at a time."""
    with torch.inference_mode():
        blocks = (np.array(waveforms[i : i + batch_size], np.float32) for i in range(0, len(waveforms), batch_size))
        return torch.cat([layer(torch.from_numpy(block)) for block in blocks]).numpy()


class Diagnoser(nn.Module):
    """Spectrogram layer → standardisation → network. Training and serving run this same module."""

    mean: Tensor
    spread: Tensor

    def __init__(self, classes: int, settings: Settings, sampling_rate_hz: float) -> None:
        super().__init__()
        self.keep_level = settings.spectrogram.keep_level
        self.spectrogram = SpectrogramLayer(settings.spectrogram, sampling_rate_hz)
        self.network = build(classes, settings)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def standardise(self, image_db: Tensor) -> Tensor:
        """Decibels to about zero mean and unit spread; each window's own level is taken out unless kept."""
        if not self.keep_level:
            image_db = image_db - image_db.mean(dim=(1, 2), keepdim=True)
        return (image_db - self.mean) / self.spread

    def fit_standardisation(self, image_db: Tensor) -> None:
        """Set mean and spread from training images, shape (n, rows, columns), in decibels."""
        self.mean.zero_()
        self.spread.fill_(1.0)
        plain = self.standardise(image_db)
        self.mean.copy_(plain.mean())
        self.spread.copy_(plain.std().clamp_min(1e-6))

    def explain(self, image_db: Tensor, *baseline: Tensor) -> Output:
        """Classify images, shape (batch, rows, columns), in decibels.

        `baseline` is mean and spread, (batch, rows) each, for a network that needs them, else nothing.
        """
        output: Output = self.network(self.standardise(image_db), *baseline)
        return output

    def forward(self, waveform: Tensor, *baseline: Tensor) -> Output:
        """Classify waveforms, shape (batch, n), in the unit of the model's input."""
        return self.explain(self.spectrogram(waveform), *baseline)


class Prediction(NamedTuple):
    """Numpy arrays for a batch of windows.

    Attributes
    ----------
    logits, maps, embedding, change : ndarray
        See `camvib.models.Output`.
    spectrogram_db : ndarray, shape (batch, rows, columns)
    """

    logits: NDArray[np.float32]
    maps: NDArray[np.float32]
    embedding: NDArray[np.float32]
    change: NDArray[np.float32] | None
    spectrogram_db: NDArray[np.float32]

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
        return _digest(self._description(), self._arrays())

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
        remedy = "Give the `camvib.baseline.Baseline` of the asset; 'camvib baseline' learns it"
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


def _digest(description: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> str:
    sha = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name, value in sorted(arrays.items()):
        sha.update(name.encode() + np.ascontiguousarray(value).tobytes())
    return sha.hexdigest()[:12]


def load_model(folder: Path) -> Model:
    """Read a model folder, or the run folder that holds one.

    Raises
    ------
    ModelError
        The folder holds no model, a damaged one, or one of a newer schema.
    """
    if (folder / "model" / "model.json").is_file():
        folder = folder / "model"
    remedy = "Give a run folder made by 'camvib train', or a registry URI such as models:/camvib@champion"
    try:
        described = json.loads((folder / "model.json").read_text())
        with np.load(folder / "weights.npz", allow_pickle=False) as stored:
            arrays = dict(stored)
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: no model here ({Path(error.filename).name} is missing)", remedy) from error
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(
            f"{folder}: the model is damaged ({type(error).__name__})", "Copy it again, or train it again"
        ) from error
    if described.get("schema") != SCHEMA:
        raise ModelError(
            f"{folder}: model schema {described.get('schema')!r}, this camvib reads {SCHEMA}",
            "Install the camvib that wrote it, or train it again",
        )
    # Of what is written there: a newer camvib's settings may have more keys, and the model keeps its name.
    stated = described.pop("digest", None)
    if (found := _digest(described, arrays)) != stated:
        raise ModelError(
            f"{folder}: weights and description hash to {found}, model.json says {stated}",
            "The folder was changed after training: copy it again",
        )
    model = _assemble(described, arrays)
    vars(model)["digest"] = stated
    return model


def _assemble(described: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Model:
    settings = Settings.model_validate(described["settings"])
    given = described["input"]
    diagnoser = Diagnoser(len(described["classes"]), settings, given["sampling_rate_hz"])
    state = {name.removeprefix("net/"): torch.from_numpy(a) for name, a in arrays.items() if name.startswith("net/")}
    diagnoser.load_state_dict(state)
    return Model(
        diagnoser=diagnoser.eval(),
        classes=tuple(described["classes"]),
        healthy=described["healthy"],
        spec=_spec(described["input"]),
        settings=settings,
        calibration=Calibration(
            described["calibration"]["temperature"],
            arrays["calibration/means"],
            arrays["calibration/precision"],
            described["calibration"]["unknown_above"],
        ),
        modes=tuple((name, hz) for name, hz in described["modes"]),
        mode_tolerance=described["mode_tolerance"],
        card=described["card"],
    )


def _spec(given: dict[str, Any]) -> InputSpec:
    def pair(name: str) -> tuple[float, float] | None:
        return (given[name][0], given[name][1]) if given[name] else None

    return InputSpec(
        given["sampling_rate_hz"],
        given["unit"],
        given["window_s"],
        given["channel"],
        pair("level_db"),
        pair("high_share_db"),
    )
