"""One fleet, one home and one Prefect test server for all flow tests: starting them is what takes the time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

SETTINGS = """
[image]
rows = 32
columns = 32
[model]
name = "gap_cnn"
channels = [4, 8]
[training]
epochs = 2
"""


@pytest.fixture(scope="session")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder with a fleet to train on, an inbox, settings.toml and camvib's home."""
    from camvib.simulation.fleet import write_fleet

    base = tmp_path_factory.mktemp("plant")
    small = {"duration_s": 0.5, "sampling_rate_hz": 2048.0, "twins": False, "progress": False}
    write_fleet(base / "fleet", 48, 0, recordings_per_specimen=4, **small)
    write_fleet(base / "inbox", 6, 1, recordings_per_specimen=3, **small)
    (base / "settings.toml").write_text(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMVIB_HOME", str(base / "home"))
        patch.setenv("OMP_NUM_THREADS", "1")
        for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_HOME"):
            patch.delenv(name, raising=False)
        yield base


@pytest.fixture(scope="session")
def prefect_api(plant: Path) -> Iterator[None]:
    import camvib.pipelines._prefect  # noqa: F401  sets the environment that Prefect reads at import
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield
