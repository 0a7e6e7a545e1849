"""Processes of their own that diagnose: forked, so that a kill costs no start of an interpreter."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from camvib.model.folder import load_model
from camvib.monitoring.batch import Options, diagnose
from camvib.monitoring.ledger import Store


class Child(NamedTuple):
    """A forked process that diagnoses, and the file that it writes its number of new verdicts to."""

    pid: int
    told: Path

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.pid, how)

    def is_through(self) -> bool:
        return self.told.exists()

    def wait(self) -> int:
        """Number of new verdicts; −1 where it ended before it was through."""
        os.waitpid(self.pid, 0)
        return int(self.told.read_text()) if self.told.exists() else -1


@pytest.fixture
def start(model_folder: Path, tmp_path: Path) -> Callable[[Path, str], Child]:
    """Start a process that diagnoses an inbox into a store."""
    model = load_model(model_folder)
    count = iter(range(1000))

    def run(inbox: Path, url: str) -> Child:
        told = tmp_path / f"new-{next(count)}.txt"
        pid = os.fork()
        if pid:
            return Child(pid, told)
        try:
            for how in (signal.SIGTERM, signal.SIGINT):  # who runs the tests in the background has Ctrl-C ignored
                signal.signal(how, signal.default_int_handler)
            found = diagnose([inbox], model, Store(url, tmp_path / "evidence"), Options(workers=0), progress=False)
            draft = told.with_suffix(".tmp")
            draft.write_text(str(found.new))
            draft.replace(told)
        finally:
            sys.stderr.flush()
            os._exit(0)

    return run
