"""The list for other programs: nothing in it runs, nothing in it is lost."""

import csv
import io
from dataclasses import replace

from invented_plant import view

from camvib.report.exports import COLUMNS, table, work_order


def test_the_table_holds_every_machine_in_the_order_of_the_page():
    made = view(60)
    rows = list(csv.DictReader(io.StringIO(table(made))))
    assert len(rows) == 60
    assert [row["machine"] for row in rows[:4]] == ["G-204", "M-310", "F-021", "P-113"]
    assert rows[3]["by"] == "2026-11-27"
    assert float(rows[3]["probability"]) > 0.9
    assert tuple(rows[0]) == COLUMNS


def test_cells_that_a_spreadsheet_would_run_are_escaped():
    made = view(60)
    nasty = tuple(replace(made.rows[0], name=f"{sign}cmd|' /C calc'!A0") for sign in "=+-@\t|%")
    cells = [row["name"] for row in csv.DictReader(io.StringIO(table(replace(made, rows=nasty, quiet=()))))]
    assert all(cell[0] in "'\\" for cell in cells)


def test_numbers_stay_numbers():
    made = view(60)
    row = next(csv.DictReader(io.StringIO(table(replace(made, rows=(made.rows[0],), quiet=())))))
    assert float(row["change_db"]) != 0


def test_a_work_order_says_what_since_how_sure_and_until_when():
    made = view(60)
    row = next(row for row in made.rows if row.tag == "P-113")
    text = work_order(row, made)
    assert "Machine: P-113 Feed pump" in text
    assert "Advice: Tighten the clamp, record again" in text
    assert "Due: 2026-11-27" in text
    order = ["State detection", "Health assessment", "Prognosis: none given", "Advice"]  # ISO 13374
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
