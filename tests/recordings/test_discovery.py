"""What lies in a folder is listed or passed over with a reason; nothing vanishes."""

from pathlib import Path

import numpy as np
import pytest

from camvib.errors import LabelsError
from camvib.recordings.discovery import discover, expand
from camvib.recordings.folder import LabelledSet
from camvib.recordings.labels import read_rows


def recording(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, acc_g=np.arange(9.0) % 4, fs=100)


def labelled(folder: Path, table: str, *files: str) -> Path:
    for file in files:
        recording(folder / file)
    (folder / "labels.csv").write_text(table)
    return folder


TWO = "file,label,group\na.npz,x,A\nb.npz,y,B\n"


def test_files_that_no_row_lists_are_diagnosed_and_named_in_training(tmp_path: Path) -> None:
    labelled(tmp_path, "file,label,group,asset\na.npz,x,A,pump\nb.npz,y,B,\n", "a.npz", "b.npz", "c.npz", "deep/d.npz")
    found = discover([tmp_path])
    assert [entry.file.name for entry in found.entries] == ["a.npz", "b.npz", "c.npz", "d.npz"]
    assert found.entries[0].asset == "pump"
    assert any("2 files" in warning and "c.npz" in warning for warning in LabelledSet.load(tmp_path).warnings)
    only = discover([tmp_path], only_listed=True)
    assert [entry.file.name for entry in only.entries] == ["a.npz", "b.npz"]
    assert [one.path.name for one in only.passed_over] == ["c.npz", "d.npz"]


def test_litter_is_passed_over_with_a_reason(tmp_path: Path) -> None:
    recording(tmp_path / "a.npz")
    for name in ("Thumbs.db", "~$labels.xlsx", ".DS_Store", "README.md"):
        (tmp_path / name).write_bytes(b"x")
    found = discover([tmp_path])
    assert [entry.file.name for entry in found.entries] == ["a.npz"]
    assert {one.path.name for one in found.passed_over} == {"Thumbs.db", "~$labels.xlsx", ".DS_Store", "README.md"}


def test_links_that_lead_out_or_back_up_are_not_followed(tmp_path: Path) -> None:
    recording(tmp_path / "secret.npz")
    inbox = tmp_path / "inbox"
    recording(inbox / "a.npz")
    (inbox / "out.npz").symlink_to(tmp_path / "secret.npz")
    (inbox / "round").symlink_to(inbox)
    (inbox / "up").symlink_to(tmp_path)
    (inbox / "same.npz").symlink_to(inbox / "a.npz")
    found = discover([inbox])
    assert [entry.file.name for entry in found.entries] == ["a.npz", "same.npz"]
    assert {one.path.name for one in found.passed_over} == {"out.npz", "round", "up"}
    (inbox / "labels.csv").write_text("file,label,group\na.npz,x,A\nout.npz,y,B\n")
    with pytest.raises(LabelsError, match=r"out\.npz.*leads out"):
        LabelledSet.load(inbox)
    assert [entry.file.name for entry in expand([inbox])] == ["a.npz", "same.npz"]


@pytest.mark.parametrize(
    "spelling", ["SUB/A.NPZ", "sub/a", "Sub/A.npz", "{folder}/sub/a.npz", "{name}/sub/a.npz", "sub\\a.npz"]
)
def test_other_spellings_of_a_path_find_the_file(tmp_path: Path, spelling: str) -> None:
    file = spelling.format(folder=tmp_path.absolute().as_posix(), name=tmp_path.name)
    labelled(tmp_path, f"file,label,group\n{file},x,A\nb.npz,y,B\n", "sub/a.npz", "b.npz")
    loaded = LabelledSet.load(tmp_path)
    assert [entry.file for entry in loaded.entries] == [tmp_path / "sub" / "a.npz", tmp_path / "b.npz"]


def test_two_files_that_a_path_may_mean_are_not_guessed_between(tmp_path: Path) -> None:
    labelled(tmp_path, "file,label,group\na,x,A\nb.npz,y,B\n", "a.npz", "b.npz")
    (tmp_path / "a.csv").write_text("1\n2\n")
    with pytest.raises(LabelsError, match="1 files are missing"):
        LabelledSet.load(tmp_path)


@pytest.mark.parametrize(
    ("written", "separator", "hz"),
    [
        ('"25,600"', ",", 25600), ("25600", ",", 25600), ("25 600", ",", 25600), ("25.6 kHz", ",", 25600),
        ("25600,0", ";", 25600), ("25.600", ";", 25600), ("2.56e4", ",", 25600), ("532.489", ",", 532.489),
        ('"51,2"', ",", 51.2), ("10 kS/s", ",", 10000),
    ],
)  # fmt: skip
def test_rates_as_people_write_them(tmp_path: Path, written: str, separator: str, hz: float) -> None:
    head = separator.join(("file", "label", "group", "sampling_rate_hz"))
    (tmp_path / "labels.csv").write_text(f"{head}\n" + separator.join(("a.npz", "x", "A", written)) + "\n")
    assert read_rows(tmp_path / "labels.csv")[0].sampling_rate_hz == pytest.approx(hz)


@pytest.mark.parametrize(("written", "separator"), [("25,600", ";"), ("25.600", ",")])
def test_a_rate_with_two_meanings_is_asked_for(tmp_path: Path, written: str, separator: str) -> None:
    head = separator.join(("file", "label", "group", "sampling_rate_hz"))
    (tmp_path / "labels.csv").write_text(f"{head}\n" + separator.join(("a.npz", "x", "A", written)) + "\n")
    with pytest.raises(LabelsError, match=r"25\.6 or 25600"):
        read_rows(tmp_path / "labels.csv")
