"""Readers are tested in this process; that they run in a worker with limits is tested in test_worker.py."""

from collections.abc import Iterator

import pytest

from camvib.readers import in_this_process


@pytest.fixture(autouse=True)
def trusted(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("apart"):
        yield
        return
    with in_this_process():
        yield
