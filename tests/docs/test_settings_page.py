"""The settings page shows every key with its default, and no other."""

import re
import tomllib
from pathlib import Path

import camvib
from camvib.settings import Settings

PAGE = Path(camvib.__file__).resolve().parents[1] / "docs" / "reference" / "settings.md"
TOML = PAGE.read_text().split("```toml\n", 1)[1].split("```", 1)[0]


def keys(tree: dict[str, object], prefix: str = "") -> set[str]:
    nested = [keys(value, f"{prefix}{name}.") for name, value in tree.items() if isinstance(value, dict)]
    own = {prefix + name for name, value in tree.items() if not isinstance(value, dict)}
    return own.union(*nested)


def test_what_is_shown_is_the_default() -> None:
    assert Settings.model_validate(tomllib.loads(TOML)) == Settings()


def test_every_key_is_shown_and_those_behind_a_hash_are_decided_by_the_data() -> None:
    shown = keys(tomllib.loads(TOML))
    whole = keys(tomllib.loads(re.sub(r"^# (\w+ = )", r"\1", TOML, flags=re.MULTILINE)))
    fields = keys({name: _fields(stage) for name, stage in _stages().items()})
    assert whole == fields
    hidden = whole - shown
    assert {key for key in fields if _default(key) is None} == hidden


def _stages() -> dict[str, object]:
    return {name: getattr(Settings(), name) for name in Settings.model_fields}


def _fields(stage: object) -> dict[str, object]:
    values = {name: getattr(stage, name) for name in type(stage).model_fields}  # type: ignore[attr-defined]
    return {name: _fields(value) if hasattr(type(value), "model_fields") else value for name, value in values.items()}


def _default(key: str) -> object:
    found: object = Settings()
    for part in key.split("."):
        found = getattr(found, part)
    return found
