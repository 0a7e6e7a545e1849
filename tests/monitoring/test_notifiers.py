"""People are told of a case once, by whatever way; a way that fails stops nothing."""

import http.server
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from camvib.errors import SettingsError
from camvib.monitoring.ledger import Store
from camvib.monitoring.notifiers import notifier, tell
from camvib.monitoring.outcomes import Outcome
from camvib.records import Diagnosis


@pytest.fixture
def alarmed(tmp_path: Path) -> Store:
    """A store with a case that nobody was told of."""
    store = Store(tmp_path / "s.db")
    for hour in range(3):
        diagnosis = Diagnosis(
            f"r{hour}", f"/in/{hour}.wav", "a", "pump", "fault", "loose_clamp", {"healthy": 0.1, "loose_clamp": 0.9},
            reference="healthy", model="m", settings_digest="s",
        )  # fmt: skip
        store.keep([Outcome(diagnosis, None, "c", f"2026-01-01T0{hour}:00:00.000+00:00")])
    assert len(store.update_cases()) == 1
    return store


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """URL of a local webhook, and what was posted to it."""
    got: list[dict[str, object]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", got
    server.shutdown()
    thread.join()


def test_a_new_case_is_posted_once(alarmed: Store, hook: tuple[str, list[dict[str, object]]]) -> None:
    url, got = hook
    assert [case.asset for case in tell(alarmed, [url], "/reports/r.html")] == ["pump"]
    assert tell(alarmed, [url]) == []
    (one,) = got
    assert one["subject"] == "pump: loose clamp, 3 of the last 3 recordings"
    assert "/reports/r.html" in str(one["text"])
    assert (one["event"], one["family"], one["severity"]) == ("opened", "loose_clamp", pytest.approx(0.9))


def test_a_way_that_fails_is_logged_and_the_others_go_on(
    alarmed: Store, hook: tuple[str, list[dict[str, object]]], caplog: pytest.LogCaptureFixture
) -> None:
    url, got = hook
    with caplog.at_level(logging.WARNING, "camvib.alerts"):
        tell(alarmed, ["smtp://127.0.0.1:1?to=ann@example.com", "log:", url])
    assert len(got) == 1
    assert "nobody was told by smtp" in caplog.text
    assert "pump: loose clamp" in caplog.text


def test_a_misspelt_way_is_refused_before_anything_counts_as_told(alarmed: Store) -> None:
    with pytest.raises(SettingsError, match="pigeon"):
        tell(alarmed, ["pigeon://loft"])
    assert len(tell(alarmed, [])) == 1
    with pytest.raises(SettingsError, match="no 'to'"):
        notifier("smtp://host")("smtp://host", None)  # type: ignore[arg-type]
