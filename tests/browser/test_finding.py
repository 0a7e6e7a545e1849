"""A finding: what is read under the pointer is what the arrays hold; cursors, sound, print."""

import math
import re

import numpy as np
import pytest
from invented_plant import evidence, healthy

from camvib.report.finding import CHANGE_STEP


def drawn(page):
    """Wait until the maps of the open finding are painted."""
    page.wait_for_selector(".finding:target .cursor-tools")
    return page


def reading(page, x: float, y: float, kind: str = "level") -> dict[str, float]:
    """Point at a place of a map, as a share of its width and of its height from the top."""
    pane = page.locator(f".finding:target [data-kind={kind}] .pane").first
    pane.scroll_into_view_if_needed()
    box = pane.bounding_box()
    page.mouse.move(box["x"] + 1 + x * (box["width"] - 2), box["y"] + 1 + y * (box["height"] - 2))
    said = page.locator(".finding:target .map-reading").inner_text().replace("−", "-")
    names = {"s": r"([\d.]+) s", "hz": r"([\d.]+) Hz", "db": r"Hz · (-?[\d.]+) dB", "healthy": r"healthy (-?[\d.]+) dB",
             "sure": r"changed: (\d+) %", "logits": r"contribution ([+-][\d.]+)"}  # fmt: skip
    return {name: float(re.search(pattern, said)[1]) for name, pattern in names.items()} | {"said": said}


