"""The first screen as a person opens it: from a file, offline, with and without JavaScript."""

import pytest


def shown(page) -> list[str]:
    return [link.inner_text().split()[0] for link in page.locator(".list .ma a").all() if link.is_visible()]


def test_the_five_questions_are_answered_on_the_first_screen(open_page):
    page = open_page()
    assert page.locator("h1#headline").inner_text() == "5 machines need action, 3 of them new."
    row = page.locator(".list tr", has_text="P-113").inner_text()
    for answer in (
        "P-113 Feed pump",
        "Loose clamp",
        "5 Nov",
        "High",
        "Tighten the clamp",
        "by Fri 27 Nov, planned stop",
    ):
        assert answer in row
    assert page.locator("#headline").bounding_box()["y"] < 100
    assert page.locator(".list tr.act").last.bounding_box()["y"] < 900


def test_chips_filter_and_the_quiet_ones_come_when_asked(open_page):
    page = open_page()
    page.locator(".chip.watch").click()
    assert shown(page) == ["P-207"]
    page.locator(".chip.watch").click()
    page.locator(".chip.ok").click()
    assert page.locator("#quiet-rows tr.ok").count() == int(page.locator(".chip.ok b").inner_text()) == 52
    assert page.locator(".list tr.act").first.is_hidden()


def test_find_looks_at_all_machines(open_page):
    page = open_page()
    page.fill("#q", "boiler")
    assert sorted(shown(page)) == ["F-021", "P-113"]
    page.fill("#q", "q-007")
    assert page.locator("#quiet-rows tr.ok:visible").inner_text().startswith("As it was")
    assert page.locator("#shown").inner_text() == "1 shown"


def test_columns_sort_rows_and_keys_follow_the_order(open_page):
    page = open_page()
    urgent = shown(page)
    page.get_by_role("button", name="Machine").click()
    assert shown(page)[1:] == sorted(urgent)[1:] or shown(page) == sorted(shown(page))
    page.keyboard.press("j")
    first = page.evaluate("document.activeElement.textContent.trim().split(' ')[0]")
    assert first == shown(page)[0]
    page.get_by_role("button", name="Machine").click()
    assert page.locator("th[data-sort=machine]").get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="State").click()
    assert shown(page) == urgent


def test_the_keyboard_alone_goes_from_list_to_finding_and_back(open_page):
    page = open_page()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_selector(".finding:target")
    assert page.locator(".finding:target h1").inner_text().split()[0] == shown_tag(page, 0)
    page.keyboard.press("j")
    page.wait_for_function("document.querySelector('.finding:target h1')")
    assert page.locator(".finding:target h1").inner_text().split()[0] == shown_tag(page, 1)
    page.keyboard.press("Escape")
    page.wait_for_selector("#list:visible")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"


def shown_tag(page, n: int) -> str:
    return page.locator(".list .ma a b").nth(n).text_content().split()[0]


def test_every_machine_has_a_square_in_its_area(open_page):
    page = open_page()
    assert page.locator(".squares .sq").count() == 61
    assert page.locator(".squares .sq.act").count() == 5
    page.locator(".squares a.sq.watch").click()
    assert page.locator(".finding:target h1").inner_text().startswith("P-207")


def test_names_full_of_markup_and_controls_are_text(open_page):
    page = open_page()
    text = page.locator(".list").inner_text()
    assert "<script>alert(1)</script>" in text
    assert "\\u202e" in text
    assert "\\x1b" in text
    assert "\\xff" in text
    assert page.locator("script:not([type])").count() == 1


def test_it_reads_without_javascript(open_page):
    page = open_page(java_script_enabled=False)
    text = page.locator("main").inner_text()
    for words in (
        "machines need action",
        "Tighten the clamp, record again",
        "4 % of samples clipped",
        "How far to trust",
    ):
        assert words in text
    page.goto(page.url + "#" + page.locator(".list tr", has_text="P-113").get_attribute("data-id"))
    finding = page.locator(".finding:target").inner_text()
    for words in (
        "What speaks against it",
        "brought back to the healthy level",
        "power LOST",
        "Look at the four bolts",
    ):
        assert words in finding


@pytest.mark.parametrize("width", [390, 820])
def test_it_fits_a_phone(open_page, width):
    page = open_page(viewport={"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator(".list .ma a:has-text('P-113')").click()
    page.wait_for_selector(".finding:target .map-reading")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
