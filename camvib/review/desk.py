"""The review desk: the page served from the ledger, with buttons that write into it."""

from __future__ import annotations

import ipaddress
import json
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from camvib.errors import CamvibError
from camvib.monitoring.ledger import Store
from camvib.review.answers import items_of, take
from camvib.review.publish import Page

MOST_BYTES = 2_000_000
KEEP_S = 60.0  # a page older than this is made anew when it is asked for
COOKIE = "camvib-review"
LOOPBACK = {"127.0.0.1", "localhost", "[::1]", "::1"}
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Desk:
    """Serves one ledger.

    Parameters
    ----------
    store : Store
    make_page : callable
        Makes the page of what the ledger holds now.
    token : str
        What a browser must know to be let in; empty on the loopback, where only this machine's users are.
    """

    def __init__(self, store: Store, make_page: Callable[[], Page], token: str = "") -> None:
        self.store, self.make_page, self.token = store, make_page, token
        # Only a page that this desk served knows it: what another site makes a browser send, does not.
        self.desk = secrets.token_urlsafe(24)
        self._lock = threading.Lock()
        self._made: tuple[float, bytes] | None = None

    def app(self) -> Starlette:
        """The application."""
        return Starlette(
            routes=[Route("/", self.page, methods=["GET"]), Route("/answers", self.answers, methods=["POST"])]
        )

    async def page(self, request: Request) -> Response:
        """Serve the page; a browser that brings the token in the address gets it as a cookie."""
        if refused := self._refuse(request):
            return refused
        given = request.query_params.get("token")
        if self.token and given and secrets.compare_digest(given.encode(), self.token.encode()):
            answer = RedirectResponse("/", status_code=303, headers=HEADERS)
            answer.set_cookie(COOKIE, self.token, httponly=True, samesite="strict", path="/")
            return answer
        if not self._let_in(request):
            return PlainTextResponse(
                "Open the address that 'camvib review' printed: it holds the token.\n", 401, headers=HEADERS
            )
        return Response(await run_in_threadpool(self._page), media_type="text/html; charset=utf-8", headers=HEADERS)

    async def answers(self, request: Request) -> Response:
        """Take answers; those that are stored already are not stored again."""
        if refused := self._refuse(request):
            return refused
        if not self._let_in(request) or not self._ours(request):
            return self._no(403, "this page is not of this desk, or the desk was started anew: reload it")
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return self._no(413, f"more than {MOST_BYTES} bytes: hand the answers in in parts")
        try:
            items = items_of(json.loads(body), "the request")
        except (ValueError, CamvibError) as error:
            return self._no(400, str(error))
        taken = await run_in_threadpool(take, self.store, items, at=datetime.now(UTC))
        self._made = None
        refused_items = [{"key": key, "error": why} for key, why in taken.refused]
        said = {"new": taken.new, "known": taken.known, "refused": refused_items, "conflicts": len(taken.conflicts)}
        return JSONResponse(said, headers=HEADERS)

    def _page(self) -> bytes:
        """Render the page, or give the one that was rendered a moment ago."""
        with self._lock:
            made = self._made
            if made is None or time.monotonic() - made[0] > KEEP_S:
                text = "".join(self.make_page().pieces(self.desk))
                made = self._made = time.monotonic(), text.encode("utf-8", "backslashreplace")
            return made[1]

    def _refuse(self, request: Request) -> Response | None:
        """On the loopback only its own names are served: another site's name that leads here is a trick."""
        host = request.headers.get("host", "").rsplit(":", 1)[0] if not self.token else ""
        if not self.token and host not in LOOPBACK:
            return self._no(400, f"no desk of the name {host[:80]!r}")
        return None

    def _let_in(self, request: Request) -> bool:
        given = request.cookies.get(COOKIE, "")
        return not self.token or secrets.compare_digest(given.encode(), self.token.encode())

    def _ours(self, request: Request) -> bool:
        given = request.headers.get("x-camvib-desk", "")
        origin = request.headers.get("origin")
        same = origin is None or origin.split("://", 1)[-1] == request.headers.get("host")
        is_json = request.headers.get("content-type", "").split(";")[0] == "application/json"
        return same and is_json and secrets.compare_digest(given.encode(), self.desk.encode())

    @staticmethod
    def _no(status: int, why: str) -> Response:
        return JSONResponse({"error": why}, status, headers=HEADERS)


def is_loopback(host: str) -> bool:
    """Whether only this machine's users reach an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def serve(store: Store, make_page: Callable[[], Page], host: str, port: int, token: str = "") -> None:
    """Serve until Ctrl-C.

    Raises
    ------
    CamvibError
        The address is not of this machine alone, and no token is given.
    """
    import uvicorn

    if not is_loopback(host) and len(token) < 16:
        raise CamvibError(
            f"{host} is reached from other machines, and the token has {len(token)} characters of 16",
            "Give --token FILE with a long random text, or keep to 127.0.0.1",
        )
    desk = Desk(store, make_page, token)
    uvicorn.run(desk.app(), host=host, port=port, log_level="warning", access_log=False, server_header=False)
