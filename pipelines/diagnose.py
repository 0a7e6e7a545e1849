"""Diagnose whatever in an inbox has not been diagnosed yet. However often it runs, each recording is done once."""

from collections import Counter
from pathlib import Path
from typing import Any

from camvib.pipelines._prefect import flow, link_file, table, task, worth_a_retry

from camvib.registry import versions

CHAMPION = f"models:/{versions.NAME}@{versions.CHAMPION}"


@task(name="find model", retries=2, retry_delay_seconds=5, retry_condition_fn=worth_a_retry)
def find_model(model: str) -> Path:
    """Pin the alias: it may move while the run is under way."""
    return versions.resolve(model)


@task(name="diagnose", retries=2, retry_delay_seconds=5, retry_condition_fn=worth_a_retry)
def diagnose_inbox(
    inbox: Path, model: Path, store: Path | None, report: Path | None, options: dict[str, Any]
) -> dict[str, Any]:
    """Diagnose and report; a retry skips what is in the store."""
    from camvib.jobs import diagnose_paths

    batch = diagnose_paths([inbox], str(model), store, report=report, **options)
    counts = Counter(
        f"fault: {diagnosis.label}" if diagnosis.verdict == "fault" else diagnosis.verdict
        for diagnosis in batch.diagnoses
    )
    return {"recordings": len(batch.diagnoses), "new": batch.new, "verdicts": dict(counts.most_common())}


@flow(name="camvib-diagnose", log_prints=True)
def diagnose(
    inbox: Path,
    model: str = CHAMPION,
    report: Path | None = None,
    store: Path | None = None,
    options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Diagnose an inbox with a model by path or URI, and renew the report.

    `options` are those of `camvib.monitoring.batch.diagnose`, e.g. ``{"unit": "g"}``.
    """
    summary = diagnose_inbox(inbox, find_model(model), store, report, options or {})
    rows = [{"verdict": verdict, "recordings": count} for verdict, count in summary["verdicts"].items()]
    table("camvib-diagnose", rows, f"{summary['recordings']} recordings in {inbox}, {summary['new']} new")
    if report:
        link_file("camvib-report", report, f"{summary['recordings']} recordings with their evidence")
    print(f"{summary['recordings']} recordings, {summary['new']} new: {summary['verdicts']}")
    return summary
