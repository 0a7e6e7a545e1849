"""A ledger with a few machines of the invented plant."""

from pathlib import Path

import pytest
from invented_plant import fill

from camvib.monitoring.ledger import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return fill(Store(tmp_path / "s.db"))
