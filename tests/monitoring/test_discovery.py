"""What is found, what is known of it, and what is left out and said."""

import functools
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from camvib.errors import SettingsError
from camvib.monitoring.batch import Options, diagnose
from camvib.monitoring.claims import Claims
from camvib.monitoring.discovery import Discovery, FoundFile, Listing, discover, entries_of
from camvib.monitoring.ledger import Store
from camvib.monitoring.path_pattern import PathPattern
from camvib.records import Declared


def found(source: object, wanted: Discovery = Discovery()) -> tuple[dict[str, FoundFile], Listing]:
    listing = Listing()
    return {Path(file.path).name: file for file in discover([source], wanted, listing)}, listing  # type: ignore[list-item]


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    return folder


@pytest.mark.parametrize(
    ("pattern", "path", "asset", "when"),
    [
        ("{asset}/{date}.wav", "pump 1/20260102T030405.wav", "pump 1", datetime(2026, 1, 2, 3, 4, 5)),
        ("{asset}/{date}.wav", "site/a/pump/2026-01-02T03-04-05.wav", "pump", datetime(2026, 1, 2, 3, 4, 5)),
        ("{asset}_{date}.{}", "fan_1767323045.csv", "fan", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("{asset}/*/{date}Z.wav", "fan/raw/20260102T030405Z.wav", "fan", datetime(2026, 1, 2, 3, 4, 5)),
        ("{asset}/{}.wav", "fan/whatever.wav", "fan", None),
    ],
)
def test_a_pattern_reads_asset_and_time(pattern: str, path: str, asset: str, when: datetime | None) -> None:
    said = PathPattern(pattern).read(path)
    assert said is not None
    assert (said.asset, said.recorded_at) == (asset, when)


@pytest.mark.parametrize("pattern", ["x.wav", "{asset}/{asset}.wav", "{machine}/{date}.wav"])
def test_a_pattern_that_says_nothing_or_too_much_is_refused(pattern: str) -> None:
    with pytest.raises(SettingsError, match="fields"):
        Discovery(asset_from=pattern)


def test_all_files_are_taken_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "a.wav",
        "b.wav",
        "sub/c.wav",
        ".hidden",
        "twins/t.wav",
        "README.md",
        "sub/Thumbs.db",
        "asset=fan/d.wav",
    )
    pd.DataFrame([{"file": "a.wav", "asset": "pump"}, {"file": "gone.wav"}]).to_csv(
        tmp_path / "labels.csv", index=False
    )
    files, listing = found(tmp_path)
    assert set(files) == {"a.wav", "b.wav", "c.wav", "d.wav", "gone.wav"}
    assert files["gone.wav"].size == -1
    assert entries_of(files["a.wav"].entries, Path("a.wav"))[0].asset == "pump"
    assert entries_of(files["d.wav"].entries, Path("d.wav"))[0].asset == "fan"
    notes = " ".join(listing.notes)
    assert "twins" in notes
    assert "no labels.csv names" in notes


def test_what_is_declared_comes_first_and_the_asset_last(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "b.wav")
    pd.DataFrame([{"file": "a.wav", "asset": "pump", "unit": "g"}]).to_csv(tmp_path / "labels.csv", index=False)
    files, _ = found(tmp_path, Discovery(Declared(unit="m/s2"), asset="spare"))
    assert json.loads(files["a.wav"].entries)[0] == {"asset": "pump", "unit": "m/s2"}
    assert json.loads(files["b.wav"].entries)[0] == {"asset": "spare", "unit": "m/s2"}


def test_a_source_that_is_missing_or_empty_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.wav")
    (tmp_path / "empty").mkdir()
    listing = Listing()
    files = list(discover([tmp_path / "absent", tmp_path / "empty", tmp_path / "in"], Discovery(), listing))
    assert [Path(file.path).name for file in files] == ["a.wav"]
    assert [Path(source).name for source, _ in listing.missing] == ["absent", "empty"]


def test_files_still_being_written_are_left_to_the_next_run(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    files, listing = found(tmp_path, Discovery(settle_s=3600))
    assert (files, listing.unsettled, listing.missing) == ({}, 1, [])


def test_only_new_and_changed_files_wait(store: Store, tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.wav", "b.wav")
    claims = Claims(store.database, "job")

    def todo(wanted: Discovery = Discovery()) -> int:
        return len(claims.register(discover([tmp_path / "in"], wanted, Listing())).todo)

    assert todo() == 2
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE files SET state = 'done'")
    assert todo() == 0
    (tmp_path / "in" / "a.wav").write_text("longer")
    touch(tmp_path / "in", "c.wav")
    assert todo() == 2
    assert todo(Discovery(Declared(unit="g"))) == 3  # another unit is another question


@pytest.fixture
def served(fill: Callable[[Path, int], Path], tmp_path: Path) -> Iterator[str]:
    """A folder of recordings behind a local server."""
    fill(tmp_path / "bucket" / "pump", 3)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "bucket"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/pump/"
    server.shutdown()
    thread.join()


@pytest.mark.parametrize("kind", ["file", "http"])
def test_recordings_behind_a_url_are_fetched_and_diagnosed_once(
    kind: str, served: str, model_folder: Path, tmp_path: Path
) -> None:
    url = served if kind == "http" else (tmp_path / "bucket").as_uri()
    store = Store(tmp_path / "s.db")
    options = Options(Discovery(asset_from="{asset}/{}.npz"), workers=0)
    first = diagnose([url], model_folder, store, options, progress=False)
    assert first.counts.get("refused", 0) == 0, first.diagnoses
    assert first.new == 3
    assert all(one.recording.startswith(f"{kind}://") for one in first.diagnoses)
    assert diagnose([url], model_folder, store, options, progress=False).new == 0
