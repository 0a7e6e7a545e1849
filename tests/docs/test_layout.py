import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import camvib

ROOT = Path(camvib.__file__).resolve().parents[1]
FLOWS = ["train", "diagnose", "demo", "schedule"]

pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="camvib is not run from a checkout")


def test_no_folder_of_ours_shadows_a_package() -> None:
    assert list((ROOT / "mlflow").rglob("*.py")) == []
    for folder in ("mlflow", "data", "pipelines", "tests"):
        assert list((ROOT / folder).rglob("__init__.py")) == []


def test_mlflow_is_the_package_even_from_the_repository_root() -> None:
    command = [sys.executable, "-c", "import mlflow; print(mlflow.__file__)"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    assert not Path(found).is_relative_to(ROOT / "mlflow")
    assert Path(found).name == "__init__.py"


def test_the_wheel_carries_the_flows_inside_camvib_and_nothing_at_the_top(tmp_path: Path) -> None:
    source = tmp_path / "source"
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    tracked = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    # A copy, so that the build leaves nothing behind in the checkout.
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*pip, str(tmp_path), str(source)], check=True, capture_output=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    assert {name.split("/")[0] for name in names} == {"camvib", f"camvib-{camvib.__version__}.dist-info"}
    assert {f"camvib/pipelines/{flow}.py" for flow in FLOWS} <= set(names)
    assert "camvib/registry/pyfunc.py" in names
    assert any(name.startswith("camvib/data/") and name.endswith(".toml") for name in names)
