"""Write the tables of kinds into docs/reference/formats.md, from the tests' own table.

Run: python tests/readers/makers/formats_table.py
"""

import re
from pathlib import Path

from kinds import Kind
from kinds_binary import BINARY
from kinds_text import TEXT

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "formats.md"
BEGIN, END = "<!-- kinds: made by tests/readers/makers/formats_table.py -->", "<!-- /kinds -->"


def row(kind: Kind) -> str:
    answer = kind.answer
    if answer.error:
        what = f"asked for: {answer.says}" if answer.error == "MissingMetadata" else f"refused: {answer.says}"
        what = what.replace("[+]", "+")
    else:
        names = [f"{name}{f' in {unit}' if unit else ''}" for name, (unit, _) in list(answer.channels.items())[:3]]
        more = ", …" if len(answer.channels) > 3 or not answer.only else ""
        what = f"{answer.hz:.6g} Hz; {', '.join(names)}{more}"
        what += f"; left out: {', '.join(answer.left_out)}" if answer.left_out else ""
    return f"| {cell(kind.name)} | {cell(what)} |"


def cell(text: str) -> str:
    return re.sub(r"\s*[\n\t]\s*", " ⏎ ", text).replace("|", "\\|").replace("<", "&lt;")


def tables() -> str:
    parts = [f"{BEGIN}\n"]
    for title, kinds in (("Text", TEXT), ("Binary files", BINARY)):
        parts.append(f"\n**{title}**\n\n| As strangers bring it | What comes out |\n|---|---|\n")
        parts += [row(kind) + "\n" for kind in kinds]
    return "".join(parts) + f"\n{END}"


def page(old: str) -> str:
    head, _, rest = old.partition(BEGIN)
    return head + tables() + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
