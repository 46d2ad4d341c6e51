"""What every request passes before it is read: the shared token, the size limit, the request's id and time."""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import structlog
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.dashboard.sessions import COOKIE, is_session
from server.problems import problem_response
from server.services.metrics import Counters
from sturgeon.errors import Overloaded, Problem, TooLarge, Unauthorized
from sturgeon.messages import LARGEST_LOG

OPEN: Final = frozenset({"/healthz", "/readyz", "/docs", "/openapi.json", "/login", "/logout"})
"""Paths that need no token: they say nothing of any study."""
OPEN_FOLDERS: Final = ("/static-offline-docs/", "/static/")
"""What the pages load: the same on every server."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that are counted by name. A client may invent others, and each new name would stay in memory."""

log = structlog.get_logger()


class TokenGate:
    """Lets in who knows the token: by the header, or a browser by the cookie of the login. Refuses a wrong token on all
    paths, and a missing one on all but OPEN and OPEN_FOLDERS; a person who opens a page is led to the login."""

    def __init__(self, app: ASGIApp, token: str, of_browser: Callable[[Scope], Problem | None]) -> None:
        """`of_browser` says why a request that has the cookie is refused all the same."""
        self._app = app
        self._token = token
        self._wanted = f"Bearer {token}".encode()
        self._of_browser = of_browser

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._refusal(scope) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        """The answer to a request that gets no further; None if it does."""
        headers = Headers(scope=scope)
        sent = headers.get("authorization")
        if sent is not None:
            # Constant time, so that an answer's delay tells nothing about the token.
            is_right = hmac.compare_digest(sent.encode("utf-8", "replace"), self._wanted)
            return None if is_right else problem_response(_unauthorized(sent))
        if scope["path"] in OPEN or scope["path"].startswith(OPEN_FOLDERS):
            return None
        if is_session(self._token, cookie_parser(headers.get("cookie", "")).get(COOKIE)):
            refusal = self._of_browser(scope)
            return None if refusal is None else problem_response(refusal)
        return _to_login(scope) if _opens_a_page(scope, headers) else problem_response(_unauthorized(None))


def _opens_a_page(scope: Scope, headers: Headers) -> bool:
    """Whether a person follows a link, or types an address, and expects a page."""
    is_page = scope["method"] in ("GET", "HEAD") and not scope["path"].startswith("/v1")
    return is_page and "text/html" in headers.get("accept", "")


def _to_login(scope: Scope) -> RedirectResponse:
    query = scope["query_string"].decode("latin-1")
    wanted = scope["path"] + (f"?{query}" if query else "")
    return RedirectResponse(f"/login?next={quote(wanted, safe='')}", 303)


def _unauthorized(sent: str | None) -> Unauthorized:
    """Says whether the token is missing, in another form, or wrong; never repeats what was sent."""
    if sent is None:
        return Unauthorized()
    if not sent.startswith("Bearer "):
        return Unauthorized("The Authorization header has another form than `Authorization: Bearer TOKEN`.")
    return Unauthorized("The token in the Authorization header is not that of this server.")


MOST_HELD: Final = 16
"""So many bodies of the largest size are in memory at once. One of a sixteenth of it is taken even then."""


class SizeGate:
    """Refuses bodies over the limit: at once by their Content-Length, else as soon as too much has arrived. It also
    refuses large ones while others fill the memory that is meant for bodies; those of checkpoints go to the disk."""

    def __init__(self, app: ASGIApp, most: int, most_checkpoint: int) -> None:
        self._app = app
        self._most = most
        self._most_checkpoint = most_checkpoint
        self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        checkpoint = scope["method"] == "PUT" and "/checkpoints/" in scope["path"]
        most = self._most_checkpoint if checkpoint else self._most
        if scope["method"] == "PUT" and scope["path"].endswith("/log"):
            most = LARGEST_LOG
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdigit() and int(declared[:18]) > most:
            await problem_response(_too_large(most))(scope, receive, send)
            return
        body = _Body(self, most, receive, send, in_memory=not checkpoint)
        try:
            await self._app(scope, body.receive, body.send)
            if body.refusal is not None and not body.answered:
                await problem_response(body.refusal)(scope, receive, send)
        finally:
            self.held -= body.held

    def room_for(self, size: int) -> bool:
        """Whether a body of which so much has come may go on coming."""
        return size <= self._most // MOST_HELD or self.held <= MOST_HELD * self._most


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"The body is larger than this server takes, which is {most} bytes.")


class _Body:
    """The body of one request as it comes. Once it is refused nothing else is answered: FastAPI would take the refusal
    for a body that it cannot read."""

    def __init__(self, gate: SizeGate, most: int, receive: Receive, send: Send, *, in_memory: bool) -> None:
        self._gate, self._most, self._in_memory = gate, most, in_memory
        self._receive, self._send = receive, send
        self._received = 0
        self.held = 0
        self.answered = False
        self.refusal: Problem | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        size = len(message.get("body", b""))
        self._received += size
        if self._in_memory:
            self.held += size
            self._gate.held += size
        if self._received > self._most:
            self.refusal = _too_large(self._most)
        elif self._in_memory and not self._gate.room_for(self._received):
            self.refusal = Overloaded("The server holds as many large bodies as it can; try again in a moment.")
        if self.refusal is not None:
            raise self.refusal
        return message

    async def send(self, message: Message) -> None:
        if self.answered or self.refusal is None:
            self.answered = True
            await self._send(message)


class RequestLog:
    """Gives each request an id, sends it back as X-Request-ID, and logs the request with its status and its time."""

    def __init__(self, app: ASGIApp, counters: Counters) -> None:
        self._app = app
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = os.urandom(8).hex()
        began = time.perf_counter()
        status = 500
        is_stream = False

        async def noted(message: Message) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                is_stream = Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream")
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, noted)
            finally:
                seconds = time.perf_counter() - began
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if scope["method"] in METHODS else "other"
                if not is_stream:  # how long it was open is not how long an answer took
                    self._counters.requests.labels(method, route).observe(seconds)
                note = log.warning if status >= 500 else log.debug
                note(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    ms=round(seconds * 1000, 1),
                )
