"""A model by path or URI, also while the tracking server is down: then the version that it meant last."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from camvib.errors import ModelError
from camvib.registry import versions
from camvib.registry.tracking import mlflow_client, tracking_uri
from camvib.settings import home

_QUICKLY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}


@dataclass(frozen=True)
class Resolved:
    """A model folder and how it was found.

    Attributes
    ----------
    folder : Path
    version : str
        In the registry; empty for a model by path.
    asked_at : str
        When the registry named it, ISO 8601.
    is_cached : bool
        The registry did not answer: this is what it said last.
    """

    folder: Path
    version: str = ""
    asked_at: str = ""
    is_cached: bool = False


def find_model(model: str | Path) -> Resolved:
    """Find a model by path or URI; a registry that does not answer is passed over where its last answer is known.

    Raises
    ------
    ModelError
        There is no such model, or the registry does not answer and never did.
    """
    if not str(model).startswith(("models:/", "runs:/")):
        return Resolved(versions.resolve(model))
    memory = home() / "models" / "resolved.json"
    key = f"{tracking_uri()} {model}"
    try:
        with _quickly():
            found = Resolved(versions.resolve(model), _version(str(model)), datetime.now(UTC).isoformat("T", "seconds"))
    except ModelError:  # it answered: there is none
        raise
    # Requests, the database driver and MLflow each have their own word for 'nobody answers'.
    except Exception as error:
        known = _remembered(memory).get(key)
        if known is None or not (Path(known["folder"]) / "model.json").is_file():
            raise ModelError(
                f"{model}: {tracking_uri()} does not answer ({type(error).__name__}: {str(error)[:200]}), "
                "and no version is cached",
                "Start the tracking server, or name a model by path",
            ) from error
        return Resolved(Path(known["folder"]), known["version"], known["asked_at"], is_cached=True)
    _remember(memory, key, found)
    return found


def _version(model: str) -> str:
    kind, _, rest = model.partition(":/")
    if kind == "runs":
        return ""
    name, at, alias = rest.partition("@")
    if not at:
        return rest.partition("/")[2]
    return str(mlflow_client().get_model_version_by_alias(name, alias).version)


@contextlib.contextmanager
def _quickly() -> Iterator[None]:
    """Do not wait minutes for a server that is down; what the environment says comes first."""
    added = {name: value for name, value in _QUICKLY.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _remembered(memory: Path) -> dict[str, dict[str, str]]:
    try:
        found: dict[str, dict[str, str]] = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}
    return found


def _remember(memory: Path, key: str, found: Resolved) -> None:
    entry = {name: str(value) for name, value in asdict(found).items()}
    memory.parent.mkdir(parents=True, exist_ok=True)
    draft = memory.with_name(f"{memory.name}.{os.getpid()}.tmp")
    draft.write_text(json.dumps({**_remembered(memory), key: entry}, indent=2))
    draft.replace(memory)
