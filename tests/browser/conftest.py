"""The page of an invented plant, opened in Chromium."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from invented_plant import CLASSES, NASTY, PLANT, history, material, view

from camvib.recordings.plant import Action, Plant
from camvib.report.page import write_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need Chromium."""
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium on this machine; install it to test the page"))


@pytest.fixture(scope="session")
def plant() -> Plant:
    nasty = Action(title=NASTY, do=NASTY, checklist=(NASTY,), also=(NASTY,), undone_by=NASTY)
    return PLANT.model_copy(update={"actions": {**PLANT.actions, NASTY: nasty}})


@pytest.fixture(scope="session")
def report_file(tmp_path_factory: pytest.TempPathFactory, plant: Plant) -> Path:
    attack = history(NASTY, "crack", began=8)
    attack = replace(attack, cases=(replace(attack.cases[0], label=NASTY, family=NASTY),))
    out = tmp_path_factory.mktemp("page") / "report.html"
    return write_page(view(60, plant, more=(attack,)), out, plant=plant, material_of=material, labels=CLASSES)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    with sync_api.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the page did that it should not; empty at the end of each test."""
    return []


@pytest.fixture
def open_page(browser, report_file: Path, complaints: list[str]):
    """Open the report; on leaving, the console must have been silent and the network untouched."""
    contexts = []

    def open_it(at: str = "", file: Path = report_file, **options):
        context = browser.new_context(**{"viewport": {"width": 1340, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on(
            "request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else complaints.append(r.url)
        )
        page.goto(file.as_uri(), wait_until="load")
        if at:
            page.locator(f".list .ma a:has-text('{at}')").click()
            page.wait_for_selector(".finding:target")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []
