"""A PostgreSQL server of its own for the tests, on a socket in a temporary folder; and stores of both kinds."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from camvib.monitoring.ledger import Store


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


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A fresh store of each kind."""
    if request.param == "sqlite":
        return Store(tmp_path / "store.db")
    return Store(request.getfixturevalue("fresh_database"), tmp_path / "evidence")
