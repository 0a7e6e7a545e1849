"""A registry that does not answer: the version that it named last goes on, and that is said."""

from pathlib import Path

import pytest

from camvib.errors import ModelError
from camvib.registry import cache, versions


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMVIB_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")


def down(_: object) -> Path:
    raise ConnectionError("connection refused")


def test_the_last_version_goes_on_while_the_registry_is_down(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "resolve", lambda _: model_folder)
    monkeypatch.setattr(cache, "_version", lambda _: "7")
    up = cache.find_model("models:/camvib@champion")
    assert (up.folder, up.version, up.is_cached) == (model_folder, "7", False)
    monkeypatch.setattr(versions, "resolve", down)
    found = cache.find_model("models:/camvib@champion")
    assert (found.folder, found.version, found.is_cached) == (model_folder, "7", True)
    assert found.asked_at == up.asked_at
    with pytest.raises(ModelError, match="no version is cached"):
        cache.find_model("models:/another@champion")


def test_a_registry_that_answers_no_is_believed(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "resolve", lambda _: model_folder)
    monkeypatch.setattr(cache, "_version", lambda _: "7")
    cache.find_model("models:/camvib@champion")

    def none_there(_: object) -> Path:
        raise ModelError("no version has the alias", "train one")

    monkeypatch.setattr(versions, "resolve", none_there)
    with pytest.raises(ModelError, match="no version has the alias"):
        cache.find_model("models:/camvib@champion")
