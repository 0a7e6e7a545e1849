"""On a real server: what `camvib deploy` installs, and that kills of worker, run and server cost no slot."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from camvib.monitoring.ledger import Store

pytestmark = pytest.mark.slow

DEPLOY = """
import sys
from pathlib import Path
from camvib.pipelines.deploy import deploy
deploy(sys.argv[1], "0 0 1 1 *", model=sys.argv[2], store=sys.argv[3], name="inbox", pool="test")
"""


def wait_for(true: Callable[[], Any], limit_s: float = 300.0) -> Any:
    ends = time.monotonic() + limit_s
    while True:
        if found := true():
            return found
        assert time.monotonic() < ends
        time.sleep(0.3)


class Server:
    """A Prefect server of its own, with a worker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environment = {
            **os.environ,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "CAMVIB_HOME": str(folder / "home"),
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "prefect", *arguments],
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def serve(self) -> subprocess.Popen[bytes]:
        process = self.start("server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        wait_for(lambda: self.is_healthy())
        return process

    def worker(self) -> subprocess.Popen[bytes]:
        return self.start("worker", "start", "--pool", "test", "--type", "process")

    def is_healthy(self) -> bool:
        try:
            return self.ask("GET", "/health") is True
        except OSError:
            return False

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def run(self) -> str:
        deployment = self.ask("GET", "/deployments/name/camvib-diagnose/inbox")["id"]
        return str(
            self.ask("POST", f"/deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"]
        )

    def state(self, run: str) -> str:
        return str(self.ask("GET", f"/flow_runs/{run}")["state_type"])

    @staticmethod
    def kill(process: subprocess.Popen[bytes]) -> None:
        """The worker and its run are of one session: a power cut for both."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path)
    yield found
    for process in found.processes:
        if process.poll() is None:
            Server.kill(process)


@pytest.mark.skipif("CAMVIB_KILLS" not in os.environ, reason="takes minutes and kills servers: set CAMVIB_KILLS=1")
def test_kills_of_worker_run_and_server_cost_no_slot(
    server: Server, model_folder: Path, fill: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    inbox, path = fill(tmp_path / "inbox", 300), tmp_path / "s.db"
    machine = server.serve()
    subprocess.run(
        [sys.executable, "-c", DEPLOY, str(inbox), str(model_folder), str(path)], check=True, env=server.environment
    )
    automations = server.ask("POST", "/automations/filter", {})
    assert {one["name"] for one in automations} == {
        "camvib: a run whose process died",
        "camvib: a run that never began",
    }
    first = server.run()
    worker = server.worker()
    wait_for(lambda: server.state(first) in ("PENDING", "RUNNING"))  # it may be too fast to be seen pending
    Server.kill(worker)
    second = server.run()
    worker = server.worker()
    wait_for(lambda: server.state(second) == "RUNNING")
    Server.kill(worker)
    Server.kill(machine)
    server.serve()
    third = server.run()
    server.worker()
    wait_for(lambda: server.state(third) in ("COMPLETED", "FAILED", "CRASHED"))
    assert server.state(third) == "COMPLETED", (tmp_path / "log.txt").read_text()[-4000:]
    kept = Store(path).all()
    assert len({one.recording_id for one in kept}) == len(kept) == 300
