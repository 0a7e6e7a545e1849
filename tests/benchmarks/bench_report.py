"""The report measured: size, writing and opening, requests, accessibility, reviewers at once; and the docs' pictures.

python tests/benchmarks/bench_report.py [--out results/report.json] [--images docs/images]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "invented"))

from invented_plant import CLASSES, NOW, PLANT, TRUST, fill, history, look_at, material, outcomes, view  # noqa: E402

from camvib.monitoring.ledger import Store  # noqa: E402
from camvib.recordings.plant import Machine, Plant  # noqa: E402
from camvib.report.histories import plant_view  # noqa: E402
from camvib.report.page import write_page  # noqa: E402
from camvib.review.desk import Desk  # noqa: E402
from camvib.review.publish import page_of  # noqa: E402

FAULTS = ("loose_clamp", "crack", "tip_mass", "impact")
REVIEWERS, ANSWERS_EACH = 20, 10
MOST_PNG_KIB = 300


def main() -> None:
    """Measure everything and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "report.json")
    parser.add_argument("--images", type=Path, help="Folder for the docs' screenshots.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as play:
        folder = Path(name)
        chromium = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        found = {**sizes(folder), **opening(folder, chromium), **writing(folder), **inspected(folder, chromium)}
        found |= reviewers(folder)
        # Times are of a machine that others used as well: so many processes waited for its processors.
        found |= {"processors": os.cpu_count() or 1, "load_average": round(os.getloadavg()[1], 1)}
        if given.images:
            screenshots(folder, chromium, given.images)
        chromium.close()
    given.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def failing(count: int, quiet: int, every: float = 1.0, days: int = 56) -> tuple[list[Any], Plant]:
    """So many machines with faults, and so many without."""
    made = [
        history(f"F-{n:03d}", FAULTS[n % 4], began=6 + n % 20, every=every, seed=n, days=days) for n in range(count)
    ]
    made += [history(f"H-{n:04d}", every=every, seed=n, days=days) for n in range(quiet)]
    machines = {h.asset: Machine(area=f"Area {n % 6}") for n, h in enumerate(made)}
    return made, PLANT.model_copy(update={"machines": machines})


def page(folder: Path, name: str, count: int, quiet: int, every: float = 1.0) -> Path:
    """Write a page of invented machines, each finding with its own pictures."""
    made, plant = failing(count, quiet, every)
    seen = plant_view(made, plant, now=NOW, since=None, trust=TRUST, look_at=look_at)
    return write_page(seen, folder / name, plant=plant, material_of=material, labels=CLASSES, progress=False)


def sizes(folder: Path) -> dict[str, float]:
    """Size with 20 findings, what each adds, and with 10,000 recordings."""
    none, twenty, many = (page(folder, f"{n}.html", n, 60 - n) for n in (0, 20, 40))
    large = page(folder, "large.html", 0, 178)  # 56 recordings each
    each = (many.stat().st_size - twenty.stat().st_size) / 20
    return {
        "kib_0": round(none.stat().st_size / 1024, 1),
        "kib_20": round(twenty.stat().st_size / 1024, 1),
        "kib_per_finding": round(each / 1024, 1),
        "kib_10000_recordings": round(large.stat().st_size / 1024, 1),
    }


def opening(folder: Path, chromium: Browser) -> dict[str, float]:
    """Time until a page with 500 findings of 10,000 recordings is there and answers a key: median of five."""
    file = page(folder, "500.html", 500, 0, every=56 / 20)
    times = []
    for _ in range(5):
        tab = chromium.new_page(viewport={"width": 1340, "height": 900})
        began = time.perf_counter()
        tab.goto(file.as_uri(), wait_until="load")
        tab.keyboard.press("j")
        tab.wait_for_function("document.activeElement.closest('.list')")
        times.append(time.perf_counter() - began)
        tab.close()
    return {"open_500_s": round(sorted(times)[2], 2), "mib_500": round(file.stat().st_size / 2**20, 1)}


def writing(folder: Path) -> dict[str, float]:
    """Time to write the page of a ledger with 1,000 recordings, 20 findings among them."""
    store = Store(folder / "w.db")
    for n in range(50):
        kind = FAULTS[n % 4] if n < 20 else ""
        store.keep(outcomes(history(f"W-{n:03d}", kind, every=56 / 20, began=20, seed=n)))
    store.update_cases()
    began = time.perf_counter()
    made = page_of(store, Plant(), now=NOW)
    made.write(folder / "w.html", progress=False)
    assert made.view.recordings == 1000
    return {"write_1000_s": round(time.perf_counter() - began, 2), "write_1000_findings": len(made.view.rows)}


def inspected(folder: Path, chromium: Browser) -> dict[str, int]:
    """Requests that leave the page, and axe-core's serious faults, on the list and on findings, light and dark."""
    file = write_page(view(60), folder / "axe.html", plant=PLANT, material_of=material, labels=CLASSES, progress=False)
    requests: list[str] = []
    serious = 0
    for scheme in ("light", "dark"):
        for width in (1340, 390):
            context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            tab = context.new_page()
            tab.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else requests.append(r.url))
            tab.goto(file.as_uri())
            serious += faults(tab)
            for tag in ("P-113", "P-301"):
                tab.goto(file.as_uri() + "#" + (tab.locator(".list tr", has_text=tag).get_attribute("data-id") or ""))
                tab.wait_for_selector(".finding:target .answers")
                serious += faults(tab)
            context.close()
    return {"external_requests": len(requests), "axe_serious": serious}


