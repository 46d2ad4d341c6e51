"""What every request passes before it is read: the size limit, the request's id, its time and its line in the log."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.problems import problem_response, unexpected
from server.request_context import CURRENT, LONGEST, MESSAGE, REQUEST_ID
from server.services.metrics import Counters
from sturgeon.errors import Overloaded, Problem, TooLarge, Unavailable
from sturgeon.messages import LARGEST_LOG

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that are counted by name. A client may invent others, and each new name would stay in memory."""

SLOW_S: Final = 1.0
"""A request that takes longer, beside what it waits for work, is logged."""

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
    """Gives each request an id, sends it back as X-Request-ID, counts the answer and its time, and logs the requests
    that failed here or took long; if `every` is set, all of them."""

    def __init__(self, app: ASGIApp, counters: Counters, *, every: bool = False) -> None:
        self._app = app
        self._counters = counters
        self._every = every

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[REQUEST_ID] = request_id = os.urandom(8).hex()
        answer = _Answer(request_id.encode(), send)
        before = CURRENT.set(scope)
        began = time.perf_counter()
        try:
            await self._app(scope, receive, answer.send)
        except asyncio.CancelledError:  # a server that stops does so to what takes too long; uvicorn would answer 500
            if answer.has_begun:
                raise
            stopping = Unavailable("The server is stopping and could not finish this; send it again in a moment.")
            await problem_response(stopping)(scope, receive, answer.send)
        except Exception as error:  # of a gate; FastAPI's layers have answered those of routes
            if answer.has_begun:
                raise
            await (await unexpected(Request(scope), error))(scope, receive, answer.send)
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in METHODS else "other"
            # How long a stream was open is not how long an answer took.
            self._counters.answered(method, route, answer.status, None if answer.is_stream else seconds)
            if answer.status >= 500 or self._every or _took_long(scope, answer, seconds):
                _note(scope, route, answer, seconds)
            CURRENT.reset(before)


class _Answer:
    """What is sent for one request."""

    def __init__(self, request_id: bytes, send: Send) -> None:
        self._request_id, self._send = request_id, send
        self.status = 500
        self.size = 0
        self.is_stream = False
        self.has_begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.has_begun = True
            headers = message["headers"]
            kind = next((value for name, value in headers if name == b"content-type"), b"")
            self.is_stream = kind.startswith(b"text/event-stream")
            message["headers"] = [*headers, (b"x-request-id", self._request_id)]
        else:
            self.size += len(message.get("body", b""))
        await self._send(message)


def _took_long(scope: Scope, answer: _Answer, seconds: float) -> bool:
    """Beyond what the request said that it would wait for work."""
    return seconds > SLOW_S and not answer.is_stream and seconds > SLOW_S + getattr(scope.get(MESSAGE), "wait", 0.0)


def _note(scope: Scope, route: str, answer: _Answer, seconds: float) -> None:
    note = log.warning if answer.status >= 500 else log.info
    note(
        "request",
        method=scope["method"][:LONGEST],
        route=route,
        path=scope["path"][:LONGEST],  # without the query, in which there might be a token
        status=answer.status,
        ms=round(seconds * 1000, 1),
        bytes=answer.size,
    )
