"""Diagnose whatever in an inbox has not been diagnosed yet. However often it runs, each recording is done once."""

from pathlib import Path
from typing import Any

from camvib.pipelines._prefect import (
    Progress,
    as_completed,
    case_event,
    flow,
    summary_page,
    table,
    task,
    task_runner,
    worth_a_retry,
)

from camvib import jobs
from camvib.errors import CamvibError
from camvib.monitoring.request import BatchJob, BatchSettings
from camvib.records import Case
from camvib.registry import versions

CHAMPION = f"models:/{versions.NAME}@{versions.CHAMPION}"
FILES_A_TASK = 1000
_HEALS = {"retries": 2, "retry_delay_seconds": 5, "retry_condition_fn": worth_a_retry}


@task(name="pin model", **_HEALS)
def pin_model(inbox: str, model: str, store: str | None, options: dict[str, Any]) -> BatchJob:
    """Find the version that an alias means now: it may move while the run is under way."""
    return jobs.pin_job([inbox], model, store, BatchSettings.of(options))


@task(name="list files", **_HEALS)
def list_files(job: BatchJob) -> jobs.FoundFiles:
    """List the inbox, and what of it is not done."""
    return jobs.find_files(job)


@task(name="diagnose files", **_HEALS)
def diagnose_files(job: BatchJob, files: list[int]) -> dict[str, int]:
    """Diagnose files by number; a retry, or another run, skips what is in the store."""
    return jobs.diagnose_files(job, files)


@task(name="open cases", **_HEALS)
def open_cases(job: BatchJob, report: Path | None) -> list[Case]:
    """Let the cases see what is new, and tell people."""
    return jobs.open_cases(job, report)


@task(name="write report", **_HEALS)
def write_report(job: BatchJob, report: Path) -> Path:
    """Renew the report of the store."""
    return jobs.report_job(job, report)


@flow(name="camvib-diagnose", log_prints=True)
def diagnose(
    inbox: str | Path,
    model: str = CHAMPION,
    report: Path | None = None,
    store: str | Path | None = None,
    options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Diagnose an inbox with a model by path or URI, open cases, and renew the report.

    `options` are those of `camvib.monitoring.request.BatchSettings`, e.g. ``{"unit": "g"}``.
    """
    job = pin_model(str(inbox), model, None if store is None else str(store), options or {})
    found = list_files(job)
    parts = [found.todo[i : i + FILES_A_TASK] for i in range(0, len(found.todo), FILES_A_TASK)]
    progress, new = Progress("camvib-progress", len(found.todo)), dict[str, int]()
    futures = {diagnose_files.submit(job, part): len(part) for part in parts}
    for future in as_completed(list(futures)):
        for verdict, count in future.result().items():
            new[verdict] = new.get(verdict, 0) + count
        progress.add(futures[future])
    cases = open_cases(job, report)
    for case in cases:
        case_event(case)
    if report:
        write_report(job, report)
    verdicts = jobs.count_verdicts(job, found.files)
    summary = {"recordings": sum(verdicts.values()), "new": sum(new.values()), "verdicts": verdicts}
    rows = [{"verdict": name, "recordings": count, "new": new.get(name, 0)} for name, count in verdicts.items()]
    table("camvib-diagnose", rows, f"{summary['recordings']} recordings in {inbox}, {summary['new']} new")
    summary_page("camvib-summary", job, found, rows, cases, report)
    print(f"{summary['recordings']} recordings, {summary['new']} new: {verdicts}")
    fail_on_refusals(job, found, new or verdicts)
    return summary


def fail_on_refusals(job: BatchJob, found: jobs.FoundFiles, counted: dict[str, int]) -> None:
    """Fail a run that a person must look at: a source is missing, or more was refused than is allowed."""
    if found.missing:
        raise CamvibError("; ".join(found.missing))
    share = counted.get("refused", 0) / max(1, sum(counted.values()))
    if job.settings.fails(share):
        raise CamvibError(f"{share:.0%} of the recordings were refused", "See the reasons in the run's summary")


def diagnose_on_dask(
    address: str,
    inbox: str | Path,
    model: str = CHAMPION,
    report: Path | None = None,
    store: str | Path | None = None,
    options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Run the flow with its tasks on a Dask cluster, by the address of its scheduler; the store must be PostgreSQL."""
    on_cluster = diagnose.with_options(task_runner=task_runner(address))
    found: dict[str, Any] = on_cluster(inbox, model, report, store, options)
    return found
