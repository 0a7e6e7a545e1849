"""The model folder: ``model.json`` (schema, classes, input, settings, figures) and ``weights.npz`` (arrays)."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from camvib.errors import CamvibError, ModelError
from camvib.model.calibration import Calibration
from camvib.model.committee import Committee
from camvib.model.diagnoser import Diagnoser
from camvib.model.model import Model
from camvib.recordings.quality import InputSpec
from camvib.settings import Settings

SCHEMA = 2
DESCRIPTION, WEIGHTS = "model.json", "weights.npz"
_COPY_AGAIN = "Copy the folder again, or train it again"

Arrays = Mapping[str, NDArray[Any]]


def save_model(model: Model, folder: Path) -> Path:
    """Write the model folder; an older one at the same place is replaced file by file."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "weights.tmp.npz"
    np.savez(weights, **_arrays(model))  # type: ignore[arg-type]
    weights.replace(folder / WEIGHTS)
    draft = folder / "model.json.tmp"
    # Not `model.sha256`: what is written now may differ from what was loaded, of another schema or an older camvib.
    draft.write_text(json.dumps({**_description(model), "sha256": contents_sha256(model)}, indent=2) + "\n")
    draft.replace(folder / DESCRIPTION)
    return folder


def contents_sha256(model: Model) -> str:
    """Hash what a folder of this model holds."""
    return _sha256(_description(model), _arrays(model))


def _arrays(model: Model) -> dict[str, NDArray[Any]]:
    state = {
        f"net/{number}/{name}": value.numpy()
        for number, member in enumerate(model.members)
        for name, value in member.state_dict().items()
    }
    return {
        **state,
        "calibration/means": np.asarray(model.calibration.means, np.float32),
        "calibration/precision": np.asarray(model.calibration.precision, np.float32),
    }


def _description(model: Model) -> dict[str, Any]:
    diagnoser = model.diagnoser
    temperatures = diagnoser.temperatures.tolist() if isinstance(diagnoser, Committee) else [1.0]
    return {
        "schema": SCHEMA,
        "classes": list(model.classes),
        "healthy": model.healthy,
        "input": asdict(model.spec),
        "members": [
            {"settings": member.settings.model_dump(mode="json"), "temperature": temperature}
            for member, temperature in zip(model.members, temperatures, strict=True)
        ],
        "calibration": {
            "temperature": model.calibration.temperature,
            "unknown_above": model.calibration.unknown_above,
        },
        "modes": [list(mode) for mode in model.modes],
        "mode_tolerance": model.mode_tolerance,
        "shaft_hz": model.shaft_hz,
        "card": model.card,
    }


def _sha256(description: Mapping[str, Any], arrays: Arrays) -> str:
    sha = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name, value in sorted(arrays.items()):
        # With type and shape: the same bytes read as other numbers are another model.
        sha.update(f"\n{name} {value.dtype.str} {value.shape}\n".encode())
        sha.update(np.ascontiguousarray(value).tobytes())
    return sha.hexdigest()


def _sha256_of_schema_1(description: Mapping[str, Any], arrays: Arrays) -> str:
    sha = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name, value in sorted(arrays.items()):
        sha.update(name.encode() + np.ascontiguousarray(value).tobytes())
    return sha.hexdigest()


