"""Labelled folder → trained model → registry, with MLflow's champion decided by policy."""

from pathlib import Path
from typing import Any

from camvib.pipelines._prefect import flow, link_file, table, task, worth_a_retry

from camvib.registry import tracking, versions
from camvib.settings import Settings


@task(name="train", retries=2, retry_delay_seconds=5, retry_condition_fn=worth_a_retry)
def train_model(folder: Path, out: Path, settings: Settings, run_id: str, options: dict[str, Any]) -> dict[str, Any]:
    """Train, or go on where a try before this one stopped, in the same MLflow run."""
    from camvib.jobs import tracked_training, training_summary

    result = tracked_training(folder, out, settings, run_id=run_id, **options)
    return training_summary(result, run_id, str(result.model_dir))


@task(name="register", retries=2, retry_delay_seconds=5, retry_condition_fn=worth_a_retry)
def register_model(run_id: str, model_dir: Path, name: str) -> str:
    """Make the model a version; a retry finds the version that stands."""
    return versions.register(run_id, model_dir, name)


@task(name="release", retries=2, retry_delay_seconds=5, retry_condition_fn=worth_a_retry)
def release_model(version: str, name: str) -> str:
    """Make the version champion or challenger."""
    return versions.release(version, name)


@flow(name="camvib-train", log_prints=True)
def train(
    folder: Path,
    out: Path,
    settings: Path | None = None,
    name: str = versions.NAME,
    options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train on a labelled folder and register the model.

    `options` are those of `camvib.learning.train.train`, e.g. ``{"unit": "g"}``. Started
    again after a kill, with the same `out`, it goes on in the same MLflow run.
    """
    chosen = Settings.load(settings)
    run_id = tracking.run_of(out, folder, chosen)
    summary = train_model(folder, out, chosen, run_id, options or {})
    version = register_model(run_id, Path(summary["model"]), name)
    alias = release_model(version, name)
    figures = {key: summary[key] for key in ("accuracy", "macro_f1", "test_recordings")}
    groups = f"{len(summary['test_groups'])} groups that the training never saw"
    table("camvib-train", [{**figures, "version": version, "alias": alias, "run_id": run_id}], f"Measured on {groups}")
    link_file("camvib-train-run", out, "Run folder")
    print(f"accuracy {summary['accuracy']:.3f} on {groups}; {name} version {version} is {alias}")
    return {**summary, "version": version, "alias": alias}
