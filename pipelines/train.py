"""Labelled folder → trained model → registry, with MLflow's champion decided by policy."""

from pathlib import Path
from typing import Any

from camvib.pipelines._prefect import flow, link_file, table, task, worth_a_retry

from camvib import jobs
from camvib.records import Declared
from camvib.registry.versions import NAME
from camvib.settings import Settings

_RETRY = {"retries": 2, "retry_delay_seconds": 5, "retry_condition_fn": worth_a_retry}


@task(name="train", **_RETRY)
def train_model(
    folder: Path, out: Path, settings: Settings, run_id: str, declared: Declared, network: str | None, rig: str | None
) -> dict[str, Any]:
    """Train, or go on where a try before this one stopped, in the same MLflow run."""
    result = jobs.run_training(folder, out, settings, run_id, declared=declared, network=network, rig=rig)
    return jobs.training_summary(result, run_id)


@task(name="register", **_RETRY)
def register_model(run_id: str, model_dir: Path, name: str) -> str:
    """Make the model a version; a retry finds the version that stands."""
    return jobs.register_model(run_id, model_dir, name)


@task(name="release", **_RETRY)
def release_model(version: str, learned: bool, name: str) -> str:
    """Make the version champion or challenger."""
    return jobs.release_model(version, learned, name)


@flow(name="camvib-train", log_prints=True)
def train(
    folder: Path,
    out: Path,
    settings: Path | None = None,
    name: str = NAME,
    declared: Declared = Declared(),
    network: str | None = None,
    rig: str | None = None,
) -> dict[str, Any]:
    """Train on a labelled folder and register the model.

    Started again after a kill, with the same `out`, it goes on in the same MLflow run.
    """
    chosen = Settings.load(settings)
    run_id = jobs.open_training(folder, out, chosen, declared)
    summary = train_model(folder, out, chosen, run_id, declared, network, rig)
    version = register_model(run_id, Path(summary["model"]), name)
    alias = release_model(version, summary["learned"], name)
    figures = {key: summary[key] for key in ("accuracy", "macro_f1", "test_recordings")}
    groups = f"{len(summary['test_groups'])} groups that the training never saw"
    table("camvib-train", [{**figures, "version": version, "alias": alias, "run_id": run_id}], f"Measured on {groups}")
    link_file("camvib-train-run", out, "Run folder")
    print(f"accuracy {summary['accuracy']:.3f} on {groups}; {name} version {version} is {alias}")
    return {**summary, "version": version, "alias": alias}
