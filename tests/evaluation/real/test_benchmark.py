"""Evaluation of measured recordings: leaks are refused, unknown folders work, changes and lines are named rightly."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from camvib.errors import LabelsError, SplitError
from camvib.evaluation.real import events
from camvib.evaluation.real.benchmark import evaluate_real
from camvib.evaluation.real.protocols import plan_folds
from camvib.evaluation.real.sets import open_set
from camvib.learning.trivial import window_features
from camvib.recordings.shaft_speed import relative_speeds, shaft_speed_hz
from camvib.records import Recording

RATE = 512.0
QUICK = "row_linear"


def write_set(folder: Path, *, rates: tuple[float, ...] = (RATE,), columns: dict[str, Any] | None = None) -> Path:
    """Tones in noise on four machines: ok at 40 Hz, worn with a second line at 120 Hz; no unit anywhere."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    rows = []
    for number in range(16):
        rate = rates[number % len(rates)]
        t = np.arange(round(4 * rate)) / rate
        worn = number % 2
        samples = np.sin(2 * np.pi * 40 * t) + worn * np.sin(2 * np.pi * 120 * t) + 0.3 * rng.standard_normal(len(t))
        np.savez(folder / f"r{number}.npz", vibration=samples.astype(np.float32), fs=rate)
        rows.append(
            {"file": f"r{number}.npz", "label": ("ok", "worn")[worn], "group": f"m{number // 4}", "oil": number % 3}
            | (columns or {})
        )
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder


def recording(samples: np.ndarray, rate: float) -> Recording:
    return Recording(samples.astype(np.float32), rate, "m/s2", "a", "made", "0" * 64)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = write_set(tmp_path_factory.mktemp("real") / "set", columns={"never seen": "x"})
    return evaluate_real("foundry", folder, seeds=1, network=QUICK, progress=False)


def test_a_folder_in_no_catalog_is_evaluated_by_its_groups(result: dict[str, Any]) -> None:
    assert result["split"] == "group:group"
    assert result["leaky"] is False
    assert result["accuracy"] > 0.9
    assert result["macro_f1"] > 0.9
    assert result["trivial"]["majority"] < 0.5
    assert result["network"].startswith("row_linear")
    assert result["refused"] == {}
    assert result["recordings"] == {"ok": 8, "worn": 8}
    assert any("state no unit" in note for note in result["notes"])


def test_the_map_of_the_fault_lies_on_its_line(result: dict[str, Any]) -> None:
    worn = [region for region in result["regions"] if region["label"] == "worn"]
    assert all(110 < max(worn, key=lambda r: r["share"] * (r["fold"] == fold))["peak_hz"] < 130 for fold in (0,))


