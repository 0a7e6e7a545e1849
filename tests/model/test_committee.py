"""Diagnosers that vote as one: the map still adds up, in memory, in the folder and in an ONNX file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from camvib.errors import ModelError
from camvib.model.calibration import Calibration
from camvib.model.committee import Committee, rebinned
from camvib.model.diagnoser import Diagnoser
from camvib.model.folder import load_model
from camvib.model.model import Model
from camvib.model.onnx import export_onnx
from camvib.recordings.quality import InputSpec
from camvib.settings import ImageSettings, ModelSettings, Settings

RATE, SECONDS, ROWS, COLUMNS = 6000.0, 1.0, 64, 8
CLASSES = ("healthy", "inner", "outer")


def member(name: str, seed: int, *, rows: int = ROWS, **image: object) -> Diagnoser:
    usual = {"kind": "envelope", "window_s": SECONDS, "fft_s": 0.5, "columns": COLUMNS, "whiten": 21, "layers": "mean"}
    settings = Settings(
        image=ImageSettings.model_validate({**usual, "rows": rows, **image}),
        model=ModelSettings(name=name, channels=(4, 6, 8)),
    )
    torch.manual_seed(seed)
    made = Diagnoser(len(CLASSES), settings, RATE)
    made.fit_standardisation(10 * np.random.default_rng(seed).standard_normal((4, rows, COLUMNS)))
    with torch.no_grad():
        for parameter in made.network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made.eval()


def waves(n: int) -> np.ndarray:
    rng = np.random.default_rng(n)
    t = np.arange(round(SECONDS * RATE)) / RATE
    swing = 1 + 0.8 * np.sin(2 * np.pi * rng.uniform(60, 200, (n, 1)) * t)
    return (swing * np.sin(2 * np.pi * 1500 * t) + 0.2 * rng.standard_normal((n, len(t)))).astype(np.float32)


SPEEDS = np.array([1.0, 1.02, 0.97, 1.1], np.float32)


@pytest.fixture(scope="module")
def model() -> Model:
    members = [
        member("row_linear", 0, at_shaft_speed=True),
        member("place_cnn", 1, rows=40),  # its maps must come to the first member's rows and columns
    ]
    committee = Committee(members, [1.0, 1.5]).eval()
    known = Calibration(1.2, np.zeros((3, ROWS)), np.eye(ROWS), 5.0)
    spec = InputSpec(RATE, "g", SECONDS, "DE")
    return Model(committee, CLASSES, "healthy", spec, members[0].settings, known, shaft_hz=29.9)


def test_the_mean_of_the_map_plus_the_bias_is_the_logit(model: Model) -> None:
    said = model.predict(waves(4), speed=SPEEDS)
    bias = model.diagnoser.bias
    assert bias is not None
    assert said.maps.shape == (4, len(CLASSES), ROWS, COLUMNS)
    assert said.maps.std() > 0.1
    assert said.maps.mean(axis=(2, 3)) + bias.detach().numpy() == pytest.approx(said.logits, abs=1e-4)


def test_its_logit_is_the_mean_of_the_members_calibrated_logits(model: Model) -> None:
    said = model.predict(waves(4), speed=SPEEDS)
    assert isinstance(model.diagnoser, Committee)
    temperatures = model.diagnoser.temperatures.tolist()
    each = [
        replace(model, diagnoser=one, settings=one.settings).predict(waves(4), speed=SPEEDS).logits / temperature
        for one, temperature in zip(model.members, temperatures, strict=True)
    ]
    assert np.mean(each, axis=0) == pytest.approx(said.logits, abs=1e-4)


def test_the_image_and_the_axes_are_the_first_members(model: Model) -> None:
    first = replace(model, diagnoser=model.members[0])
    assert np.array_equal(model.predict(waves(2)).image_db, first.predict(waves(2)).image_db)
    assert np.array_equal(model.axes.frequency_hz, first.axes.frequency_hz)


@given(
    seed=st.integers(0, 2**16),
    rows=st.integers(1, 12),
    to_rows=st.integers(1, 12),
    stretch=st.floats(0.5, 2.0),
    offset=st.floats(-40, 40),
)
def test_rebinned_keeps_the_mean(seed: int, rows: int, to_rows: int, stretch: float, offset: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    steps = 0.1 + torch.rand(2, rows, generator=generator, dtype=torch.float64)
    edges = torch.cat([torch.zeros(2, 1, dtype=torch.float64), steps.cumsum(dim=1)], dim=1) * 20
    to = torch.linspace(0, 1, to_rows + 1, dtype=torch.float64).expand(2, -1) * edges[:, -1:] * stretch + offset
    maps = torch.randn(2, 3, rows, 4, generator=generator, dtype=torch.float64)
    moved = rebinned(maps, edges, to)
    assert moved.shape == (2, 3, to_rows, 4)
    assert torch.allclose(moved.mean(dim=2), maps.mean(dim=2), atol=1e-9)


def test_rebinned_leaves_evidence_at_its_hertz() -> None:
    edges = torch.linspace(0, 100, 11)[None]
    maps = torch.zeros(1, 1, 10, 1)
    maps[0, 0, 3] = 1.0  # 30 to 40 Hz
    moved = rebinned(maps, edges, torch.linspace(0, 100, 6)[None])[0, 0, :, 0]
    assert moved.tolist() == pytest.approx([0, 0.5, 0, 0, 0])  # half of what stands in 20 to 40 Hz
    assert torch.equal(rebinned(maps, edges, edges), maps)


def test_saved_and_loaded_it_says_the_same(model: Model, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "model")
    again = load_model(folder)
    assert again.digest == model.digest
    one, other = model.predict(waves(4), speed=SPEEDS), again.predict(waves(4), speed=SPEEDS)
    assert np.array_equal(one.logits, other.logits)
    assert np.array_equal(one.maps, other.maps)
    assert again.network_name == "row_linear + place_cnn"
    assert again.shaft_hz == 29.9
    described = json.loads((folder / "model.json").read_text())
    assert [entry["temperature"] for entry in described["members"]] == [1.0, 1.5]


def test_one_weight_of_one_member_changed_is_noticed(model: Model, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "model")
    with np.load(folder / "weights.npz") as stored:
        arrays = dict(stored)
    arrays["net/1/network.head.bias"] = arrays["net/1/network.head.bias"] + np.float32(1e-3)
    np.savez(folder / "weights.npz", **arrays)
    with pytest.raises(ModelError, match="changed after training"):
        load_model(folder)


def test_only_alike_members_vote(model: Model) -> None:
    first = model.members[0]
    with pytest.raises(ModelError, match="vote together"):
        Committee([first, member("gap_cnn", 0, kind="spectrogram", whiten=0)], [1.0, 1.0])
    with pytest.raises(ModelError, match="samples"):
        Committee([first, member("row_linear", 0, window_s=0.8)], [1.0, 1.0])


@pytest.mark.parametrize("n", [1, 4])
def test_an_onnx_file_of_it_says_the_same(model: Model, exported: Path, n: int) -> None:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(exported)
    expected = model.predict(waves(n), speed=SPEEDS[:n])
    names = [one.name for one in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"waveform": waves(n), "speed": SPEEDS[:n]}), strict=True))
    assert found["logits"] == pytest.approx(expected.logits, abs=1e-4)
    assert found["maps"] == pytest.approx(expected.maps, abs=1e-4 * max(1.0, float(np.abs(expected.maps).max())))
    about = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    assert (about["image"], about["shaft_hz"]) == ("envelope", 29.9)
    assert found["maps"].mean(axis=(2, 3)) + np.array(about["bias"]) == pytest.approx(found["logits"], abs=1e-3)


@pytest.fixture(scope="module")
def exported(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    return export_onnx(model, tmp_path_factory.mktemp("onnx") / "model.onnx")
