"""Prefect with camvib's defaults. Flows import it from here, because Prefect reads the environment at import."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camvib.errors import CamvibError, MissingExtra
from camvib.settings import offline_environment

offline_environment()
# A run whose process died is told by its silence; `camvib deploy` installs what then marks it as crashed.
os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "30")
Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)  # Prefect makes the last folder only

from prefect import flow, settings, task  # noqa: E402
from prefect.artifacts import (  # noqa: E402
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.deployments.runner import EntrypointType  # noqa: E402
from prefect.events import emit_event  # noqa: E402
from prefect.futures import as_completed  # noqa: E402

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State, TaskRun
    from prefect.task_runners import TaskRunner
    from prefect.tasks import Task

    from camvib.jobs import FoundFiles
    from camvib.monitoring.request import BatchJob
    from camvib.records import Case

__all__ = [
    "EntrypointType", "Progress", "as_completed", "case_event", "flow", "link_file", "settings", "summary_page",
    "table", "task", "task_runner", "worth_a_retry",
]  # fmt: skip

SHOWN_REFUSALS = 20


def worth_a_retry(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Retry what may pass by itself. What camvib refuses on purpose stays refused."""
    return not isinstance(state.result(raise_on_failure=False), CamvibError)


def table(key: str, rows: list[dict[str, Any]], about: str) -> None:
    """Show a table in the Prefect run; keys are lowercase words with dashes."""
    create_table_artifact(key=key, table=rows, description=about)


def link_file(key: str, path: Path, about: str) -> None:
    """Show a link to a file of this machine in the Prefect run."""
    create_link_artifact(key=key, link=path.resolve().as_uri(), link_text=path.name, description=about)


class Progress:
    """A bar in the Prefect run: so much of so many."""

    def __init__(self, key: str, total: int) -> None:
        self.total, self.done = total, 0
        self._bar: Any = create_progress_artifact(100.0 if not total else 0.0, key=key, description=f"{total} files")

    def add(self, count: int) -> None:
        """So many more are done."""
        self.done += count
        update_progress_artifact(self._bar, 100.0 * self.done / max(1, self.total))


def case_event(case: Case) -> None:
    """Emit an event of a case that opened: automations of the operator's own can act on it."""
    about = {name: value for name, value in asdict(case).items() if name != "events"}
    resource = {"prefect.resource.id": f"camvib.case.{case.id}", "prefect.resource.name": f"{case.asset}: {case.label}"}
    emit_event("camvib.case.opened", resource={**resource, "camvib.severity": f"{case.severity:.3f}"}, payload=about)


def summary_page(
    key: str, job: BatchJob, found: FoundFiles, rows: list[dict[str, Any]], cases: list[Case], report: Path | None
) -> None:
    """Show what a person asks first: how many of what, which cases, what was refused and why, where the report is."""
    from camvib.jobs import some_refused

    review = os.environ.get("CAMVIB_REVIEW_URL", "")
    lines = [f"Model `{job.asked}` {f'version {job.version}' if job.version else ''}".rstrip(), ""]
    if review or report:
        lines += [f"Report: [{review}]({review})" if review else f"Report: `{report}`", ""]
    lines += ["| verdict | recordings | new |", "| --- | ---: | ---: |"]
    lines += [f"| {row['verdict']} | {row['recordings']} | {row['new']} |" for row in rows]
    if cases:
        lines += ["", "## New cases", ""]
        lines += [f"- **{_cell(case.asset)}**: {_cell(case.label)}, severity {case.severity:.2f}" for case in cases]
    if refused := some_refused(job, found.files, SHOWN_REFUSALS):
        lines += ["", "## Refused", "", "| recording | reason | what to do |", "| --- | --- | --- |"]
        lines += [f"| {_cell(one.recording)} | {_cell(one.reason)} | {_cell(one.remedy)} |" for one in refused]
    notes = [
        *found.missing,
        *found.notes,
        *([f"{found.unsettled} files are still being written"] * bool(found.unsettled)),
    ]
    lines += ["", *(f"- {_cell(note)}" for note in notes)]
    create_markdown_artifact(key=key, markdown="\n".join(lines), description="What came of the run")


def _cell(text: str) -> str:
    """Text that stays within a cell of a Markdown table, and brings no markup of its own."""
    for char in "\\`*_{}[]<>|#":
        text = text.replace(char, f"\\{char}")
    return " ".join(text.split())


def task_runner(address: str) -> TaskRunner[Any]:
    """Runner of a Dask cluster by the address of its scheduler.

    Raises
    ------
    MissingExtra
        prefect-dask is not installed.
    """
    try:
        from prefect_dask import DaskTaskRunner
    except ImportError as error:
        raise MissingExtra(f"a Dask cluster: {error}", "pip install 'camvib[dask]'") from error
    runner: TaskRunner[Any] = DaskTaskRunner(address=address)
    return runner
