"""What every request passes before it is read: the size limit, the request's id and time."""

from __future__ import annotations

import os
import time
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.problems import problem_response
from server.services.metrics import Counters
from sturgeon.errors import Overloaded, Problem, TooLarge
from sturgeon.messages import LARGEST_LOG

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that are counted by name. A client may invent others, and each new name would stay in memory."""

log = structlog.get_logger()


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
