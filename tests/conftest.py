"""Fixtures and settings that every test may use."""

import os
from pathlib import Path

# Small arrays: threads would only wait for each other, worst where the machine is shared.
os.environ.setdefault("OMP_NUM_THREADS", "1")

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
