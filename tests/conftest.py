"""Fixtures and settings that every test may use."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

# Small arrays: threads would only wait for each other, worst where the machine is shared.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings

import camvib

# How long an example takes says nothing on a shared machine; timings belong in benchmarks.
settings.register_profile("camvib", deadline=None)
settings.load_profile("camvib")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real recordings beside the checkout; the test skips where there is none."""
    folder = Path(camvib.__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real recordings are not here: {folder}")
    return folder


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found and (path := shutil.which("initdb")):
        found = [Path(path)]
    if not found:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    return found[-1].parent


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a server's database; PostgreSQL does not run as root, so it runs as another user then."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="camvib-pg-"))
    other = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
    if other:
        shutil.chown(folder, **other)

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **other)

    run(str(programs / "initdb"), "-D", str(folder / "data"), "-U", "camvib", "-A", "trust", "-E", "UTF8", "--no-sync")
    control = [str(programs / "pg_ctl"), "-D", str(folder / "data"), "-w"]
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    run(*control, "-l", str(folder / "log"), "-o", options, "start")
    yield f"postgresql://camvib@/postgres?host={folder}"
    run(*control, "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fresh_database(postgresql: str) -> str:
    """URL of an empty database on the server."""
    import psycopg

    name = f"t{os.urandom(6).hex()}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return postgresql.replace("/postgres?", f"/{name}?")


RATE, SECONDS = 512.0, 1.0


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights: what it says is of no account here, that it says it once is."""
    import torch

    from camvib.model.calibration import Calibration
    from camvib.model.diagnoser import Diagnoser
    from camvib.model.model import Model
    from camvib.recordings.quality import InputSpec
    from camvib.settings import Settings

    settings = Settings.model_validate(
        {
            "image": {"window_s": SECONDS, "rows": 16, "columns": 16},
            "model": {"name": "gap_cnn", "channels": (4, 4)},
        }
    )
    torch.manual_seed(0)
    known = Calibration(1.0, np.zeros((1, 4), np.float32), np.eye(4, dtype=np.float32), 1e9)
    spec = InputSpec(RATE, "m/s2", SECONDS)
    model = Model(Diagnoser(2, settings, RATE).eval(), ("healthy", "crack"), "healthy", spec, settings, known)
    return model.save(tmp_path_factory.mktemp("model"))


def recording(path: Path, seed: int, seconds: float = SECONDS) -> Path:
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = (np.sin(2 * np.pi * 40 * t) + 0.3 * rng.standard_normal(len(t))).astype(np.float32)
    np.savez(path, a=samples, sampling_rate_hz=RATE, unit="m/s2")
    return path


@pytest.fixture
def fill() -> Callable[[Path, int], Path]:
    """Write so many recordings to a folder."""

    def write(folder: Path, count: int) -> Path:
        for number in range(count):
            recording(folder / f"r{number:04d}.npz", number)
        return folder

    return write
