"""Put the diagnose flow on a Prefect server: work pool, schedule, and what marks runs of dead processes as crashed."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from camvib.pipelines._prefect import EntrypointType
from camvib.pipelines._prefect import settings as prefect_settings
from camvib.pipelines.diagnose import CHAMPION, diagnose

from camvib import jobs
from camvib.errors import SettingsError
from camvib.monitoring.request import BatchSettings
from camvib.monitoring.sources import is_remote
from camvib.settings import home

HEARTBEAT_S = 30
_ENDED = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}
_INHERITED = ("PYTHONPATH", "MLFLOW_TRACKING_URI", "CAMVIB_EVIDENCE", "CAMVIB_REVIEW_URL")
SILENT, STUCK = "camvib: a run whose process died", "camvib: a run that never began"


def deploy(
    inbox: str | Path,
    cron: str,
    *,
    name: str = "inbox",
    pool: str = "camvib",
    model: str = CHAMPION,
    report: Path | None = None,
    store: str | Path | None = None,
    settings: BatchSettings | None = None,
) -> str:
    """Deploy the flow with a schedule on the server that PREFECT_API_URL names; again, it is renewed.

    There is no limit of runs at once: two share the work by the store's claims, and a limit's slot would be lost with
    a process that is killed.

    Returns
    -------
    str
        The deployment's number on the server.

    Raises
    ------
    SettingsError
        No server is named.
    """
    if not prefect_settings.PREFECT_API_URL.value():
        raise SettingsError(
            "no Prefect server is named", "prefect server start, then export PREFECT_API_URL=http://127.0.0.1:4200/api"
        )
    _make_pool(pool)
    parameters = {
        "inbox": str(inbox) if is_remote(inbox) else os.path.abspath(inbox),  # noqa: PTH100
        "model": model,
        "report": str(report.resolve()) if report else None,
        "store": jobs.open_store(store).url,
        "options": (settings or BatchSettings()).model_dump(mode="json"),
    }
    environment = {
        "CAMVIB_HOME": str(home()),
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
        **{
            key: os.environ[key]
            for key in ("PYTHONPATH", "MLFLOW_TRACKING_URI", "CAMVIB_EVIDENCE")
            if key in os.environ
        },
    }
    deployment = diagnose.to_deployment(
        name=name,
        cron=cron,
        parameters={key: value for key, value in parameters.items() if value is not None},
        work_pool_name=pool,
        entrypoint_type=EntrypointType.MODULE_PATH,
        job_variables={"env": environment, "command": f"{sys.executable} -m prefect.flow_engine"},
    )
    number = deployment.apply()
    _watch_silent_runs()
    return str(number)


def _make_pool(name: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=name, type="process"))
        except ObjectAlreadyExists:
            return


def _watch_silent_runs() -> None:
    """Install the two automations, in the place of those that stand there."""
    from prefect.client.orchestration import get_client
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.states import StateType

    def watch(name: str, after: str, expect: set[str], within_s: int) -> AutomationCore:
        trigger = EventTrigger(
            after={after},
            expect=expect,
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": diagnose.name},  # type: ignore[arg-type]
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=within_s),
        )
        crashed = ChangeFlowRunState(state=StateType.CRASHED, message=f"nothing was heard of it for {within_s} s")
        return AutomationCore(name=name, trigger=trigger, actions=[crashed])

    beat = "prefect.flow-run.heartbeat"
    wanted: list[Any] = [
        watch(SILENT, beat, {beat, *_ENDED}, 4 * HEARTBEAT_S),
        watch(STUCK, "prefect.flow-run.Pending", {"prefect.flow-run.Running", beat, *_ENDED}, 20 * HEARTBEAT_S),
    ]
    with get_client(sync_client=True) as client:
        for automation in wanted:
            for old in client.read_automations_by_name(automation.name):
                client.delete_automation(old.id)
            client.create_automation(automation)