def test_different_rates_are_brought_to_the_lowest_and_said(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", rates=(RATE, 2 * RATE))
    found = evaluate_real("two-rates", folder, split="group:group", seeds=1, network=QUICK, progress=False)
    assert any("512 Hz (8), 1024 Hz (8): all resampled to 512 Hz" in note for note in found["notes"])


def test_windows_at_random_are_refused_and_stamped_if_told(tmp_path: Path) -> None:
    real = open_set("any", write_set(tmp_path / "set"), None, None, None)
    with pytest.raises(SplitError, match="windows of one recording on both sides"):
        plan_folds(real, "windows", False)
    assert plan_folds(real, "windows", True).leaky
    assert plan_folds(real, None, True).by_window


def test_a_column_that_cuts_through_groups_is_refused(tmp_path: Path) -> None:
    real = open_set("any", write_set(tmp_path / "set"), None, None, None)
    with pytest.raises(SplitError, match="groups or files on both sides"):
        plan_folds(real, "group:oil", False)
    assert plan_folds(real, "group:oil", True).leaky
    with pytest.raises(LabelsError, match="no column 'grease'"):
        plan_folds(real, "group:grease", False)
    with pytest.raises(SplitError, match="no split 'by-mood'"):
        plan_folds(real, "by-mood", False)


def test_a_copy_under_another_name_in_another_group_is_found(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set")
    (folder / "r15.npz").write_bytes((folder / "r1.npz").read_bytes())
    with pytest.raises(SplitError, match="1 recordings stand on both sides under two names"):
        evaluate_real("copies", folder, seeds=1, progress=False)


def test_the_loads_of_cwru_leak_and_its_sizes_do_not(shared_data: Path) -> None:
    real = open_set("cwru", shared_data / "cwru", None, None, None)
    with pytest.raises(SplitError, match="groups or files on both sides"):
        plan_folds(real, "loads", False)
    with pytest.raises(SplitError):
        plan_folds(real, "group:load_hp", False)
    honest = plan_folds(real, None, False)
    assert honest.name == "leave-one-size-out"
    assert [len(test) for _, test in honest.folds] == [9, 9, 9]


def test_the_pumps_split_by_windows_is_refused(shared_data: Path) -> None:
    real = open_set("pump_motor_kafeel", shared_data / "pump_motor_kafeel", None, None, None)
    with pytest.raises(SplitError):
        plan_folds(real, "windows", False)
    assert not plan_folds(real, None, False).leaky


def test_the_150_hz_tone_is_reported_lost_when_it_vanished(shared_data: Path) -> None:
    found = evaluate_real("cantilever_shaker_ds4", shared_data / "cantilever_shaker_ds4", progress=False)
    by_test = {name: [r for r in found["regions"] if r["recording"] == name] for name in ("test_1", "test_3")}
    assert by_test["test_1"] == []
    top = by_test["test_3"][0]
    assert top["name"] == "LOSS"
    assert top["sign"] == -1
    assert top["low_hz"] < 150 < top["high_hz"]
    assert top["low_hz"] >= 140
    assert top["high_hz"] <= 160
    assert top["start_s"] == pytest.approx(9.8, abs=0.3)
    assert top["end_s"] > 19


def test_a_steady_recording_has_not_changed_and_a_new_tone_is_a_gain() -> None:
    t = np.arange(10 * 1000) / 1000
    steady = np.sin(2 * np.pi * 60 * t) + 0.05 * np.random.default_rng(0).standard_normal(len(t))
    assert events.changes(recording(steady, 1000.0), (0, 4)) == ()
    top = events.changes(recording(steady + (t > 6) * np.sin(2 * np.pi * 200 * t), 1000.0), (0, 4))[0]
    assert top.sign == 1
    assert top.low_hz < 200 < top.high_hz
    assert top.start_s == pytest.approx(6.0, abs=0.2)


def test_features_but_rms_do_not_know_the_gain() -> None:
    windows = np.random.default_rng(0).standard_normal((3, 4096))
    one, ten = (window_features(gain * windows, 2000.0, {"low": (50.0, 200.0)}) for gain in (1.0, 10.0))
    assert ten["rms"] - one["rms"] == pytest.approx(20.0)
    for name in ("random_forest", "logistic_regression", "logistic_regression_low"):
        np.testing.assert_allclose(one[name], ten[name], atol=1e-6)


def test_shaft_speed_travels_into_the_folders_that_are_trained_on(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", rates=(5000.0,), columns={"shaft_rpm": 1500})
    found = evaluate_real("any", folder, seeds=1, network=QUICK, progress=False)
    images = {row["image"] for choice in found["choices"] for row in choice["compared"]}
    assert "envelope at shaft speed, mean of bands" in images
    assert "spectrogram, long frames" in images


def test_shaft_speeds_are_relative_to_their_mean(shared_data: Path) -> None:
    real = open_set("cwru", shared_data / "cwru", None, None, None)
    used = plan_folds(real, None, False).used
    mean_hz = shaft_speed_hz(real.rows, used, "rpm_nominal")
    assert mean_hz == pytest.approx(1773 / 60, rel=1e-3)
    by_rpm = dict(zip(real.column("rpm_nominal"), relative_speeds(real.rows, mean_hz, "rpm_nominal")[0], strict=True))
    assert by_rpm["1797"] == pytest.approx(1797 / 1773, rel=1e-3)
    assert by_rpm["1750"] == pytest.approx(1750 / 1773, rel=1e-3)


def rewrite(folder: Path, change: Any) -> Path:
    table = pd.read_csv(folder / "labels.csv")
    change(table).to_csv(folder / "labels.csv", index=False)
    return folder


def test_what_is_missing_or_too_short_is_said(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set")
    with np.load(folder / "r1.npz") as whole:
        np.savez(folder / "r1.npz", vibration=whole["vibration"][:100], fs=RATE)
    np.savez(folder / "r3.npz", vibration=np.full(2000, np.nan, np.float32), fs=RATE)
    rewrite(folder, lambda table: table.assign(label=["odd", *table.label[1:]]))
    found = evaluate_real("any", folder, seeds=1, network=QUICK, progress=False)
    notes = "\n".join(found["notes"])
    assert "left out: " in notes
    assert "r3.npz" in notes
    assert "1 of 1 recordings 'odd' are never tested: no other group of that label to learn from" in notes
    assert sum(found["refused"].values()) <= 1  # the short one, where it is tested


@pytest.mark.parametrize(
    ("change", "split", "error", "message"),
    [
        (lambda t: t.drop(columns="group"), None, LabelsError, "no column group.*--split group:COLUMN"),
        (lambda t: t.iloc[:2].assign(group=["a", "b"]), None, SplitError, "each label stands there once"),
        (lambda t: t.iloc[:2].assign(group=["a", "b"]), "recordings", SplitError, "each label stands there once"),
        (lambda t: t, "recordings", SplitError, "Leave --split out for folds over the column group"),
    ],
)
def test_what_cannot_be_split_is_refused_with_a_remedy(
    tmp_path: Path, change: Any, split: str | None, error: type[Exception], message: str
) -> None:
    folder = rewrite(write_set(tmp_path / "set"), change)
    with pytest.raises(error, match=f"(?s){message}"):
        evaluate_real("any", folder, split=split, seeds=1, progress=False)
