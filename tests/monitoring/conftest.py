"""Stores of both kinds."""

from pathlib import Path

import pytest

from camvib.monitoring.ledger import Store


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A fresh store of each kind."""
    if request.param == "sqlite":
        return Store(tmp_path / "store.db")
    return Store(request.getfixturevalue("fresh_database"), tmp_path / "evidence")
