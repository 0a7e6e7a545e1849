"""The review desk: who is let in, what is taken, and that several at once lose nothing."""

import re
import threading

import httpx
import pytest
from invented_plant import NOW, PLANT
from starlette.testclient import TestClient

from camvib.errors import CamvibError
from camvib.monitoring.ledger import Store
from camvib.review.desk import MOST_BYTES, Desk, is_loopback, serve
from camvib.review.publish import page_of

CLIENTS, EACH = 20, 5


def desk_of(store: Store, token: str = "") -> Desk:
    return Desk(store, lambda: page_of(store, PLANT.model_copy(update={"machines": {}}), now=NOW), token)


@pytest.fixture
def desk(store) -> Desk:
    return desk_of(store)


@pytest.fixture
def client(desk) -> TestClient:
    return TestClient(desk.app(), base_url="http://127.0.0.1:8765", follow_redirects=False)


def body(store, key: str = "k1", **more) -> dict:
    case = next(c for c in store.cases() if c.asset == "P-113")
    item = {"key": key, "kind": "comment", "author": "MR", "at": "2026-11-23T07:00:00Z", "asset": "P-113",
            "case_id": case.id, "text": "seen it", **more}  # fmt: skip
    return {"camvib_answers": 1, "items": [item]}


def send(client, desk, content, **headers):
    return client.post("/answers", json=content, headers={"x-camvib-desk": desk.desk, **headers})


def test_it_serves_the_same_page_and_the_page_knows_its_desk(client, desk):
    answer = client.get("/")
    assert answer.status_code == 200
    assert "3 machines" in re.sub(r"\s+", " ", answer.text)
    assert f'content="{desk.desk}"' in answer.text
    assert "connect-src 'self'" in answer.text
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"


def test_an_answer_is_stored_once_and_stands_on_the_page(client, desk, store):
    client.get("/")
    assert send(client, desk, body(store)).json() == {"new": 1, "known": 0, "refused": [], "conflicts": 0}
    assert send(client, desk, body(store)).json()["known"] == 1
    assert "seen it (MR)" in client.get("/").text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-camvib-desk": "guessed"}, 403),
        ({"x-camvib-desk": ""}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"content-type": "text/plain"}, 403),
        ({"host": "evil.example"}, 400),
    ],
)
def test_what_another_site_makes_a_browser_send_is_not_taken(client, desk, store, headers, status):
    assert send(client, desk, body(store), **headers).status_code == status
    assert store.answers() == []


def test_too_much_and_nonsense_are_refused(client, desk, store):
    assert send(client, desk, body(store, text="x" * MOST_BYTES)).status_code == 413
    headers = {"x-camvib-desk": desk.desk, "content-type": "application/json"}
    assert client.post("/answers", content=b"{", headers=headers).status_code == 400
    assert client.get("/answers").status_code == 405
    assert client.get("/../../etc/passwd").status_code == 404


def test_another_address_asks_for_the_token(store):
    desk = desk_of(store, "a-long-secret-of-the-plant")
    client = TestClient(desk.app(), base_url="http://plant.example:8765", follow_redirects=False)
    assert client.get("/").status_code == 401
    assert client.get("/?token=wrong").status_code == 401
    assert send(client, desk, body(store)).status_code == 403
    answer = client.get("/?token=a-long-secret-of-the-plant")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/").status_code == 200
    assert send(client, desk, body(store)).json()["new"] == 1


def test_an_open_address_without_a_token_is_not_served(store):
    with pytest.raises(CamvibError, match=r"0\.0\.0\.0 is reached from other machines"):
        serve(store, lambda: None, "0.0.0.0", 8765)  # type: ignore[arg-type,return-value]
    assert [is_loopback(h) for h in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "192.168.0.4", "plant.example")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_twenty_reviewers_at_once_lose_nothing(store, desk):
    """Through a real server, each with its own connection."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(desk.app(), host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            thread.join(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        problems: list[str] = []

        def review(who: int) -> None:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
                for n in range(EACH):
                    content = body(store, f"{who}-{n}", author=f"reviewer {who}")
                    answer = http.post("/answers", json=content, headers={"x-camvib-desk": desk.desk})
                    if answer.status_code != 200 or answer.json()["new"] != 1:
                        problems.append(answer.text)

        reviewers = [threading.Thread(target=review, args=(who,)) for who in range(CLIENTS)]
        for one in reviewers:
            one.start()
        for one in reviewers:
            one.join(120)
    finally:
        server.should_exit = True
        thread.join(20)
    assert problems == []
    stored = store.answers()
    assert len(stored) == CLIENTS * EACH
    assert len({(a.author, a.key) for a in stored}) == CLIENTS * EACH
