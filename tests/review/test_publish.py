"""From the ledger to the page: everything in it, nothing missing ends it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from invented_plant import NOW, PLANT

from camvib.jobs import report_store
from camvib.monitoring.ledger import Store
from camvib.recordings.plant import Plant
from camvib.report.page import last_written
from camvib.review.publish import page_of


def page(store: Store, **more):
    return page_of(store, PLANT.model_copy(update={"machines": {}}), now=NOW, **more)


def text(store: Store, tmp_path: Path, **more) -> str:
    return page(store, **more).write(tmp_path / "r.html", progress=False).read_text("utf-8")


def test_the_ledgers_cases_make_the_rows(store):
    view = page(store).view
    assert [(row.tag, row.state) for row in view.rows] == [("P-113", "act"), ("G-204", "act"), ("P-301", "blind")]
    assert view.recordings == len(store.all())
    row = view.rows[0]
    assert row.runner_up == "tip_mass"
    assert abs(row.rise.db) > 3


def test_the_page_has_a_finding_for_each_row_with_the_healthy_state_beside_it(store, tmp_path):
    html = text(store, tmp_path)
    assert html.count('<article class="finding') == 3
    assert html.count('data-kind="expected"') == 2
    assert html.count('class="fall"') == 2
    assert "its spread, 8 recordings" in html
    assert "Not tried" in html  # the files are not at hand


def test_only_one_machine_and_how_much_that_leaves_out(store, tmp_path):
    html = text(store, tmp_path, asset="P-113")
    assert html.count("<article") == 1
    others = sum(d.asset != "P-113" for d in store.all())
    assert f"{others} more in the store are not on it" in html


@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_pictures_that_are_lost_do_not_end_the_page(store, tmp_path, harm):
    files = [path for path in store.folder.rglob("*") if path.is_file()]
    for path in files:
        path.unlink() if harm == "missing" else path.write_bytes(b"\x00" * 100)
    html = text(store, tmp_path)
    assert f"its pictures {'are missing from the store' if harm == 'missing' else 'in the store are damaged'}" in html
    assert html.count("<article") == 3


def test_the_next_page_counts_from_the_last(store, tmp_path):
    text(store, tmp_path)
    assert last_written(tmp_path / "r.html") == NOW
    assert page(store, former=tmp_path / "r.html").view.new == 0
    (tmp_path / "other.html").write_text("<html>")
    assert last_written(tmp_path / "other.html") is None
    assert last_written(tmp_path / "none.html") is None


def test_the_job_writes_page_table_and_work_orders(store, tmp_path):
    (tmp_path / "plant.toml").write_text('[plant]\nname = "Nord"\n')
    done = report_store(
        tmp_path / "r.html", tmp_path / "s.db", plant=tmp_path / "plant.toml", table=tmp_path / "r.csv",
        work_orders=tmp_path / "orders", progress=False,
    )  # fmt: skip
    assert len((tmp_path / "r.csv").read_text().splitlines()) == done.view.machines + 1
    assert len(list((tmp_path / "orders").iterdir())) == done.view.count("act")
    assert "<title>Nord – " in done.out.read_text("utf-8")


def test_names_that_no_encoding_takes_do_not_end_the_page(tmp_path):
    from invented_plant import history, outcomes

    store = Store(tmp_path / "s.db")
    kept = [
        replace(one, diagnosis=replace(one.diagnosis, recording="inbox/\udcff\x1b[31m.wav", asset="P\udcfe-1"))
        for one in outcomes(history("P-113", "loose_clamp"))
    ]
    store.keep(kept[-6:])
    store.update_cases()
    html = page_of(store, Plant(), now=NOW).write(tmp_path / "r.html", progress=False).read_text("utf-8")
    assert not re.search("[\ud800-\udfff\x1b]", html)


def test_half_a_page_is_never_left_behind(store, tmp_path):
    out = tmp_path / "r.html"
    out.write_text("yesterday's")
    made = page(store)

    def broken(row):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        replace(made, material_of=broken).write(out, progress=False)
    assert out.read_text() == "yesterday's"
    assert not list(tmp_path.glob(".r.html*"))
