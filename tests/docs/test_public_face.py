"""``import camvib`` gives the verbs and costs nothing; the README's lines of Python run."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import camvib

ROOT = Path(camvib.__file__).resolve().parents[1]
HEAVY = {"torch", "numpy", "pandas", "scipy", "sklearn", "prefect", "mlflow", "sqlalchemy", "matplotlib", "pydantic"}
VERBS = ("read", "spectrogram", "train", "learn_baselines", "load_model", "diagnose", "write_report")


def test_import_loads_nothing_heavy() -> None:
    code = "import sys, camvib; dir(camvib); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "camvib" in loaded
    assert not HEAVY & set(loaded)
    assert not [name for name in loaded if name.startswith("camvib.")]


def test_every_public_name_is_there_and_documented() -> None:
    assert set(VERBS) <= set(camvib.__all__) <= set(dir(camvib))
    for name in camvib.__all__:
        public = getattr(camvib, name)
        assert callable(public)
        assert public.__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'diagnoze'"):
        _ = camvib.diagnoze  # type: ignore[attr-defined]


def test_the_table_and_the_names_for_type_checkers_agree() -> None:
    """Without this a verb could be found at run time and not by an editor, or the other way round."""
    text = (ROOT / "camvib" / "__init__.py").read_text()
    block = text[text.index("if TYPE_CHECKING:") : text.index("__all__")]
    imported = re.findall(r"from (\S+) import (\w+)(?: as (\w+))?", block)
    assert {shown or name: f"{module}:{name}" for module, name, shown in imported} == camvib._HOMES
    assert set(camvib._HOMES) == set(camvib.__all__)


def write(path: Path, fault: bool, seed: int, seconds: float = 1.0) -> None:
    rate, rng = 512.0, np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    samples = np.sin(2 * np.pi * 40 * t + rng.uniform(0, 6)) + 0.3 * rng.standard_normal(len(t))
    samples += fault * np.sin(2 * np.pi * 120 * t)
    np.savez(path, a=samples.astype(np.float32), sampling_rate_hz=rate, unit="m/s2")


@pytest.fixture
def two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """my-data/ with labels and inbox/ with new recordings, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAMVIB_HOME", str(tmp_path / "home"))
    rows = []
    (tmp_path / "my-data").mkdir()
    (tmp_path / "inbox").mkdir()
    for number in range(16):
        fault = bool(number % 2)
        write(tmp_path / "my-data" / f"{number}.npz", fault, number)
        rows.append({"file": f"{number}.npz", "label": ("healthy", "line")[fault], "group": f"machine {number // 4}"})
    pd.DataFrame(rows).to_csv(tmp_path / "my-data" / "labels.csv", index=False)
    write(tmp_path / "inbox" / "new.npz", True, 99)
    return tmp_path


def python_of(page: Path, heading: str) -> str:
    text = page.read_text()
    return text[text.index(heading) :].split("```python\n", 1)[1].split("```", 1)[0]


def test_the_readmes_lines_lead_from_a_file_to_a_verdict_with_a_map(
    two_folders: Path,
) -> None:
    code = python_of(ROOT / "README.md", "## From Python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 13
    # A comparison of networks takes minutes: here one is named that is quick.
    quick = code.replace('"run")', '"run", camvib.Settings.load(Path("quick.toml")))')
    assert quick != code
    (two_folders / "quick.toml").write_text('[model]\nname = "row_linear"\n[training]\nlearning_rate = 0.3\n')
    quick = "from pathlib import Path\n" + quick
    (two_folders / "lines.py").write_text(quick)
    done = subprocess.run([sys.executable, "lines.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout
    assert "fault" in said
    assert "line" in said
    assert (two_folders / "report.html").stat().st_size > 10_000
