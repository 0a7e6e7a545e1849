"""The reference of formats says what the tests assert."""

from formats_table import PAGE, page


def test_the_table_of_kinds_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "run python tests/readers/makers/formats_table.py"