def load_model(folder: str | Path) -> Model:
    """Read a model folder, or the run folder that holds one.

    Parameters
    ----------
    folder : str or Path
        Of schema 2, or of schema 1 as camvib 0.1.0 wrote it: its digest and its answers stay as they were.

    Raises
    ------
    ModelError
        The folder holds no model, a damaged one, or one of another schema.
    """
    folder = Path(folder)
    if (folder / "model" / DESCRIPTION).is_file():
        folder = folder / "model"
    described, arrays = _read(folder)
    schema = described.get("schema")
    if schema not in (1, SCHEMA):
        raise ModelError(
            f"{folder}: model schema {schema!r}, this camvib reads 1 and {SCHEMA}",
            "Install the camvib that wrote it, or train it again",
        )
    # Of what is written there: a newer camvib's settings may have more keys, and the model keeps its name.
    stated = described.pop("digest" if schema == 1 else "sha256", None)
    found = _sha256_of_schema_1(described, arrays)[:12] if schema == 1 else _sha256(described, arrays)
    if found != stated:
        raise ModelError(
            f"{folder}: {WEIGHTS} and {DESCRIPTION} hash to {found[:12]}, {DESCRIPTION} says {str(stated)[:12]}",
            f"The folder was changed after training. {_COPY_AGAIN}",
        )
    try:
        model = _assemble(*(_of_schema_1(described, arrays) if schema == 1 else (described, arrays)))
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError, AttributeError) as error:
        raise ModelError(f"{folder}: {DESCRIPTION} and {WEIGHTS} do not fit together ({error})", _COPY_AGAIN) from error
    except ModelError as error:
        raise ModelError(f"{folder}: {error.message}", error.remedy) from error
    except CamvibError as error:
        raise ModelError(f"{folder}: {DESCRIPTION}: {error.message}", _COPY_AGAIN) from error
    vars(model)["sha256"] = found
    return model


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    try:
        described = json.loads((folder / DESCRIPTION).read_text())
        with np.load(folder / WEIGHTS, allow_pickle=False) as stored:
            arrays = dict(stored)
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder}: no model here ({Path(error.filename).name} is missing)",
            "Give a run folder made by 'camvib train', or a registry URI such as models:/camvib@champion",
        ) from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError,
            MemoryError, SyntaxError) as error:  # fmt: skip
        raise ModelError(f"{folder}: the model is damaged ({type(error).__name__})", _COPY_AGAIN) from error
    if not isinstance(described, dict):
        raise ModelError(f"{folder}: {DESCRIPTION} holds no description", _COPY_AGAIN)
    return described, arrays


def _of_schema_1(described: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
    """One network, and no shaft speed."""
    named = {name.replace("net/", "net/0/", 1) if name.startswith("net/") else name: a for name, a in arrays.items()}
    members = [{"settings": described["settings"], "temperature": 1.0}]
    return {**described, "members": members, "shaft_hz": 0.0}, named


def _assemble(described: dict[str, Any], arrays: Arrays) -> Model:
    given, classes = described["input"], tuple(described["classes"])
    members = []
    for number, one in enumerate(described["members"]):
        settings = Settings.model_validate(one["settings"])
        member = Diagnoser(len(classes), settings, given["sampling_rate_hz"])
        prefix = f"net/{number}/"
        state = {
            name.removeprefix(prefix): torch.from_numpy(a) for name, a in arrays.items() if name.startswith(prefix)
        }
        member.load_state_dict(state)
        members.append(member.eval())
    temperatures = [float(one["temperature"]) for one in described["members"]]
    kept = described["calibration"]
    calibration = Calibration(
        kept["temperature"], arrays["calibration/means"], arrays["calibration/precision"], kept["unknown_above"]
    )
    _check_finite(arrays, [*temperatures, calibration.temperature, calibration.unknown_above])
    return Model(
        diagnoser=members[0] if len(members) == 1 else Committee(members, temperatures).eval(),
        classes=classes,
        healthy=described["healthy"],
        spec=_spec(given),
        settings=members[0].settings,
        calibration=calibration,
        modes=tuple((name, hz) for name, hz in described["modes"]),
        mode_tolerance=described["mode_tolerance"],
        shaft_hz=described["shaft_hz"],
        card=described["card"],
    )


def _check_finite(arrays: Arrays, positive: list[float]) -> None:
    """A weight that is no number makes every verdict 'healthy': such a model is not loaded."""
    for name, value in arrays.items():
        if value.dtype.kind not in "fiub" or not np.isfinite(value).all():
            raise ModelError(f"{WEIGHTS}: {name} holds values that are no finite numbers", _COPY_AGAIN)
    for number in positive:
        if math.isnan(number) or number <= 0:
            raise ModelError(f"{DESCRIPTION}: a temperature or limit of {number:g}", _COPY_AGAIN)


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
