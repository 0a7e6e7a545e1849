"""MLflow runs: one a training, found again after a kill, embedded in SQLite unless told otherwise."""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from filelock import FileLock

from camvib.errors import CamvibError
from camvib.records import file_sha256
from camvib.settings import Settings, home, offline_environment

if TYPE_CHECKING:
    from camvib.learning.run_folder import TrainingResult
    from mlflow import MlflowClient

EXPERIMENT = "camvib"
_RUN_FILE = "mlflow-run.json"
_RUN_FILES = ("settings.json", "data.json", "split.csv", "history.csv", "metrics.json", "environment.txt")
_PICTURES = ("figures", "spectrograms")


def tracking_uri() -> str:
    """Return ``MLFLOW_TRACKING_URI``, else the SQLite file ``mlflow.db`` under `camvib.settings.home`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow.db'}"


def require_mlflow() -> None:
    """Make MLflow importable with camvib's defaults.

    Raises
    ------
    CamvibError
        MLflow is not installed. ``import mlflow`` alone does not tell: beside a folder of that name it
        succeeds as an empty namespace package.
    """
    try:
        importlib.metadata.version("mlflow")
    except importlib.metadata.PackageNotFoundError as error:
        raise CamvibError("MLflow is not installed", "Run: pip install 'mlflow>=3.17,<3.18'") from error
    offline_environment()


def ensure_database(experiment: str = EXPERIMENT) -> str:
    """Create the tables and the experiment once, whoever comes first; return the experiment's id.

    Processes that open a fresh SQLite file together corrupt it, so a file lock lets one of them migrate.
    Artifacts go to ``mlartifacts`` under `camvib.settings.home`, or where a tracking server keeps its own.

    Raises
    ------
    CamvibError
        The database is of another MLflow version, or cannot be opened.
    """
    require_mlflow()
    from mlflow.exceptions import MlflowException

    from mlflow import MlflowClient

    home().mkdir(parents=True, exist_ok=True)
    uri = tracking_uri()
    served = urlparse(uri).scheme in ("http", "https", "databricks")
    with FileLock(home() / "mlflow.lock"):
        try:
            client = MlflowClient(uri)
            if found := client.get_experiment_by_name(experiment):
                return str(found.experiment_id)
            artifacts = None if served else (home() / "mlartifacts").as_uri()
            return str(client.create_experiment(experiment, artifact_location=artifacts))
        except MlflowException as error:
            raise CamvibError(
                f"{uri}: {str(error).splitlines()[0]}",
                f"Back the database up and run 'mlflow db upgrade {uri}', or set MLFLOW_TRACKING_URI to another",
            ) from error


def mlflow_client() -> MlflowClient:
    """Return a client of `tracking_uri` whose database exists."""
    ensure_database()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri())


def _new_run(name: str, experiment: str, run_folder: str = "") -> str:
    tags = {"camvib.run_folder": run_folder, "camvib.version": importlib.metadata.version("camvib")}
    run = mlflow_client().create_run(ensure_database(experiment), run_name=name, tags=tags)
    return str(run.info.run_id)


def run_of(out: Path, data: Path, settings: Settings) -> str:
    """Return the id of the MLflow run of a training: made once, the same after a kill or a retry.

    ``mlflow-run.json`` in the run folder keeps it. Other settings or other labels are another training, and so
    another run.

    Parameters
    ----------
    out : Path
        The training's run folder.
    data : Path
        The labelled folder that it reads.
    """
    labels = data / "labels.csv"
    labels_sha256 = file_sha256(labels) if labels.is_file() else ""
    key = "|".join([tracking_uri(), str(data.resolve()), labels_sha256, settings.digest()])
    training = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = out / _RUN_FILE
    if path.is_file() and (known := json.loads(path.read_text()))["training"] == training:
        return str(known["run_id"])
    run_id = _new_run(out.name, EXPERIMENT, run_folder=str(out.resolve()))
    out.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"run_id": run_id, "training": training}))
    partial.replace(path)
    return run_id


class Run:
    """An open MLflow run; everything logged twice is kept once.

    Attributes
    ----------
    run_id : str
    """

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.run_id = run_id
        self._client = client
        latest = client.get_run(run_id).data.metrics
        self._logged = {(key, point.step) for key in latest for point in client.get_metric_history(run_id, key)}

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics of an epoch; those a resumed training repeats are left as they are."""
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        named = {_key(name): float(value) for name, value in metrics.items()}
        new = [Metric(key, value, now, epoch) for key, value in named.items() if (key, epoch) not in self._logged]
        self._client.log_batch(self.run_id, metrics=new)
        self._logged |= {(metric.key, epoch) for metric in new}

    def log_run_folder(self, result: TrainingResult) -> None:
        """Log what a training left in its folder.

        Settings become parameters, the data digest a data set and a tag, the test figures metrics; the confusion
        matrix, example maps, spectrograms, split, history and environment become artifacts. The checkpoints stay
        where they are; the model goes to the registry.
        """
        from mlflow.entities import Param, RunTag

        settings = json.loads((result.folder / "settings.json").read_text())
        tags = {
            "camvib.data_digest": result.data_digest,
            "camvib.classes": json.dumps(list(result.classes)),
            "camvib.test_groups": json.dumps(list(result.test_groups)),
        }
        self._client.log_batch(
            self.run_id,
            params=[Param(key, str(value)[:6000]) for key, value in _flat(settings).items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        self._log_data(result)
        self._log_history(result.folder / "history.csv")
        figures = {f"test/{key}": value for key, value in _flat(result.metrics).items() if _is_number(value)}
        self._logged -= {(key, 0) for key in figures}  # the last measurement counts
        self.log_epoch(0, figures)
        for name in _RUN_FILES:
            if (result.folder / name).is_file():
                self._client.log_artifact(self.run_id, str(result.folder / name))
        for name in _PICTURES:
            if (result.folder / name).is_dir():
                self._client.log_artifacts(self.run_id, str(result.folder / name), artifact_path=name)

    def _log_history(self, path: Path) -> None:
        """Log the epochs that ran before this MLflow run was made, as when a folder comes from a bare GPU machine."""
        with path.open(newline="") as handle:
            for row in csv.DictReader(handle):
                epoch = int(row.pop("epoch"))
                self.log_epoch(epoch, {name: float(value) for name, value in row.items() if value})

    def _log_data(self, result: TrainingResult) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = json.loads((result.folder / "data.json").read_text())
        source = json.dumps({"uri": str(data.get("folder", result.folder))})
        # MLflow allows 36 characters; the tag has the whole digest.
        dataset = Dataset(Path(str(data.get("folder", "data"))).name, result.data_digest[:36], "local", source)
        context = InputTag("mlflow.data.context", "training")
        self._client.log_inputs(self.run_id, [DatasetInput(dataset, [context])])


@contextmanager
def open_run(name: str, *, run_id: str | None = None, experiment: str = EXPERIMENT) -> Iterator[Run]:
    """Open an MLflow run, or continue one.

    The run ends FINISHED; FAILED when the block raises; KILLED when it is interrupted. A run that failed or was
    killed is continued by giving its id.

    Parameters
    ----------
    name : str
        Name of a new run.
    run_id : str, optional
        The run to continue, e.g. from `run_of`.

    Raises
    ------
    CamvibError
        `run_id` is not known to `tracking_uri`.
    """
    from mlflow.exceptions import MlflowException

    client = mlflow_client()
    run_id = run_id or _new_run(name, experiment)
    try:
        client.update_run(run_id, status="RUNNING")
    except MlflowException as error:
        raise CamvibError(
            f"MLflow run {run_id} is not in {tracking_uri()}",
            "Set MLFLOW_TRACKING_URI or CAMVIB_HOME to where it was made, or start a new run folder",
        ) from error
    try:
        yield Run(client, run_id)
    except BaseException as error:
        client.set_terminated(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    client.set_terminated(run_id, "FINISHED")


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Join the keys of nested tables with dots."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {_key(prefix + key): value}
    return flat


def _key(name: str) -> str:
    """Replace what MLflow does not allow in a name."""
    return re.sub(r"[^\w\-. :/]", "_", name)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
