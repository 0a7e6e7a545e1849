"""axe-core finds no serious fault; words stand out from their ground."""

import pytest

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("at", ["", "P-113", "P-301"])
@pytest.mark.parametrize("width", [1340, 390])
def test_axe_finds_no_serious_fault(open_page, scheme, at, width):
    page = open_page(at, color_scheme=scheme, viewport={"width": width, "height": 900})
    if at == "P-113":
        page.wait_for_selector(".finding:target .cursor-tools")
    found = axe.Axe().run(page).response["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert [(v["id"], [n["html"][:120] for n in v["nodes"][:3]]) for v in serious] == []
