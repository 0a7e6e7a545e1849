"""Labelled folders: what labels.csv may say, and what it must not."""

import os
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from camvib.errors import CamvibError, LabelsError, ReadError
from camvib.recordings.discovery import expand
from camvib.recordings.entries import Entry
from camvib.recordings.folder import LabelledSet
from camvib.records import Declared, Recording

FS = 100.0


def make(folder: Path, table: str, files: int = 4, name: str = "labels.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(files):
        np.savez(folder / f"r{i}.npz", a_g=np.sin(np.arange(300) * (i + 1) / 9), sampling_rate_hz=FS)
    (folder / name).write_text(table)
    return folder


GOOD = "file,label,group\nr0.npz,healthy,A\nr1.npz,crack,A\nr2.npz,healthy,B\nr3.npz,crack,B\n"


def test_a_good_folder(tmp_path: Path) -> None:
    found = LabelledSet.load(make(tmp_path, GOOD))
    assert (found.labels, found.groups, len(found.entries), found.warnings) == (("crack", "healthy"), ("A", "B"), 4, ())
    loaded = list(found.recordings())
    assert [entry.label for entry, _ in loaded] == ["healthy", "crack", "healthy", "crack"]
    assert all(isinstance(recording, Recording) and recording.unit == "m/s2" for _, recording in loaded)
    assert found.entries[0].load().source.endswith("r0.npz")


def test_every_known_column_and_conditions_become_attributes(tmp_path: Path) -> None:
    table = (
        "file;label;group;fs_hz;unit;asset;start_s;end_s;recorded_at;load_hp;rpm_nominal;note\n"
        "r0.npz;healthy;A;100;mg;pump 1;0,5;1,5;2024-05-31T14:05;2;1772;was cold\n"
        "r0.npz;crack;B;;;;1.5;;;;;\n"
    )
    first, second = LabelledSet.load(make(tmp_path, table)).entries
    assert first.attributes == {"load_hp": "2", "rpm_nominal": "1772", "note": "was cold"}
    recording = first.load()
    assert (recording.asset, recording.start_s, recording.duration_s) == ("pump 1", 0.5, 1.0)
    assert recording.recorded_at == datetime(2024, 5, 31, 14, 5)
    assert recording.samples[0] == pytest.approx(np.sin(50 / 9) * 9.80665e-3)
    assert any("'mg' is declared" in warning for warning in recording.warnings)
    assert (second.sampling_rate_hz, second.unit, second.load().duration_s) == (None, None, 1.5)


def test_one_bad_file_never_stops_the_others(tmp_path: Path) -> None:
    folder = make(tmp_path, GOOD)
    (folder / "r1.npz").write_bytes(b"PK\x03\x04 damaged")
    (folder / "r2.npz").write_bytes(b"")
    outcomes = [outcome for _, outcome in LabelledSet.load(folder).recordings()]
    assert [isinstance(outcome, CamvibError) for outcome in outcomes] == [False, True, True, False]
    assert "r1.npz" in str(outcomes[1])


def test_digest_follows_content_and_rows_but_not_the_place(tmp_path: Path) -> None:
    digests = [LabelledSet.load(make(tmp_path / name, GOOD)).digest() for name in "ab"]
    assert digests[0] == digests[1]
    relabelled = GOOD.replace("r3.npz,crack", "r3.npz,loose")
    assert LabelledSet.load(make(tmp_path / "c", relabelled)).digest() != digests[0]
    np.savez(tmp_path / "a" / "r0.npz", a_g=np.arange(300.0) % 7, sampling_rate_hz=FS)
    assert LabelledSet.load(tmp_path / "a").digest() != digests[0]


@pytest.mark.parametrize(
    ("table", "says", "remedy"),
    [
        ("", "is empty", "header"),
        ("file,label,group\n", "no rows", "one row a recording"),
        ("file,group\nr0.npz,A\n", "missing: label", "own-data"),
        ("file,lable,group\nr0.npz,x,A\n", "missing: label", "'lable' meant"),
        ("file,label\nr0.npz,x\n", "missing: group", "specimen, machine"),
        ("name,label,group\nr0.npz,x,A\n", "missing: file", "own-data"),
        (GOOD.replace("r3.npz", "r9.npz"), r"1 files are missing: r9\.npz", "remove their rows"),
        (GOOD.replace(",B\n", ",A\n"), "one group, 'A'", "specimen, machine"),
        (GOOD.replace("crack", "healthy"), "have the label 'healthy'", "another class"),
        (GOOD.replace("r1.npz,crack", "r1.npz,"), "row 3: label is empty", "Fill it in"),
        (GOOD.replace("r1.npz,crack,A", "r1.npz,crack,"), "row 3: group is empty", "Fill it in"),
        (GOOD.replace("r1.npz", "../r1.npz"), "leads out of the folder", "relative"),
        (GOOD.replace("r1.npz", "/etc/passwd"), "leads out of the folder", "relative"),
        (GOOD + "r0.npz,crack,B\n", "rows 2 and 6 are the same stretch", "Remove one"),
        ("file,label,group,start_s,end_s\nr0.npz,x,A,2,1\n", "start_s 2 is not before end_s 1", "Correct"),
        ("file,label,group,fs_hz\nr0.npz,x,A,fast\n", "'fast' is not a number", "leave it empty"),
        ("file,label,group,fs_hz\nr0.npz,x,A,-5\n", "not positive", "leave it empty"),
        ("file,label,group,recorded_at\nr0.npz,x,A,noon\n", "'noon' is no date", "2024-05-31T"),
        ("file,label,group,grup\nr0.npz,x,A,red\n", "unknown column 'grup'", "did you mean 'group'?"),
        ("file,label,group,sampling_rate_Hz\nr0.npz,x,A,5\n", "unknown column", "did you mean 'sampling_rate_hz'"),
        ("file,label,group,sampling_rate\nr0.npz,x,A,5\n", "unknown column", "did you mean 'sampling_rate_hz'"),
        ("file,label,group,strat_s\nr0.npz,x,A,5\n", "unknown column 'strat_s'", "did you mean 'start_s'"),
        ("file,label,group,fs_hz,sampling_rate_hz\nr0.npz,x,A,5,5\n", "twice", "Remove one"),
        ("file,label,group\nr0.npz,x,A,B,C\n", "5 cells, the header has 3", "Quote"),
        ("file,label,group\nr0.npz,see segments.csv,A\nr1.npz,x,B\n", "is no label", "segments.csv"),
    ],
)  # fmt: skip
def test_bad_tables_name_file_and_remedy(tmp_path: Path, table: str, says: str, remedy: str) -> None:
    with pytest.raises(LabelsError, match=says) as caught:
        LabelledSet.load(make(tmp_path, table))
    assert "labels.csv" in str(caught.value)
    assert remedy in caught.value.remedy


def test_missing_files_are_listed_up_to_five(tmp_path: Path) -> None:
    table = "file,label,group\n" + "".join(f"x{i}.npz,{'ab'[i % 2]},{i % 3}\n" for i in range(9))
    with pytest.raises(LabelsError, match=r"9 files are missing: x0\.npz.*x4\.npz, …") as caught:
        LabelledSet.load(make(tmp_path, table))
    assert "x5.npz" not in str(caught.value)


def test_unusable_folders(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match="does not exist"):
        LabelledSet.load(tmp_path / "absent")
    with pytest.raises(LabelsError, match=r"there is no labels\.csv"):
        LabelledSet.load(tmp_path)
    (tmp_path / "labels.csv").write_bytes(b"\x00\x01" * 50)
    with pytest.raises(LabelsError, match="is not text"):
        LabelledSet.load(tmp_path)
    with pytest.raises(LabelsError, match="is a file"):
        LabelledSet.load(tmp_path / "labels.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_unreadable_folder(tmp_path: Path) -> None:
    folder = make(tmp_path / "locked", GOOD)
    folder.chmod(0)
    try:
        with pytest.raises(LabelsError, match="locked"):
            LabelledSet.load(folder)
    finally:
        folder.chmod(0o755)


def test_columns_that_nobody_knows_are_kept_as_attributes_with_a_note(tmp_path: Path) -> None:
    table = GOOD.replace("group", "group,colour", 1).replace(",A\n", ",A,red\n").replace(",B\n", ",B,red\n")
    found = LabelledSet.load(make(tmp_path, table))
    assert {entry.attributes["colour"] for entry in found.entries} == {"red"}
    assert any("colour" in warning for warning in found.warnings)


def test_a_nearly_known_column_is_kept_on_request(tmp_path: Path) -> None:
    table = GOOD.replace("group", "group,grup", 1).replace(",A\n", ",A,red\n").replace(",B\n", ",B,red\n")
    found = LabelledSet.load(make(tmp_path, table), Declared(extra_columns=True))
    assert {entry.attributes["grup"] for entry in found.entries} == {"red"}


def test_group_may_be_another_column(tmp_path: Path) -> None:
    table = "file,label,bearing\nr0.npz,a,1\nr1.npz,b,2\n"
    found = LabelledSet.load(make(tmp_path, table), Declared(group_column="bearing"))
    assert found.groups == ("1", "2")


def test_segments_inherit_and_unlabelled_files_are_left_out(tmp_path: Path) -> None:
    folder = make(
        tmp_path,
        "file,label,fs_hz,group,asset\nr0.npz,see segments.csv,100,A,rig\nr1.npz,see segments.csv,100,B,rig\n"
        "r2.npz,continuous: no classes,100,C,rig\nr3.npz,whole,100,D,rig\n",
    )
    (folder / "segments.csv").write_text(
        "file,segment,start_s,end_s,label,roller_pct,direction\nr0.npz,1,0,1,low,20,out\nr0.npz,2,1,2,high,40,back\n"
        "r1.npz,1,0.5,1.5,low,20,out\n"
    )
    found = LabelledSet.load(folder)
    assert [(e.file.name, e.label, e.group, e.start_s, e.end_s) for e in found.entries] == [
        ("r0.npz", "low", "A", 0, 1), ("r0.npz", "high", "A", 1, 2), ("r1.npz", "low", "B", 0.5, 1.5),
        ("r3.npz", "whole", "D", None, None),
    ]  # fmt: skip
    assert found.entries[1].attributes["direction"] == "back"
    assert found.entries[0].asset == "rig"
    assert "r2.npz" in found.warnings[0]
    durations = [recording.duration_s for _, recording in found.recordings() if isinstance(recording, Recording)]
    assert durations == [1, 1, 1, 3]


def test_dropbear8_just_works(shared_data: Path) -> None:
    found = LabelledSet.load(shared_data / "dropbear8", Declared("low_g_accel_V"))
    assert len(found.entries) == 80
    assert len(found.groups) == 8
    assert {entry.attributes["direction"] for entry in found.entries} == {"out", "back"}
    recordings = [recording for _, recording in found.recordings()]
    assert {(r.unit, r.sampling_rate_hz, r.channel) for r in recordings if isinstance(r, Recording)} == {
        ("V", 5000.0, "low_g_accel_V")
    }
    assert len({r.id for r in recordings if isinstance(r, Recording)}) == 80
    with pytest.raises(LabelsError, match="low_g_accel_V, accel_V, pinloc_V") as caught:
        LabelledSet.load(shared_data / "dropbear8")
    assert "--channel" in caught.value.remedy


def test_entry_with_several_channels_asks(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_g=np.ones(50), y_g=np.ones(50), fs=FS)
    with pytest.raises(LabelsError, match="x_g, y_g"):
        Entry(tmp_path / "a.npz").load()
    assert Entry(tmp_path / "a.npz", channel="y_g").load().channel == "y_g"


def test_expand_folders_and_files(tmp_path: Path) -> None:
    labelled = make(tmp_path / "labelled", "file,fs_hz,asset,unit\nr0.npz,100,pump 7,m/s2\nr1.npz,,,\nabsent.npz,,,\n")
    make(labelled / "twins", GOOD)
    inbox = make(tmp_path / "inbox", "not a recording", files=2, name="README.md")
    (inbox / "deep" / "masks").mkdir(parents=True)
    np.savez(inbox / "deep" / "x.npz", a=np.ones(9))
    np.savez(inbox / "deep" / "masks" / "x.npz", a=np.ones(9))
    (inbox / ".hidden.npz").touch()
    (inbox / "LICENSE-data.txt").touch()
    listed = ["r0.npz", "r1.npz", "absent.npz"]
    assert [entry.file.name for entry in expand([labelled], only_listed=True)] == listed
    # What labels.csv does not list lies there nevertheless.
    assert [entry.file.name for entry in expand([labelled])] == [*listed, "r2.npz", "r3.npz"]
    assert [entry.file.name for entry in expand([inbox])] == ["x.npz", "r0.npz", "r1.npz"]
    (entry,) = expand([labelled / "r0.npz"])
    assert (entry.asset, entry.unit, entry.sampling_rate_hz) == ("pump 7", "m/s2", 100)
    (entry,) = expand([labelled / "r0.npz"], Declared(unit="mg"))
    assert entry.unit == "mg"
    with pytest.raises(ReadError, match=r"absent\.npz"):
        Entry(labelled / "absent.npz").load()
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabelsError, match="no recordings"):
        list(expand([tmp_path / "empty"]))


def test_expand_uses_the_labels_two_folders_up(shared_data: Path) -> None:
    file = next((shared_data / "pump_motor_kafeel" / "healthy").glob("*.mat"))
    (entry,) = expand([file])
    assert entry.sampling_rate_hz == 1000


def test_channels_column_names_the_columns_of_a_table_without_header(tmp_path: Path) -> None:
    rows = [f"{i / FS:.5g},{np.sin(i):.5f},{i / FS:.5g},{np.cos(i):.5f}" for i in range(300)]
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("\n".join(rows))
    head = "file,label,group,channels\n"
    columns = '"time_s,base_g,time_s,tip_mm_s"'
    (tmp_path / "labels.csv").write_text(f"{head}a.csv,x,A,{columns}\nb.csv,y,B,{columns}\n")
    with pytest.raises(LabelsError, match="several channels: base_g, tip_mm_s"):
        LabelledSet.load(tmp_path)
    recording = LabelledSet.load(tmp_path, Declared("tip_mm_s")).entries[0].load()
    assert (recording.channel, recording.unit, recording.sampling_rate_hz) == ("tip_mm_s", "m/s", FS)
    np.testing.assert_allclose(recording.samples, 1e-3 * np.cos(np.arange(300)), atol=1e-8)