def faults(tab: Page) -> int:
    """Serious and critical violations."""
    return sum(v["impact"] in ("serious", "critical") for v in Axe().run(tab).response["violations"])


@contextmanager
def served(desk: Desk) -> Any:
    """Serve a desk on a free port."""
    server = uvicorn.Server(uvicorn.Config(desk.app(), host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


def reviewers(folder: Path) -> dict[str, float]:
    """Answers that twenty reviewers give at once, and how many of them the ledger does not hold afterwards."""
    store = fill(Store(folder / "d.db"))
    desk = Desk(store, lambda: page_of(store, PLANT, now=NOW))
    case = next(c for c in store.cases() if c.asset == "P-113")

    def review(who: int, url: str) -> None:
        with httpx.Client(base_url=url, timeout=120) as http:
            for n in range(ANSWERS_EACH):
                item = {"key": f"{who}-{n}", "kind": "comment", "author": f"r{who}", "at": NOW.isoformat(),
                        "asset": "P-113", "case_id": case.id, "text": "x"}  # fmt: skip
                http.post(
                    "/answers", json={"camvib_answers": 1, "items": [item]}, headers={"x-camvib-desk": desk.desk}
                ).raise_for_status()

    began = time.perf_counter()
    with served(desk) as url:
        threads = [threading.Thread(target=review, args=(who, url)) for who in range(REVIEWERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    taken = time.perf_counter() - began
    lost = REVIEWERS * ANSWERS_EACH - len(store.answers())
    return {"reviewers_at_once": REVIEWERS, "answers_lost": lost, "answers_per_s": round(200 / taken, 1)}


def screenshots(folder: Path, chromium: Browser, images: Path) -> None:
    """Draw the docs' pictures: list and finding, light, dark, phone and paper."""
    rows = view(60)
    areas = ("Boiler house", "Raw mill", "Quarry", "Kiln", "Utilities")
    machines = {row.asset: Machine(area=areas[n % 5]) for n, row in enumerate(rows.quiet)}
    plant = PLANT.model_copy(update={"machines": {**PLANT.machines, **machines}})
    file = write_page(view(60, plant), folder / "shot.html", plant=plant, material_of=material, labels=CLASSES)
    images.mkdir(parents=True, exist_ok=True)
    for name, scheme, width, tag, media in (
        ("report-list", "light", 1340, "", "screen"),
        ("report-list-dark", "dark", 1340, "", "screen"),
        ("report-list-phone", "light", 390, "", "screen"),
        ("report-finding", "light", 1340, "P-113", "screen"),
        ("report-finding-dark", "dark", 1340, "P-113", "screen"),
        ("report-finding-phone", "dark", 390, "P-113", "screen"),
        ("report-finding-print", "light", 726, "P-113", "print"),
    ):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        tab = context.new_page()
        tab.goto(file.as_uri())
        tab.wait_for_selector("html[data-ready=yes]", state="attached")
        if tag:
            tab.locator(f".list .ma a:has-text('{tag}')").click()
            tab.wait_for_selector(".finding:target .cursor-tools")
            if media == "screen":
                tab.hover(".finding:target [data-kind=change] .pane", position={"x": 60, "y": 38})
        tab.emulate_media(media=media, color_scheme=scheme)
        target = tab.locator(".finding:target") if media == "print" else tab
        shot = {} if media == "print" else {"full_page": True}
        target.screenshot(path=images / f"{name}.png", **shot)
        context.close()
        small(images / f"{name}.png")


def small(path: Path) -> None:
    """Keep a picture within what a repository bears: a palette, then fewer colours."""
    from PIL import Image

    with Image.open(path) as picture:
        plain = picture.convert("RGB")
    for colours in (256, 128, 64, 32):
        plain.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= MOST_PNG_KIB * 1024:
            return
    raise SystemExit(f"{path}: {path.stat().st_size} bytes, {MOST_PNG_KIB} KiB at most")


if __name__ == "__main__":
    main()
