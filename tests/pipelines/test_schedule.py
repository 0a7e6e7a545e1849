import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from camvib.errors import ModelError, SettingsError
from camvib.jobs import train_tracked
from camvib.settings import Settings


@pytest.mark.slow
def test_two_scheduled_runs_come_and_the_second_finds_nothing_new(plant: Path) -> None:
    train_tracked(plant / "fleet", plant / "run", Settings.load(plant / "settings.toml"), progress=False)
    report = plant / "report.html"
    command = ["schedule", "--inbox", str(plant / "inbox"), "--every", "5", "--report", str(report)]
    command += ["--model", str(plant / "run")]  # two epochs learn nothing that is released as champion
    process = subprocess.Popen(
        [sys.executable, "-m", "camvib.cli", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PREFECT_RUNNER_POLL_FREQUENCY": "2"},
        start_new_session=True,
        # Whoever runs the tests in the background has Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    # The whole group: a flow run that outlived its parent would hold the pipe open for ever.
    watchdog = threading.Timer(240, os.killpg, (process.pid, signal.SIGKILL))
    watchdog.start()
    assert process.stdout is not None
    lines, found = [], []
    for line in process.stdout:
        lines.append(line)
        ended = re.findall(r"(\d+) recordings, (\d+) new", line)
        found += ended
        if ended and len(found) == 2:
            process.send_signal(signal.SIGINT)
    watchdog.cancel()
    text = "".join(lines)
    assert found[:2] == [("6", "6"), ("6", "0")], text
    assert process.wait() == 0, text
    assert report.is_file()
    port = re.search(r"http://127\.0\.0\.1:(\d+)", text)
    assert port is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port[1])), timeout=5)


def test_a_schedule_that_cannot_work_is_refused_before_anything_starts(plant: Path) -> None:
    from camvib.pipelines.schedule import schedule

    with pytest.raises(SettingsError, match="no such folder"):
        schedule("0 * * * *", plant / "absent")
    with pytest.raises(SettingsError, match="five fields"):
        schedule("every now and then", plant / "inbox")
    with pytest.raises(ModelError, match="camvib train"):
        schedule("0 * * * *", plant / "inbox", "models:/absent@champion")
