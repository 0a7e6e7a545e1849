"""Figures in the documentation are those of the committed results files.

A page binds a figure with ``<!-- figure: FILE KEY -->TEXT<!-- /figure -->``: FILE lies in
tests/benchmarks/results, KEY is dotted (``deletion.0.whole``; digits index lists), TEXT a number as a
reader sees it: ``0.984``, ``98.4 %`` (of the fraction in the file), ``1,347``, ``7.6e-06``.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "tests" / "benchmarks" / "results"
SPAN = re.compile(r"<!-- figure: (\S+) (\S+) -->([^<]*)<!-- /figure -->")
NUMBER = re.compile(r"([-+]?)([\d,]+)(?:\.(\d+))?(e[-+]\d+)?( ?%)?")


def look_up(results: Any, key: str) -> Any:
    for part in key.split("."):
        results = results[int(part) if isinstance(results, list) else part]
    return results


def as_printed(value: float | str, text: str) -> str:
    """Write `value` the way `text` is written: its decimals, separators, sign and percent."""
    if isinstance(value, str):
        return value
    form = NUMBER.fullmatch(text.replace("−", "-"))
    assert form, f"{text!r} is not a number"
    sign, whole, decimals, exponent, percent = form.groups()
    spec = ("+" if sign == "+" else "") + ("," if "," in whole else "") + f".{len(decimals or '')}"
    return format(value * (100 if percent else 1), spec + ("e" if exponent else "f")) + (percent or "")


def pages() -> list[Path]:
    return [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if page.is_file()]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_figures_of_a_page_are_the_measured_ones(page: Path) -> None:
    wrong = []
    for file, key, text in SPAN.findall(page.read_text()):
        value = look_up(json.loads((RESULTS / file).read_text()), key)
        if text.replace("−", "-") != as_printed(value, text):
            wrong.append(f"{file} {key} is {value}, the page says {text}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_binding_is_well_formed(page: Path) -> None:
    """A binding with a typing error would otherwise be checked by nobody."""
    text = page.read_text()
    assert len(re.findall(r"<!--\s*/?\s*figure", text)) == 2 * len(SPAN.findall(text))


@pytest.mark.parametrize(
    ("value", "text", "agrees"),
    [
        (0.98444, "0.984", True),
        (0.98444, "0.985", False),
        (0.98444, "98.4 %", True),
        (0.98444, "98.4%", True),
        (0.98444, "0.984 %", False),
        (1347, "1,347", True),
        (1347, "1347", True),
        (7.629e-06, "7.6e-06", True),
        (7.629e-06, "7.6e-05", False),
        (-2.04, "−2.0", True),
        (2.04, "+2.0", True),
        (2.04, "−2.0", False),
    ],
)
def test_the_binding_sees_a_wrong_figure(value: float, text: str, agrees: bool) -> None:
    assert (text.replace("−", "-") == as_printed(value, text)) is agrees
