"""Prefect with camvib's defaults. Flows import it from here, because Prefect reads the environment at import."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camvib.errors import CamvibError
from camvib.settings import offline_environment

offline_environment()
Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)  # Prefect makes the last folder only

from prefect import flow, settings, task  # noqa: E402
from prefect.artifacts import create_link_artifact, create_table_artifact  # noqa: E402
from prefect.deployments.runner import EntrypointType  # noqa: E402

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State, TaskRun
    from prefect.tasks import Task

__all__ = ["EntrypointType", "flow", "link_file", "settings", "table", "task", "worth_a_retry"]


def worth_a_retry(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Retry what may pass by itself. What camvib refuses on purpose stays refused."""
    return not isinstance(state.result(raise_on_failure=False), CamvibError)


def table(key: str, rows: list[dict[str, Any]], about: str) -> None:
    """Show a table in the Prefect run; keys are lowercase words with dashes."""
    create_table_artifact(key=key, table=rows, description=about)


def link_file(key: str, path: Path, about: str) -> None:
    """Show a link to a file of this machine in the Prefect run."""
    create_link_artifact(key=key, link=path.resolve().as_uri(), link_text=path.name, description=about)
