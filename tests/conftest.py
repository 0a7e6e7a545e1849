"""Fixtures that every test may use."""

from pathlib import Path

import pytest

import camvib


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real recordings beside the checkout; the test skips where there is none."""
    folder = Path(camvib.__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real recordings are not here: {folder}")
    return folder
