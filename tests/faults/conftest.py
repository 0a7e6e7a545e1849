"""The command line as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def start(model_folder: Path, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start ``camvib diagnose`` on an inbox and a store."""

    def run(inbox: Path, store: str | Path, *options: str) -> subprocess.Popen[str]:
        command = ["diagnose", str(inbox), "--model", str(model_folder), "--store", str(store), "-q", "--workers", "1"]
        return subprocess.Popen(
            [sys.executable, "-m", "camvib.cli", *command, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "CAMVIB_HOME": str(tmp_path / "home"), "CAMVIB_EVIDENCE": str(tmp_path / "evidence")},
        )

    return run
