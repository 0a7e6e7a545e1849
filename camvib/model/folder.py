"""Model folder → `Model`: read, checked against its own digest, put together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from camvib.errors import ModelError
from camvib.model.calibration import Calibration
from camvib.model.diagnoser import Diagnoser
from camvib.model.model import SCHEMA, Model, digest_of
from camvib.recordings.quality import InputSpec
from camvib.settings import Settings


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
    if (found := digest_of(described, arrays)) != stated:
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
