"""The report as a person opens it: from a file, offline, with and without JavaScript."""

import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine; install it to test the page"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with sync_api.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, report_file: Path):
    """Open the report; on leaving, the console must have been silent and the network untouched."""
    complaints: list[str] = []
    pages = []

    def open_it(**options):
        page = browser.new_page(**{"viewport": {"width": 1400, "height": 1000}, **options})
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else complaints.append(r.url))
        page.goto(report_file.as_uri(), wait_until="networkidle")
        pages.append(page)
        return page

    yield open_it
    for page in pages:
        page.close()
    assert complaints == []


def shown(page, selector: str) -> int:
    return page.locator(f"{selector}:not([hidden])").count()


def test_page_opens_silently_and_every_picture_is_drawn(open_page):
    page = open_page()
    assert page.title() == "Cantilever fleet, March"
    widths = page.locator("img.map").evaluate_all("pictures => pictures.map(p => p.naturalWidth)")
    assert widths == [128] * 8
    for link in page.locator("#summary a").all():
        assert page.locator(link.get_attribute("href")).count() == 1


def test_malicious_asset_name_is_text(open_page):
    page = open_page()
    assert "<script>alert(1)</script>" in page.locator("#summary").inner_text()
    assert page.locator("script").count() == 1


def test_verdict_chips_filter_table_and_cards(open_page):
    page = open_page()
    page.locator(".count.fault").click()
    assert (shown(page, "#summary tbody tr"), shown(page, ".card")) == (2, 2)
    page.locator(".count.refused").click()
    assert shown(page, "#summary tbody tr") == 3
    page.fill("#find", "BEAM 11")
    assert page.locator("#summary tbody tr:not([hidden])").inner_text().startswith("refused")
    assert page.locator("#shown").inner_text() == "1 of 7 shown"


def test_columns_sort_by_value(open_page):
    page = open_page()
    page.get_by_role("button", name="Probability").click()
    rising = page.locator("#summary tbody .number").all_inner_texts()
    assert rising == ["", "48 %", "71 %", "92 %", "93 %", "94 %", "95 %"]
    page.get_by_role("button", name="Probability").click()
    assert page.locator("#summary tbody .number").all_inner_texts() == rising[::-1]
    assert page.locator("th", has_text="Probability").get_attribute("aria-sort") == "descending"


def test_keys_hide_the_map_and_step_through_recordings(open_page):
    page = open_page()
    opacity = "getComputedStyle(document.querySelector('.map')).opacity"
    assert page.evaluate(opacity) == "1"
    page.keyboard.press("m")
    assert page.evaluate(opacity) == "0"
    page.keyboard.press("j")
    first = page.evaluate("document.activeElement.id")
    page.keyboard.press("j")
    second = page.evaluate("document.activeElement.id")
    page.keyboard.press("k")
    assert (first, second, page.evaluate("document.activeElement.id")) == ("r1", "r2", "r1")


def test_regions_can_be_hidden(open_page):
    page = open_page()
    page.uncheck("#boxes")
    assert not page.locator(".box").first.is_visible()


def test_reads_without_javascript(open_page):
    page = open_page(java_script_enabled=False)
    text = page.locator("main").inner_text()
    for words in ("2 of 7 recordings show a fault", "34 % of the evidence for crack", "Lower the amplifier's gain"):
        assert words in text
    assert page.locator(".card").first.locator(".map").is_visible()
    assert not page.locator("#find").is_visible()


def test_axes_carry_the_right_numbers_at_the_right_places(open_page):
    """The 75 Hz of the mel-like axis stand where 2595 log10(1 + f/100) puts them."""
    page = open_page()
    plot = page.locator(".card").first.locator(".plot.image").first
    pane = plot.locator(".pane").bounding_box()
    ticks = plot.locator(".y-ticks span").all()
    assert [t.inner_text() for t in ticks] == ["0", "20", "50", "100", "200", "500"]
    for tick in ticks[1:]:
        box, hz = tick.bounding_box(), float(tick.inner_text())
        from_bottom = pane["y"] + pane["height"] - (box["y"] + box["height"] / 2)
        expected = _mel(hz) / _mel(853) * 127 / 128 + 0.5 / 128
        assert from_bottom / pane["height"] == pytest.approx(expected, abs=0.01)
    assert plot.locator(".x-ticks span").all_inner_texts() == ["0.5", "1", "1.5", "2", "2.5"]
    assert (plot.locator(".y-label").inner_text(), plot.locator(".x-label").inner_text()) == (
        "Frequency, Hz",
        "Time, s",
    )


