"""Answers collected in the offline file: kept, saved as a file, and what the file holds."""

import json

from camvib.review.answers import items_of, parse


def answer(page, kind: str, **fields: str) -> None:
    form = page.locator(".finding:target .answers")
    form.locator(f"input[value={kind}]").check()
    for name, value in {"author": "MR", **fields}.items():
        form.locator(f".{name}").fill(value)
    form.get_by_role("button", name="Save answer").click()


def saved(page) -> list[dict]:
    with page.expect_download() as download:
        page.locator("#save-answers").click()
    return items_of(json.loads(download.value.path().read_text("utf-8")), "file")


def test_answers_wait_and_are_saved_as_a_file_that_the_ledger_takes(open_page):
    page = open_page("P-113")
    answer(page, "confirmed", text="two bolts loose\u202e <b>")
    assert "Waits in this browser" in page.locator(".finding:target .done").inner_text()
    page.locator(".finding:target .seen").click()
    page.locator(".finding:target .step").first.check()
    items = saved(page)
    assert [item["kind"] for item in items] == ["confirmed", "acknowledged", "comment"]
    confirmed, act = parse(items[0])
    assert (confirmed.asset, confirmed.label, confirmed.author, act) == ("P-113", "loose_clamp", "MR", None)
    assert confirmed.text == "two bolts loose\u202e <b>"
    assert len({item["key"] for item in items}) == 3


def test_a_wrong_answer_is_not_taken(open_page):
    page = open_page("P-113")
    page.locator(".finding:target").get_by_role("button", name="Save answer").click()
    assert "Choose what you found" in page.locator(".finding:target .done").inner_text()
    answer(page, "corrected")
    assert "Name the fault" in page.locator(".finding:target .done").inner_text()
    page.locator(".finding:target .seen").click()
    assert page.locator("#waiting-text").inner_text().startswith("1 answer")
    page.locator(".finding:target .author").fill("")
    page.locator(".finding:target .seen").click()
    assert "Write your name" in page.locator(".finding:target .done").inner_text()


def test_a_region_is_marked_by_dragging(open_page):
    page = open_page("P-113")
    page.wait_for_selector(".finding:target .cursor-tools")
    page.locator(".finding:target .mark summary").click()
    pane = page.locator(".finding:target [data-kind=level] .pane")
    pane.scroll_into_view_if_needed()
    box = pane.bounding_box()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.7 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"], steps=4)
    page.mouse.up()
    page.locator(".finding:target .author").fill("MR")
    page.locator(".finding:target").get_by_role("button", name="Save answer").click()
    region = saved(page)[0]["region"]
    assert 0.4 < region["start_s"] < 0.6 < 1.4 < region["end_s"] < 1.6
    assert 50 < region["low_hz"] < region["high_hz"] < 600


def test_answers_outlive_the_page(open_page):
    page = open_page("P-113")
    answer(page, "nothing_found")
    page.reload()
    assert page.locator("#waiting-text").inner_text().startswith("1 answer waits")


def test_a_name_full_of_markup_comes_back_as_it_is(open_page):
    from invented_plant import NASTY

    page = open_page("<script>")
    answer(page, "comment", text="x")
    assert saved(page)[0]["asset"] == NASTY


def test_the_work_order_can_be_copied(open_page):
    page = open_page("P-113", permissions=["clipboard-read", "clipboard-write"])
    page.locator(".finding:target .copy").click()
    page.wait_for_selector(".finding:target .copy:has-text('Copied'), .finding:target [aria-label='Work order']")
    text = page.evaluate(
        "navigator.clipboard.readText().catch(() => document.querySelector('[aria-label=\"Work order\"]').value)"
    )
    assert "Machine: P-113 Feed pump" in text
    assert "Due: 2026-11-27" in text
