"""The report's numbers, colours and words, and that it is written whole or not at all."""

import re
from dataclasses import replace

import numpy as np
import pytest
from invented_plant import CLASSES, NASTY, PLANT, history, material, view

from camvib.errors import CamvibError
from camvib.records import ChangeMap, Region
from camvib.report import words
from camvib.report.changes import way
from camvib.report.page import headline, write_page

HZ = np.geomspace(5, 800, 16)
SECONDS = np.linspace(0.1, 2.9, 24)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.percent(0.9999), "> 99 %"),
        (words.percent(1.0), "100 %"),
        (words.percent(0.001), "< 1 %"),
        (words.percent(0.345), "34 %"),
        (words.span(0.4, 1.2, "s"), "0.4–1.2 s"),
        (words.span(58, 66, "Hz"), "58–66 Hz"),
        (words.span(1200.4, 1200.6, "s"), "1200.4–1200.6 s"),
        (words.rate(25600.0), "25\u202f600 Hz"),
        (words.rate(1706.66667), "1\u202f706.667 Hz"),
        (words.odds(3.2), "25 : 1"),
        (words.odds(-3.2), "1 : 25"),
        (words.odds(60.0), "more than 1000 : 1"),
        (words.signed(-0.01), "+0.0"),
        (words.signed(-2.34), "−2.3"),
        (words.human("loose_clamp"), "loose clamp"),
    ],
)
def test_words(said, expected):
    assert said == expected


# --- what changed


def change_map(*patches: tuple[slice, slice, float]) -> ChangeMap:
    values = np.zeros((16, 24))
    for rows, columns, value in patches:
        values[rows, columns] = value
    return ChangeMap(values, HZ, SECONDS)


BOX = Region(float(SECONDS[4]), float(SECONDS[9]), float(HZ[4]), float(HZ[9]), 0.5, 1)


@pytest.mark.parametrize(
    ("patches", "expected"),
    [
        ([(slice(4, 8), slice(4, 10), 0.8)], "gain"),
        ([(slice(4, 8), slice(4, 10), -0.8)], "loss"),
        ([(slice(4, 6), slice(4, 10), 0.8), (slice(6, 8), slice(4, 10), -0.8)], "both"),  # a mode that moved: mean 0
        ([(slice(4, 10), slice(4, 10), -0.3)], "none"),
        ([(slice(10, 16), slice(10, 24), 1.0)], "none"),
    ],
)
def test_a_regions_word_is_that_of_its_own_cells(patches, expected):
    assert way(change_map(*patches), BOX) == expected


def test_a_region_outside_the_map_has_no_clear_change():
    assert way(change_map(), replace(BOX, start_s=7.0, end_s=8.0)) == "none"


# --- the page


def written(tmp_path, **more) -> str:
    made = view(20, **more)
    return write_page(made, tmp_path / "r.html", plant=PLANT, material_of=material, labels=CLASSES).read_text("utf-8")


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<(style|script)[^>]*>.*?</\1>", "", page)))


def test_it_asks_nothing_of_the_network(tmp_path):
    page = written(tmp_path)
    assert set(re.findall(r'(?:src|href)="([^#"]{5})', page)) == {"data:"}
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_names_from_outside_are_escaped_and_printable(tmp_path):
    attack = history(NASTY, "crack", began=8)
    page = written(tmp_path, more=(attack,))
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search("[\u202e\x1b\ud800-\udfff]", page)


def test_regions_are_said_in_words_with_gain_or_loss(tmp_path):
    text = text_of(written(tmp_path))
    assert re.search(r"whole recording : power (LOST|GAINED)", text)
    assert "38 % of the evidence for it" in text
    assert "would come back if the clamp were tightened" in text


def test_what_speaks_against_it_is_said(tmp_path):
    text = text_of(written(tmp_path))
    assert "1 of 20 recordings since then was judged otherwise, the last on 9 Nov" in text
    assert "One sensor only (drive end, radial)" in text
    assert "the explanation is weak" in text


def test_a_page_within_its_share(tmp_path):
    few, many = written(tmp_path), written(tmp_path, every=1 / 4)
    assert len(few) < (100 + 8 * 47) * 1024
    assert abs(len(many) - len(few)) < 4 * 1024  # healthy recordings are points of a trend


def test_headlines():
    made = view(20)
    assert headline(made) == "4 machines need action, 2 of them new."
    assert headline(replace(made, since=None)) == "4 machines need action."
    assert headline(replace(made, rows=())) == "No machine needs action."
    assert headline(replace(made, rows=(), quiet=())) == "No machines yet."


def test_a_folder_is_not_a_page(tmp_path):
    with pytest.raises(CamvibError, match="is a folder"):
        write_page(view(20), tmp_path, plant=PLANT)


def test_colours_of_the_script_are_those_that_were_checked_for_all_eyes():
    from pathlib import Path

    from camvib import report
    from camvib.drawing.png import AGAINST_RGB, FOR_RGB, GAIN_RGB, LOSS_RGB

    script = (Path(report.__file__).parent / "finding.js").read_text("utf-8")
    for colour in (AGAINST_RGB, FOR_RGB, GAIN_RGB, LOSS_RGB):
        assert str(list(colour)) in script


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P-1 ü", "P-1 ü"),
        ("a\x1b[31m", "a\\x1b[31m"),
        ("\u202egnp", "\\u202egnp"),
        ("x\udcff", "x\\xff"),
        ("a\nb", "a\nb"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text, expected):
    assert words.printable(text) == expected