def _mel(hz: float) -> float:
    return math.log10(1 + hz / 100)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(open_page, scheme):
    """WCAG 2.1, 1.4.3: contrast of at least 4.5 : 1 for text."""
    page = open_page(color_scheme=scheme)
    for selector in (".headline", ".verdict.fault", ".verdict.healthy", ".verdict.unknown", ".verdict.refused",
                     ".facts dt", ".y-ticks span", "#summary a", ".chip.red", ".chip.blue",
                     ".gain-word", ".loss-word", "li .gain", "li .loss", ".box.gain b", ".box.loss b"):  # fmt: skip
        ink, ground = page.evaluate(
            """selector => {
              let element = document.querySelector(selector);
              const ink = getComputedStyle(element).color;
              while (getComputedStyle(element).backgroundColor === "rgba(0, 0, 0, 0)") element = element.parentElement;
              return [ink, getComputedStyle(element).backgroundColor];
            }""",
            selector,
        )
        assert _contrast(ink, ground) >= 4.5, f"{selector} in {scheme}: {ink} on {ground}"


def _contrast(*colours: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(v) / 255 for v in re.findall(r"\d+", colour)[:3]]
        r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    dark, light = sorted(map(luminance, colours))
    return (light + 0.05) / (dark + 0.05)


def test_what_changed_and_why_stand_side_by_side_with_the_same_axes_and_frames(open_page):
    page = open_page(viewport={"width": 1280, "height": 1000})
    card = page.locator(".card", has_text="beam 05")
    change, why = card.locator("figure").all()[:2]
    assert change.locator("figcaption").inner_text().startswith("What changed against this asset's healthy baseline")
    assert why.locator("figcaption").inner_text().startswith("Why loose clamp")
    for ticks in (".y-ticks span", ".x-ticks span", ".y-label", ".x-label"):
        assert change.locator(ticks).all_inner_texts() == why.locator(ticks).all_inner_texts() != []
    left, right = (figure.locator(".pane").bounding_box() for figure in (change, why))
    assert (left["y"], left["width"], left["height"]) == (right["y"], right["width"], right["height"])
    frames = [[box.get_attribute("style") for box in f.locator(".box").all()] for f in (change, why)]
    assert frames[0] == frames[1]
    assert change.locator(".box b").all_inner_texts() == ["1 ▼", "2 ▲"]
    assert change.locator(".scale .ends i").all_inner_texts() == ["−1", "0", "+1"]


def test_gain_and_loss_are_said_in_words_and_to_those_who_cannot_see(open_page):
    page = open_page(java_script_enabled=False)
    lost, gained = page.locator(".card", has_text="beam 05").locator(".regions li").all_inner_texts()
    assert "power lost" in lost
    assert "6–16 Hz" in lost
    assert "power gained" in gained
    alt = page.locator(".card", has_text="beam 05").locator("img.map").first.get_attribute("alt")
    assert re.search(r"6–16 Hz – 1st bending mode, 11 Hz, power lost.*69 Hz, power gained", alt)
    assert page.locator(".card.unknown .change").count() == 1
    assert page.locator(".card", has_text="beam 07").locator(".change").count() == 0


def test_one_above_the_other_on_a_phone(open_page):
    page = open_page(viewport={"width": 390, "height": 800})
    panes = page.locator(".card", has_text="beam 05").locator(".image .pane").all()[:2]
    above, below = (pane.bounding_box() for pane in panes)
    assert above["x"] == below["x"]
    assert above["y"] + above["height"] < below["y"]


def test_fits_a_phone(open_page):
    page = open_page(viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
