"""A draft of labels.csv says where everything in it comes from, and guesses nothing."""

from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from camvib.errors import LabelsError
from camvib.recordings.draft import draft_labels, write_draft
from camvib.recordings.labels import read_table


def recording(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, acc_g=np.arange(9.0) % 4, fs=100)


def table(folder: Path) -> list[list[str]]:
    target, _ = write_draft(folder, None)
    return read_table(target)


def test_class_folders_become_labels(tmp_path: Path) -> None:
    for name in ("healthy/p1.npz", "healthy/p2.npz", "bearing/p1.npz"):
        recording(tmp_path / name)
    cells = table(tmp_path)
    assert cells[0] == ["file", "label", "group"]
    assert cells[1:] == [
        ["bearing/p1.npz", "bearing", ""], ["healthy/p1.npz", "healthy", ""], ["healthy/p2.npz", "healthy", ""],
    ]  # fmt: skip
    assert any("group" in note for note in draft_labels(tmp_path).notes)


def test_the_level_that_says_healthy_holds_the_classes(tmp_path: Path) -> None:
    for name in ("pump1/healthy/a.npz", "pump1/worn/a.npz", "pump2/healthy/a.npz"):
        recording(tmp_path / name)
    (header, first, *_) = table(tmp_path)
    assert dict(zip(header, first, strict=True)) == {
        "file": "pump1/healthy/a.npz", "label": "healthy", "group": "", "folder_1": "pump1",
    }  # fmt: skip


def test_a_pattern_takes_the_names_apart(tmp_path: Path) -> None:
    for name in ("pump1/healthy_1500.npz", "pump2/worn_1480.npz", "other.npz"):
        recording(tmp_path / name)
    found = draft_labels(tmp_path, pattern="{group}/{label}_{rpm}")
    assert found.rows[0] == {"file": "pump1/healthy_1500.npz", "group": "pump1", "label": "healthy", "rpm": "1500"}
    assert any("other.npz" in note for note in found.notes)
    with pytest.raises(LabelsError, match="none of 3 files"):
        draft_labels(tmp_path, pattern="{a}-{b}")


@pytest.mark.parametrize("kind", ["Labels.csv", "labels.xlsx"])
def test_another_table_is_taken_over(tmp_path: Path, kind: str) -> None:
    recording(tmp_path / "a.npz")
    rows = [["Filename", "Class", "Machine", "Operator"], ["a.npz", "worn", "pump 1", "bob"]]
    if kind.endswith("xlsx"):
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(tmp_path / kind)
    else:
        (tmp_path / kind).write_text("\n".join(";".join(row) for row in rows))
    assert table(tmp_path) == [["file", "label", "group", "Operator"], ["a.npz", "worn", "pump 1", "bob"]]
    assert any("Class → label" in note for note in draft_labels(tmp_path).notes)


def test_a_table_of_bursts_gives_one_row_a_burst(tmp_path: Path) -> None:
    folder = tmp_path / "asset=fan 3"
    folder.mkdir()
    columns = {"machine": ["m1", "m2"], "state": ["ok", "worn"], "acc": [[0.0] * 20, [1.0] * 20]}
    pq.write_table(pa.table(columns), folder / "part-0.parquet")
    rows = draft_labels(tmp_path).rows
    assert [(row["channel"], row["group"], row["label"], row["asset"]) for row in rows] == [
        ("acc[0]", "m1", "ok", "fan 3"), ("acc[1]", "m2", "worn", "fan 3"),
    ]  # fmt: skip


def test_cells_are_no_formulas_and_nothing_is_overwritten(tmp_path: Path) -> None:
    recording(tmp_path / "=cmd" / "a.npz")
    recording(tmp_path / "=cmd" / "+b.npz")
    (_, *rows) = table(tmp_path)
    assert [row[:2] for row in rows] == [["./=cmd/+b.npz", "'=cmd"], ["./=cmd/a.npz", "'=cmd"]]
    with pytest.raises(LabelsError, match="there already"):
        write_draft(tmp_path, None)
