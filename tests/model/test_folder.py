"""A model folder is whole, unchanged and of a schema that this camvib reads, or it is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from camvib.errors import ModelError
from camvib.model.calibration import Calibration
from camvib.model.diagnoser import Diagnoser
from camvib.model.folder import _sha256, load_model
from camvib.model.model import Model
from camvib.recordings.quality import InputSpec
from camvib.settings import Settings

SETTINGS = Settings.model_validate(
    {"image": {"window_s": 0.5, "rows": 16, "columns": 16}, "model": {"name": "gap_cnn", "channels": (4, 8)}}
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    known = Calibration(1.2, np.zeros((2, 8), np.float32), np.eye(8, dtype=np.float32), 5.0)
    spec = InputSpec(1000.0, "m/s2", 0.5, "a")
    model = Model(Diagnoser(2, SETTINGS, 1000.0).eval(), ("healthy", "crack"), "healthy", spec, SETTINGS, known)
    return model.save(tmp_path / "model")


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Change model.json and give it the hash of what it then says: as another camvib would have written it."""
    described = json.loads((folder / "model.json").read_text())
    del described["sha256"]
    change(described)
    with np.load(folder / "weights.npz") as stored:
        described["sha256"] = _sha256(described, dict(stored))
    (folder / "model.json").write_text(json.dumps(described))
    return described


def test_a_model_from_before_a_setting_existed_keeps_its_name(folder: Path) -> None:
    before = load_model(folder).sha256
    described = rewrite(folder, lambda d: d["members"][0]["settings"]["diagnosis"].pop("max_regions"))
    again = load_model(folder)
    assert again.sha256 == described["sha256"] != before
    assert again.settings.diagnosis.max_regions == 5


def test_a_later_schema_is_refused_with_what_to_do(folder: Path) -> None:
    rewrite(folder, lambda d: d.update(schema=3))
    with pytest.raises(ModelError, match="schema 3, this camvib reads 1 and 2") as caught:
        load_model(folder)
    assert "Install the camvib that wrote it" in caught.value.remedy


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["members"][0]["settings"]["model"].update(name="resnet"),
        lambda d: d["members"][0]["settings"]["image"].update(kind="cepstrum"),
        lambda d: d["members"][0]["settings"]["model"].update(channels=[8, 8]),
        lambda d: d["members"].append(d["members"][0]),
        lambda d: d["calibration"].update(temperature=float("nan")),
        lambda d: d.pop("classes"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused_by_name(
    folder: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    rewrite(folder, change)
    with pytest.raises(ModelError, match="model"):
        load_model(folder)
