"""A model as one ONNX file: waveform in, logits and maps out, with all that is needed to read them inside."""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from camvib.errors import CamvibError
from camvib.model.committee import Committee
from camvib.model.diagnoser import Beside, Diagnoser
from camvib.model.model import Model

OPSET = 18
MOST_WINDOWS = 65536  # in one batch


class _Answers(nn.Module):
    """The diagnoser with its outputs as a plain tuple."""

    def __init__(self, diagnoser: Diagnoser | Committee, with_speed: bool) -> None:
        super().__init__()
        self.diagnoser, self.with_speed = diagnoser, with_speed

    def forward(self, waveform: Tensor, *beside: Tensor) -> tuple[Tensor, ...]:
        given = Beside(speed=beside[0]) if self.with_speed else Beside(*beside)
        output, _ = self.diagnoser(waveform, given)
        return tuple(value for value in (output.logits, output.maps, output.change) if value is not None)


def export_onnx(model: Model, out: Path) -> Path:
    """Write the model as one ONNX file that explains itself.

    Inputs are ``waveform``, (batch, samples) in the model's unit, and for a model that needs one the asset's baseline,
    ``baseline_db`` and ``spread_db``, (batch, rows); for one whose images stand at one shaft speed ``speed``, (batch,),
    the shaft's relative to the metadata's ``shaft_hz``. Outputs are ``logits``, (batch, classes), ``maps``, (batch,
    classes, rows, columns) in logits, and for a model with baselines ``change``, (batch, rows, columns): P(gain) −
    P(loss). The file's metadata, each value in JSON, name classes, sampling rate, unit, axes, temperature and bias.

    Raises
    ------
    CamvibError
        The packages of ``camvib[onnx]`` are not installed.
    """
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise CamvibError(f"the package {missing[0]} is not installed", "pip install camvib[onnx]")
    diagnoser, rows = model.diagnoser.eval(), model.settings.image.rows
    batch = {0: torch.export.Dim("batch", min=1, max=MOST_WINDOWS)}
    inputs, outputs = {"waveform": torch.randn(2, model.n)}, ["logits", "maps"]
    shapes: dict[str, Any] = {"waveform": batch}
    if model.needs_baseline:
        inputs |= {"baseline_db": torch.zeros(2, rows), "spread_db": torch.ones(2, rows)}
        outputs, shapes["beside"] = [*outputs, "change"], (batch, batch)
    elif model.needs_speed:
        inputs["speed"], shapes["beside"] = torch.ones(2), (batch,)
    with _quietly():
        program: Any = torch.onnx.export(
            _Answers(diagnoser, model.needs_speed).eval(),
            tuple(inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=shapes,
            verbose=False,
        )
    program.model.doc_string = "camvib: vibration diagnosis with class activation maps; units and axes in the metadata"
    program.model.metadata_props.update({key: json.dumps(value) for key, value in _metadata(model).items()})
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_suffix(".tmp")
    program.save(draft, external_data=False)
    return draft.replace(out)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporter's advice to developers of torch to itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _metadata(model: Model) -> dict[str, Any]:
    axes, bias = model.axes, model.diagnoser.bias
    return {
        "format": "camvib-onnx 1",
        "model": model.digest,
        "network": model.network_name,
        "image": model.settings.image.kind,
        "shaft_hz": model.shaft_hz,
        "classes": list(model.classes),
        "healthy": model.healthy,
        "sampling_rate_hz": model.spec.sampling_rate_hz,
        "unit": model.spec.unit,
        "channel": model.spec.channel,
        "window_s": model.window_s,
        "temperature": model.calibration.temperature,
        "healthy_margin": model.calibration.healthy_margin,
        "bias": None if bias is None else bias.tolist(),
        "image_frequency_edges_hz": axes.frequency_hz.tolist(),
        "image_time_edges_s": axes.time_s.tolist(),
        "images": model.image_digest,
        "card": model.card,
    }
