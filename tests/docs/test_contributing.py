"""The worked examples of CONTRIBUTING.md are true: each file is put in its room, and its test is run."""

import inspect
import re
import sys
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import camvib
from camvib.readers import in_this_process, opening
from camvib.recordings import signal_checks

PAGE = Path(camvib.__file__).resolve().parents[1] / "CONTRIBUTING.md"
BLOCKS = re.findall(r"```python\n# (\S+?)(?:, at its end)?\n(.*?)```", PAGE.read_text(), re.DOTALL)
EXAMPLES = list(zip(BLOCKS[::2], BLOCKS[1::2], strict=True))


def test_there_is_one_for_each_way_to_extend() -> None:
    assert [Path(file).parent.name for (file, _), _ in EXAMPLES] == [
        "readers", "images", "networks", "recordings", "notifiers",
    ]  # fmt: skip
    assert all(file.startswith("tests/") for _, (file, _) in EXAMPLES)


def move_in(file: str, code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the room have one file more, for the time of a test."""
    room, module = import_module(".".join(Path(file).parent.parts)), Path(file).stem
    monkeypatch.setattr(room, "__path__", [*room.__path__, str(folder)])
    (folder / Path(file).name).write_text(code)
    monkeypatch.delitem(sys.modules, f"{room.__name__}.{module}", raising=False)
    invalidate_caches()
    if room.__name__ == "camvib.readers":
        plugins = ((module, f"{room.__name__}.{module}"), *opening._plugins())
        monkeypatch.setattr(opening, "_plugins", lambda: plugins)


@pytest.mark.parametrize(("built", "test"), EXAMPLES, ids=[file for (file, _), _ in EXAMPLES])
def test_an_example_passes_its_own_test(
    built: tuple[str, str], test: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, code = built
    (tmp_path / "room").mkdir()
    if file == "camvib/recordings/signal_checks.py":
        monkeypatch.setattr(signal_checks, "CHECKS", signal_checks.CHECKS)  # put back afterwards
        exec(compile(code, file, "exec"), vars(signal_checks))
    else:
        move_in(file, code, tmp_path / "room", monkeypatch)
    module = ModuleType("example")
    exec(compile(test[1], test[0], "exec"), vars(module))
    found: list[Any] = [one for name, one in vars(module).items() if name.startswith("test_")]
    assert found
    with in_this_process():  # a reading process of its own would not see the file
        for number, one in enumerate(found):
            (tmp_path / str(number)).mkdir()
            one(**({"tmp_path": tmp_path / str(number)} if inspect.signature(one).parameters else {}))
