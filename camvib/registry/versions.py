"""Model versions and their aliases: register, release by policy, promote, resolve to a local folder.

The policy is written down in mlflow/registry-policy.md.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import camvib
from camvib.errors import ModelError
from camvib.model.folder import load_model
from camvib.model.model import Model
from camvib.registry.tracking import mlflow_client, tracking_uri
from camvib.settings import home

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature

    from mlflow import MlflowClient

NAME = "camvib"
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
_REMEDY = "Train and register one with 'camvib train' or 'camvib demo', or give the path of a run folder"


def register(run_id: str, model_dir: Path, name: str = NAME) -> str:
    """Make a model folder a version of the registered model `name`.

    The version carries the macro-F1 on unseen groups and the data digest of the model's card, which `release`
    compares. Registering the same model of the same run again returns the version that stands.

    Parameters
    ----------
    run_id : str
        MLflow run of the training.
    model_dir : Path
        Folder with model.json and weights.npz.

    Returns
    -------
    str
        Version number.
    """
    client = mlflow_client()
    model = load_model(model_dir)
    for known in client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'"):
        if known.tags.get("camvib.model_digest") == model.digest:
            return str(known.version)
    tags = {
        "camvib.model_digest": model.digest,
        "camvib.data_digest": model.card["data_digest"],
        "camvib.macro_f1": repr(float(model.card["macro_f1"])),
    }
    uri, model_id = _log_model(run_id, model_dir, model)
    _ensure_name(client, name)
    # Tags go in with the version, so that a kill leaves no version without them.
    version = client.create_model_version(name, uri, run_id, tags=tags, model_id=model_id)
    return str(version.version)


def _ensure_name(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _log_model(run_id: str, model_dir: Path, model: Model) -> tuple[str, str]:
    """Copy the model folder to the run as a pyfunc; return its URI and id."""
    import mlflow

    mlflow.set_tracking_uri(tracking_uri())
    with mlflow.start_run(run_id=run_id), warnings.catch_warnings():
        # MLflow would rather see an input example; the signature says as much without running the model.
        warnings.simplefilter("ignore", UserWarning)
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"model": str(model_dir)},
            signature=_signature(model),
            pip_requirements=[f"camvib=={camvib.__version__}"],  # what MLflow infers is incomplete and slow to find
        )
    return str(info.model_uri), str(info.model_id)


def _signature(model: Model) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    classes, rows, single = len(model.classes), model.settings.image.rows, np.dtype(np.float32)
    waveform = TensorSpec(single, (-1, model.n), "waveform")
    inputs: list[Any] = [TensorSpec(single, (-1, model.n))]
    outputs: list[Any] = [
        TensorSpec(single, (-1, classes), "logits"),
        TensorSpec(np.dtype(np.float64), (-1, classes), "probabilities"),
        TensorSpec(single, (-1, classes, -1, -1), "maps"),
    ]
    if model.needs_baseline:
        inputs = [waveform, *(TensorSpec(single, (-1, rows), name) for name in ("baseline_db", "spread_db"))]
        outputs.append(TensorSpec(single, (-1, -1, -1), "change"))
    elif model.needs_speed:
        inputs = [waveform, TensorSpec(single, (-1,), "speed")]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def release(version: str, name: str = NAME) -> Literal["champion", "challenger"]:
    """Give a new version its alias by policy.

    The first version becomes champion. A later one does when it was trained on the same data (equal digests) and
    its macro-F1 on unseen groups is not below the champion's; otherwise it becomes challenger, for a person to
    `promote`.
    """
    client = mlflow_client()
    new, champion = client.get_model_version(name, version), _aliased(client, name, CHAMPION)
    wins = champion is None or str(champion.version) == str(version) or _not_worse(new, champion)
    alias: Literal["champion", "challenger"] = "champion" if wins else "challenger"
    promote(version, alias, name)
    return alias


def _not_worse(new: ModelVersion, champion: ModelVersion) -> bool:
    same_data = new.tags["camvib.data_digest"] == champion.tags.get("camvib.data_digest") != ""
    return same_data and float(new.tags["camvib.macro_f1"]) >= float(champion.tags["camvib.macro_f1"])


def promote(version: str, alias: str = CHAMPION, name: str = NAME) -> None:
    """Point an alias at a version.

    A champion that is replaced keeps the alias ``previous``, so that ``promote(<previous>)`` rolls back.

    Raises
    ------
    ModelError
        There is no such version.
    """
    client = mlflow_client()
    _version(client, name, version)
    former = _aliased(client, name, alias)
    if alias == CHAMPION and former is not None and str(former.version) != str(version):
        client.set_registered_model_alias(name, PREVIOUS, former.version)
    client.set_registered_model_alias(name, alias, version)
    if alias == CHAMPION and str(getattr(_aliased(client, name, CHALLENGER), "version", "")) == str(version):
        client.delete_registered_model_alias(name, CHALLENGER)


def _aliased(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _version(client: MlflowClient, name: str, version: str) -> ModelVersion:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version(name, version)
    except MlflowException as error:
        raise ModelError(f"{name} has no version {version} in {tracking_uri()}", _REMEDY) from error


def resolve(model: str | Path) -> Path:
    """Return the local folder that holds the model.json meant.

    Parameters
    ----------
    model : str or Path
        A run folder, a model folder, ``models:/camvib@champion``, ``models:/camvib/3`` or ``runs:/<run id>``.
        What comes from the registry is downloaded once and kept under ``models`` in `camvib.settings.home`.

    Raises
    ------
    ModelError
        There is nothing of the kind there.
    """
    if not str(model).startswith(("models:/", "runs:/")):
        for folder in (Path(model), Path(model) / "model"):
            if (folder / "model.json").is_file():
                return folder
        raise ModelError(f"{model}: no model.json in this folder or in its model/", _REMEDY)
    return _download(_artifact_uri(mlflow_client(), str(model)))


def _artifact_uri(client: MlflowClient, uri: str) -> str:
    """Name the immutable place of a model: an alias moves, its version does not."""
    from mlflow.exceptions import MlflowException

    kind, _, rest = uri.partition(":/")
    if kind == "runs":
        run_id, _, _path = rest.partition("/")
        versions = client.search_model_versions(f"run_id = '{run_id}'")
        if not versions:
            raise ModelError(f"{uri}: run {run_id} has no registered model in {tracking_uri()}", _REMEDY)
        newest = max(versions, key=lambda version: int(version.version))
        name, number = newest.name, newest.version
    elif "@" in rest:
        name, _, alias = rest.partition("@")
        found = _aliased(client, name, alias)
        if found is None:
            raise ModelError(f"{uri}: no version of {name!r} has the alias {alias!r} in {tracking_uri()}", _REMEDY)
        number = found.version
    else:
        name, _, number = rest.partition("/")
    try:
        return str(client.get_model_version_download_uri(name, str(number)))
    except MlflowException as error:
        raise ModelError(f"{uri}: no such model version in {tracking_uri()}", _REMEDY) from error


def _download(artifact_uri: str) -> Path:
    """Copy a version's model folder into the cache, whole or not at all."""
    cached = home() / "models" / hashlib.sha256(f"{tracking_uri()}|{artifact_uri}".encode()).hexdigest()[:16]
    if not cached.is_dir():
        import mlflow

        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent) as draft:
            fetched = Path(
                mlflow.artifacts.download_artifacts(artifact_uri, dst_path=draft, tracking_uri=tracking_uri())
            )
            holders = [path.parent for path in fetched.rglob("model.json")]
            if not holders:
                raise ModelError(f"{artifact_uri}: this is not a camvib model", _REMEDY)
            try:
                shutil.move(holders[0], cached)
            except OSError:
                # Another process finished the same download first; its copy is as good.
                if not cached.is_dir():
                    raise
    return cached
