"""Serve the diagnose flow on a schedule, with an API of its own where none is configured."""

from __future__ import annotations

import contextvars
import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from camvib.pipelines._prefect import EntrypointType
from camvib.pipelines._prefect import settings as prefect_settings
from camvib.pipelines.diagnose import CHAMPION, diagnose

from camvib import jobs
from camvib.errors import CamvibError, SettingsError
from camvib.monitoring.notifiers import notifier
from camvib.monitoring.request import BatchSettings
from camvib.monitoring.sources import is_remote

START_TIMEOUT_S = 180


def schedule(
    cron: str,
    inbox: str | Path,
    model: str = CHAMPION,
    *,
    report: Path | None = None,
    store: str | Path | None = None,
    every_s: float | None = None,
    settings: BatchSettings | None = None,
) -> None:
    """Diagnose what is new in an inbox at every tick of a schedule, until Ctrl-C or SIGTERM.

    Every run asks the registry anew for `model`, so that a promotion takes effect with the next run. Slots that
    were missed while nothing ran are dropped: the next run diagnoses all that is not done.

    Parameters
    ----------
    cron : str
        Five fields, in UTC.
    inbox : str or Path
        Folder that recordings arrive in, or a URL.
    model : str
        Path or registry URI.
    report : Path, optional
        HTML report to renew with each run.
    store : str or Path, optional
        SQLite file or database URL.
    every_s : float, optional
        Run every so many seconds instead of by `cron`.
    settings : BatchSettings, optional

    Raises
    ------
    SettingsError
        The schedule makes no sense, or there is no such inbox.
    ModelError
        There is no such model.
    """
    settings = settings or BatchSettings()
    _check(cron, inbox, every_s)
    jobs.pin_job([inbox], model, store, settings)  # what cannot work is refused before anything starts
    for way in settings.notify:
        notifier(way)
    inbox = str(inbox) if is_remote(inbox) else os.path.abspath(inbox)  # noqa: PTH100
    name = f"{inbox.rstrip('/').rpartition('/')[2]}-{hashlib.sha256(inbox.encode()).hexdigest()[:6]}"
    parameters = {
        "inbox": inbox,
        "model": model,
        "report": str(report) if report else None,
        "store": jobs.open_store(store).url,
        "options": settings.model_dump(mode="json"),
    }
    with _api() as url:
        print(f"{inbox} every {every_s:g} s" if every_s else f"{inbox} at {cron!r} UTC", f"with {model}; runs: {url}")
        if missed := _drop_missed_slots(name):
            print(f"{missed} slots were missed while nothing ran: dropped, the next run does all that is not done")
        diagnose.serve(
            name=name,
            parameters={key: value for key, value in parameters.items() if value is not None},
            limit=1,
            pause_on_shutdown=False,  # else the schedule stays off after a restart
            print_starting_message=False,
            entrypoint_type=EntrypointType.MODULE_PATH,
            **({"interval": every_s} if every_s else {"cron": cron}),
        )


def _check(cron: str, inbox: str | Path, every_s: float | None) -> None:
    from prefect.client.schemas.schedules import CronSchedule

    if not is_remote(inbox) and not Path(inbox).is_dir():
        raise SettingsError(f"{inbox}: no such folder", "Make the inbox first, or name another")
    if every_s is not None and every_s < 1:
        raise SettingsError(f"every {every_s:g} s: less than 1 s", "Give a longer interval")
    try:
        CronSchedule(cron=cron)
    except ValueError as error:
        raise SettingsError(f"{cron!r} is no cron schedule", "Give five fields, e.g. '0 * * * *' for hourly") from error


def _drop_missed_slots(deployment: str) -> int:
    """Delete the runs that came due while nothing ran; they would also run with the parameters of then."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType

    due = filters.FlowRunFilter(
        state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        expected_start_time=filters.FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
    )
    of_this = filters.DeploymentFilter(name=filters.DeploymentFilterName(any_=[deployment]))
    dropped = 0
    with get_client(sync_client=True) as client:
        while missed := client.read_flow_runs(flow_run_filter=due, deployment_filter=of_this):
            for run in missed:
                client.delete_flow_run(run.id)
            dropped += len(missed)
    return dropped


@contextmanager
def _api() -> Iterator[str]:
    """Use the Prefect API that is configured; else serve one on the loopback until this process ends.

    It runs in a thread: whatever ends this process, no server is left behind.
    """
    if configured := prefect_settings.PREFECT_API_URL.value():
        yield configured
        return
    import uvicorn
    from prefect.server.api.server import create_app

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        own = {
            prefect_settings.PREFECT_API_URL: f"{base}/api",
            prefect_settings.PREFECT_UI_API_URL: f"{base}/api",
            # It marks all late runs at once, and SQLite answers "database is locked".
            prefect_settings.PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED: False,
        }
        with prefect_settings.temporary_settings(updates=own):
            server = uvicorn.Server(uvicorn.Config(create_app(), log_level="warning"))
            context = contextvars.copy_context()  # a thread does not inherit the settings above
            thread = threading.Thread(target=context.run, args=(server.run, [listener]), daemon=True)
            thread.start()
            try:
                _wait_until_started(server, thread)
                yield base
            finally:
                server.should_exit = True
                thread.join(timeout=15)


def _wait_until_started(server: Any, thread: threading.Thread) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not server.started:
        thread.join(timeout=0.1)
        if not thread.is_alive() or time.monotonic() > deadline:
            raise CamvibError(
                f"Prefect's API did not start within {START_TIMEOUT_S} s",
                "See the log above; remove the prefect folder in CAMVIB_HOME if its database is damaged",
            )