@pytest.mark.parametrize(("x", "y"), [(0.03, 0.9), (0.31, 0.52), (0.5, 0.27), (0.77, 0.71), (0.98, 0.05)])
def test_hover_reads_the_arrays(open_page, x, y):
    page = drawn(open_page("P-113"))
    truth = evidence("loose_clamp")
    image = truth.spectrogram
    rows, columns = image.values_db.shape
    row, column = rows - 1 - math.floor(y * rows), math.floor(x * columns)
    read = reading(page, x, y)
    near = image.values_db[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
    assert np.abs(near - read["db"]).min() <= 1.0
    assert abs(image.frequency_hz[row] - read["hz"]) <= 1.2 * np.gradient(image.frequency_hz)[row]
    assert abs(image.time_s[column] - read["s"]) <= 0.05
    level = np.median(image.values_db.mean(axis=1) - healthy().mean_db)
    assert np.abs(healthy().mean_db[max(0, row - 1) : row + 2] + level - read["healthy"]).min() <= 0.6
    change = truth.change.values[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
    assert np.abs(np.abs(100 * change) - read["sure"]).min() <= 100 * CHANGE_STEP / 2 + 0.5  # as finely as it is sent
    logits = truth.contrast.values[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
    assert np.abs(logits - read["logits"]).min() <= 0.25


def test_all_maps_stand_on_the_same_axes(open_page):
    page = drawn(open_page("P-113"))
    figures = page.locator(".finding:target .map").all()
    assert [f.locator("figcaption").inner_text() for f in figures] == [
        "Healthy, expected", "Newest recording", "What changed", "Why loose clamp rather than healthy",
        "Why loose clamp rather than build-up",
    ]  # fmt: skip
    for ticks in (".x-ticks", ".y-ticks"):
        assert len({f.locator(ticks).inner_text() for f in figures}) == 1
    frames = [[b.get_attribute("style") for b in f.locator(".frame").all()] for f in figures[2:4]]
    assert frames[0] == frames[1] != []


def test_ticks_of_a_map_stand_where_its_rows_put_them(open_page):
    page = drawn(open_page("P-113"))
    figure = page.locator(".finding:target [data-kind=level]")
    pane = figure.locator(".pane").bounding_box()
    hz = evidence("loose_clamp").spectrogram.frequency_hz
    edges = np.concatenate([[hz[0] - (hz[1] - hz[0]) / 2], (hz[1:] + hz[:-1]) / 2, [hz[-1] + (hz[-1] - hz[-2]) / 2]])
    for tick in figure.locator(".y-ticks span").all()[1:]:
        box = tick.bounding_box()
        up = (pane["y"] + pane["height"] - box["y"] - box["height"] / 2) / pane["height"]
        assert up == pytest.approx(np.interp(float(tick.inner_text()), edges, np.linspace(0, 1, len(edges))), abs=0.02)


def test_the_spectrum_reads_its_arrays_and_marks_harmonics_and_sidebands(open_page):
    page = drawn(open_page("P-113"))
    page.fill(".finding:target .cursor-hz", "75.5")
    said = page.locator(".finding:target .spec-reading").inner_text().replace("−", "-")
    truth = evidence("loose_clamp")
    at, db = float(re.match(r"([\d.]+) Hz", said)[1]), float(re.search(r"· (-?[\d.]+) dB", said)[1])
    group = -(-len(truth.spectrum_hz) // 260)
    near = np.abs(truth.spectrum_hz - at) <= group * (truth.spectrum_hz[1] - truth.spectrum_hz[0])
    assert np.abs(truth.spectrum_db[near] - db).min() < 0.11
    assert "2. bending mode" in said
    assert page.locator(".finding:target .cursors i").count() == math.floor(2048 / 75.5)
    page.fill(".finding:target .sideband-hz", "10")
    assert page.locator(".finding:target .cursors i.side").count() == 6
    page.uncheck(".finding:target .harmonics")
    assert page.locator(".finding:target .cursors i:not(.side)").count() == 1


def test_the_cursor_moves_by_keys_and_the_axis_may_be_logarithmic_or_in_orders(open_page):
    page = drawn(open_page("P-113"))
    page.locator(".finding:target .spectrum").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    before = float(page.input_value(".finding:target .cursor-hz"))
    page.keyboard.press("ArrowLeft")
    assert float(page.input_value(".finding:target .cursor-hz")) < before
    page.fill(".finding:target .shaft-hz", "24.6")
    page.get_by_role("button", name="orders").click()
    assert page.locator(".finding:target .spectrum .x-ticks span").first.inner_text().endswith("×")
    page.get_by_role("button", name="log").click()
    ticks = page.locator(".finding:target .spectrum .x-ticks span").all_inner_texts()
    assert {"100", "1000"} <= set(ticks)


def test_maps_are_read_with_the_keyboard(open_page):
    page = drawn(open_page("P-113"))
    page.locator(".finding:target .maps").focus()
    page.keyboard.press("ArrowUp")
    first = page.locator(".finding:target .map-reading").inner_text()
    page.keyboard.press("ArrowUp")
    assert page.locator(".finding:target .map-reading").inner_text() != first


def test_the_proof_and_its_failure_are_said(open_page):
    page = open_page("P-113")
    proof = page.locator(".finding:target .proof").inner_text()
    assert "falls from 97 % to 22 %, healthy from 3 % to 71 %" in proof
    assert "rests on these places" in proof
    page = open_page("G-204")
    assert "the explanation is weak" in page.locator(".finding:target .proof").inner_text()
    assert "the explanation is weak" in page.locator(".finding:target", has_text="What speaks against it").inner_text()


def test_it_can_be_listened_to(open_page):
    page = drawn(open_page("P-113"))
    for button in page.locator(".finding:target .play").all():
        button.click()
        assert button.get_attribute("data-played") == "yes"


def test_print_gives_the_list_and_a_page_for_each_machine_to_act_on(open_page):
    page = open_page()
    page.wait_for_selector("html[data-ready=yes]", state="attached")
    pdf = page.pdf(prefer_css_page_size=True)
    boxes = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)", pdf)
    portrait = sum(float(w) < float(h) for w, h in boxes)
    assert portrait == page.locator(".finding.act").count() == 5
    assert len(boxes) - portrait <= 2  # the list, landscape


def test_a_machine_that_is_not_judged_says_why_and_what_to_do(open_page):
    page = open_page("P-301")
    text = page.locator(".finding:target").inner_text()
    assert "4 % of samples clipped" in text
    assert "Set the range to 50 g" in text
    assert "a fault would not be seen" in text
