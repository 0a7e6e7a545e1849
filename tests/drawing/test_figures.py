import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from camvib.drawing.figures import change_png, evidence_scale, map_png, spectrogram_png
from camvib.drawing.png import GAIN_RGB, LOSS_RGB, level_palette, on_grid
from camvib.drawing.ticks import Axis
from camvib.records import ActivationMap, ChangeMap, Diagnosis, Evidence, Region, Spectrogram

HZ = np.geomspace(5, 800, 16)
SECONDS = np.linspace(0.1, 2.9, 24)


def evidence(label: str = "crack", reference: str = "healthy", strength: float = 8.0, unit: str = "m/s2") -> Evidence:
    rng = np.random.default_rng(0)
    values = np.zeros((16, 24))
    values[5:8, 4:9] = strength
    x = rng.standard_normal(200)
    return Evidence(
        Spectrogram(rng.normal(-40, 8, (16, 24)), HZ, SECONDS, unit),
        ActivationMap(values, HZ, SECONDS, label, reference, bias=0.5),
        x - 1,
        x + 1,
        np.linspace(0, 850, 257),
        rng.normal(-50, 5, 257),
    )


CRACK = Diagnosis(
    recording_id="ab12", recording="inbox/a.wav", channel="tip", asset="beam 1", verdict="fault", label="crack",
    probabilities={"crack": 0.9, "healthy": 0.08, "loose_clamp": 0.02}, reference="healthy", duration_s=3.0,
    regions=(Region(0.4, 1.2, 58, 66, 0.34, 1, "2nd bending mode, 62 Hz"),), sampling_rate_hz=25600.0, unit="m/s2",
)  # fmt: skip


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(int)


# --- axes


@given(
    low=st.floats(0, 1e4),
    width=st.floats(0.01, 1e5),
    n=st.integers(2, 300),
    warp=st.sampled_from(["linear", "log", "mel"]),
)
def test_ticks_are_inside_in_order_and_where_their_number_says(low, width, n, warp):
    bend, back = {
        "linear": (lambda v: v, lambda v: v),
        "log": (lambda v: np.log(v + 1e-2), lambda v: np.exp(v) - 1e-2),
        "mel": (lambda v: np.log1p(v / 700), lambda v: 700 * np.expm1(v)),
    }[warp]
    centres = np.asarray(back(np.linspace(bend(low), bend(low + width), n)))
    axis = Axis.of_cells(centres)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= 14
    at = [t.at for t in ticks]
    assert at == sorted(set(at))
    assert at[0] >= 0
    assert at[-1] <= 100
    for tick in ticks:
        value = float(tick.text.replace("−", "-"))
        assert axis.position(value) == pytest.approx(tick.at / 100, abs=1e-2)


def test_cell_centres_lie_in_the_middle_of_their_cells():
    assert Axis.of_cells(HZ).position(HZ)[1:-1] == pytest.approx((np.arange(16) + 0.5)[1:-1] / 16, abs=0.02)


# --- pictures


def test_lightness_of_levels_rises_so_that_grey_reads_the_same():
    lightness = level_palette() @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(lightness) > -0.8)  # rounding to whole colours
    assert np.all(np.diff(lightness[::8]) > 0)


def test_scale_is_the_reports_and_never_stretches_a_faint_map():
    faint, strong = np.full((4, 4), 0.01), np.full((4, 4), 37.0)
    assert evidence_scale([faint]) == 2.0
    assert evidence_scale([]) == 2.0
    assert evidence_scale([faint, strong]) == 40.0


def test_one_map_that_is_all_peak_does_not_wash_out_the_others():
    spread, peak = np.full((4, 4), 30.0), np.full((4, 4), 250.0)
    assert evidence_scale([spread, spread, peak]) == 30.0


# Machado, Oliveira, Fernandes, IEEE TVCG 15 (2009), table of severity 1.0, on linear RGB.
COLOUR_BLINDNESS = {
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("kind", COLOUR_BLINDNESS)
def test_gain_and_loss_are_far_apart_for_all_eyes(kind):
    """Distance in CIELAB, where 2.3 is just noticeable and black and white are 100 apart."""
    gain, loss = np.array([GAIN_RGB, LOSS_RGB]) / 255
    seen = [np.clip(np.asarray(COLOUR_BLINDNESS[kind]) @ _linear(c), 0, 1) for c in (gain, loss)]
    assert np.linalg.norm(_lab(seen[0]) - _lab(seen[1])) > 50


def _linear(rgb: np.ndarray) -> np.ndarray:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _lab(linear: np.ndarray) -> np.ndarray:
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.asarray(to_xyz) @ linear / [0.9505, 1.0, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_a_knock_of_one_column_survives_a_coarser_picture():
    fine = np.zeros((16, 240))
    fine[:, 101] = -1.0
    spectrogram = evidence().spectrogram
    drawn = on_grid(ChangeMap(fine, HZ, np.linspace(0.1, 2.9, 240)), spectrogram)
    assert drawn.min() < -0.7
    assert abs(spectrogram.time_s[int(drawn[0].argmin())] - (0.1 + 2.8 * 101 / 239)) < 0.13


def test_coarse_map_is_placed_by_its_own_axes():
    spectrogram = evidence().spectrogram
    coarse = ActivationMap(np.array([[0.0, 0.0], [0.0, 4.0]]), HZ[[3, 12]], SECONDS[[4, 19]], "crack")
    fine = on_grid(coarse, spectrogram)
    assert fine[12, 19] == 4.0
    assert fine[3, 4] == 0.0
    assert fine[15, 23] == 4.0
    same = evidence().contrast
    assert np.array_equal(on_grid(same, spectrogram), same.values)


def test_picture_files_are_written_with_their_axes(tmp_path):
    e = evidence()
    for path in (
        spectrogram_png(e.spectrogram, tmp_path / "new" / "s.png", "beam 1"),
        map_png(e.spectrogram, e.contrast, CRACK.regions, tmp_path / "m.png", "crack"),
        change_png(e.spectrogram, change_map(), tmp_path / "c.png", "crack"),
    ):
        image = Image.open(path)
        assert image.format == "PNG"
        assert min(image.size) > 300


# --- what changed


def change_map(*patches: tuple[slice, slice, float]) -> ChangeMap:
    values = np.zeros((16, 24))
    for rows, columns, value in patches:
        values[rows, columns] = value
    return ChangeMap(values, HZ, SECONDS)
