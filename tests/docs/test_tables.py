"""Generated tables are those of the committed results."""

import importlib.util
import re
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("tables", Path(__file__).with_name("tables.py"))
assert _spec
assert _spec.loader
tables = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tables)


@pytest.mark.parametrize("page", tables.pages(), ids=lambda page: page.name)
def test_a_page_has_the_tables_of_the_results(page: Path) -> None:
    text = page.read_text()
    assert tables.renewed(text) == text, f"{page}: run python tests/docs/tables.py"
    assert len(re.findall(r"<!--\s*/?\s*table", text)) == 2 * len(tables.PLACE.findall(text))


def test_a_changed_figure_changes_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "maps.json").write_text('{"deletion": {"camvib": 0.1234, "energy": 0.5}, "insertion": {"camvib": 0.5}}')
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    table = tables.written("map-deletion").splitlines()
    assert table[2:] == ["| class map | 0.123 | 0.500 |", "| energy | 0.500 | – |"]
    page = "<!-- table: map-deletion -->\nold\n<!-- /table -->\nend"
    assert tables.renewed(page).splitlines()[1:-2] == table
