"""Exit codes that a scheduler can act on, and the commands on store and cases."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from camvib.cli import app
from camvib.monitoring.ledger import Store

Fill = Callable[[Path, int], Path]


@pytest.fixture
def run(model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("CAMVIB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def diagnose(*arguments: object) -> Result:
        command = ["diagnose", *map(str, arguments), "--model", str(model_folder), "-q", "--workers", "0"]
        return CliRunner().invoke(app, command)

    return diagnose


def test_exit_codes_say_what_a_scheduler_must_know(run: Callable[..., Result], fill: Fill, tmp_path: Path) -> None:
    inbox = fill(tmp_path / "inbox", 3)
    assert run(inbox).exit_code == 0
    assert run(inbox).exit_code == 0
    missing = run(inbox, tmp_path / "absent")
    assert missing.exit_code == 2
    assert "absent" in missing.output
    (inbox / "bad.csv").write_text("no recording")
    assert run(inbox).exit_code == 3  # all that is new was refused
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bad.csv").write_text("neither")
    (tmp_path / "bad" / "good.npz").write_bytes((inbox / "r0000.npz").read_bytes()[:-1] + b"\0")
    strict = run(tmp_path / "bad", "--fail-above", "0.1")
    assert strict.exit_code == 3
    assert "refused" in strict.output


def test_a_database_url_is_one_everywhere_and_no_folder_is_made(
    run: Callable[..., Result], fill: Fill, tmp_path: Path, fresh_database: str
) -> None:
    said = run(fill(tmp_path / "inbox", 2), "--store", fresh_database)
    assert said.exit_code == 0, said.output
    assert not list(tmp_path.glob("postgres*"))
    assert len(Store(fresh_database, tmp_path / "home" / "evidence").all()) == 2
    said = CliRunner().invoke(app, ["case", "list", "--store", fresh_database])
    assert said.exit_code == 0
    pruned = CliRunner().invoke(app, ["store", "prune", "--keep-evidence", "0d", "--store", fresh_database])
    assert "2 evidence files removed" in pruned.output


def test_a_span_that_is_none_is_refused(run: Callable[..., Result]) -> None:
    said = CliRunner().invoke(app, ["store", "prune", "--keep-evidence", "soon"])
    assert said.exit_code == 2
    assert "90d" in said.output
