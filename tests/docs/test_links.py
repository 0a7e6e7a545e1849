"""Links of the documentation lead somewhere, and every name of camvib that is written down exists."""

import importlib
import re
from pathlib import Path

import pytest

import camvib

ROOT = Path(camvib.__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "mlflow").glob("*.md")])
SOURCES = sorted([*(ROOT / "camvib").rglob("*.py"), *(ROOT / "pipelines").glob("*.py")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAME = re.compile(r"`(camvib(?:\.\w+)+)`")
NOT_PYTHON = {"camvib.notifiers", "camvib.alerts", "camvib.case.opened"}  # entry points, a logger, an event


def anchors(page: Path) -> set[str]:
    """Headings as links name them: lower case, words joined by hyphens."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    heads = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", head)).lower().replace(" ", "-")
        for head in heads
    }


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            fields = getattr(found, "__dataclass_fields__", {}) | getattr(found, "model_fields", {})
            if part in fields or part in getattr(found, "__annotations__", {}):
                return True
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    lost = []
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):  # the network is not asked
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            lost.append(link)
    assert not lost


def test_every_name_of_camvib_in_the_documentation_and_in_docstrings_exists() -> None:
    lost = []
    for file in [*PAGES, *SOURCES]:
        lost += [
            f"{file.relative_to(ROOT)}: {name}"
            for name in set(NAME.findall(file.read_text())) - NOT_PYTHON
            if not exists(name)
        ]
    assert not lost
