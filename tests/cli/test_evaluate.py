"""``camvib evaluate maps`` hands folders on and refuses in two lines."""

import json
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from camvib.cli import app
from camvib.model.calibration import Calibration
from camvib.model.diagnoser import Diagnoser
from camvib.model.model import Model
from camvib.recordings.quality import InputSpec
from camvib.settings import Settings


def test_a_model_of_other_classes_is_refused_and_the_file_says_so(tmp_path: Path) -> None:
    settings = Settings.model_validate({"image": {"window_s": 4.0}, "model": {"name": "row_linear"}})
    known = Calibration(1.0, np.zeros((1, 128)), np.eye(128), 5.0)
    model = Model(
        Diagnoser(2, settings, 4096.0).eval(), ("healthy", "imbalance"), "healthy", InputSpec(4096.0, "m/s2", 4.0),
        settings, known,
    )  # fmt: skip
    folder, out = model.save(tmp_path / "model"), tmp_path / "maps.json"
    result = CliRunner().invoke(app, ["evaluate", "maps", "--model", str(folder), "--out", str(out)])
    assert result.exit_code == 2
    assert "the simulator has healthy, crack" in json.loads(out.read_text())["error"]


def test_the_second_and_third_model_must_be_there_too(tmp_path: Path) -> None:
    for option in ("--plain", "--no-twins"):
        result = CliRunner().invoke(app, ["evaluate", "maps", "--model", "gone", option, str(tmp_path)])
        assert result.exit_code == 2
        assert "no model.json" in result.output
