"""Reading request bodies, and writing answers. Nothing that grows with one is done in the event loop, and what a body
may hold is bounded.

When a request has come whole, it waits for a place to work in (`lanes.py`).

The size of a body is limited by `SizeGate`. A small body can still be dear: an empty list of three bytes takes 60 bytes
of memory, and its problems may take much more. So the values of a large body are counted before it is parsed, and it
is parsed and validated in a thread, while the event loop answers others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final

from anyio.to_thread import run_sync
from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import to_json

from server.routes.lanes import Lanes, client_of
from sturgeon.errors import BadRequest, TooLarge, UnsupportedMediaType

SMALL: Final = 16_384
"""Bytes of a body that is parsed and validated at once: to hand it to a thread would take longer."""

MOST_VALUES: Final = 200_000
"""Values that a body may hold, each entry of a list or an object being one."""


class BodyRoute(APIRoute):
    """A route whose large JSON bodies are validated in a thread before the route sees them, and which works in a place.

    A route that is `async` waits for something else, too, so it takes its places by itself. Another one writes its
    answer as JSON in the thread that made it. (Routes that set headers leave it to FastAPI: they answer one thing.)
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if not iscoroutinefunction(endpoint):
            endpoint = self._writing(endpoint, options.get("status_code") or 200)
        super().__init__(path, endpoint, **options)

    def _writing(self, endpoint: Callable[..., Any], status_code: int) -> Callable[..., Any]:
        @wraps(endpoint)
        def write(**values: Any) -> Any:
            answer = endpoint(**values)
            if answer is None or isinstance(answer, Response) or _sets_headers(self.dependant):
                return answer
            return Response(_json(answer), status_code, media_type="application/json")

        return write

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI's own, behind the reading of the body."""
        answer = super().get_route_handler()
        takes_own_places = iscoroutinefunction(self.endpoint)

        async def read_and_answer(request: Request) -> Response:
            lanes: Lanes = request.app.state.lanes
            if self.body_field is not None:
                request = await self._read(request, lanes)
            if takes_own_places:
                return await answer(request)
            async with lanes.work.place(client_of(request)):
                return await answer(request)

        return read_and_answer

    async def _read(self, request: Request, lanes: Lanes) -> Request:
        body = await request.body()
        if body and not _is_json(request):
            raise UnsupportedMediaType
        if len(body) <= SMALL:
            return request
        return _Read(request, body, await run_sync(self._validated, body, limiter=lanes.bodies))

    def _validated(self, body: bytes) -> object:
        """The message in the body. Raises: TooLarge, BadRequest (it is not JSON), RequestValidationError."""
        if more_values(body, MOST_VALUES):
            raise TooLarge(f"The body holds more than {MOST_VALUES} values; send them in several requests.")
        try:
            sent = json.loads(body)
        except (ValueError, RecursionError):
            raise BadRequest("The body is not valid JSON.") from None
        assert self.body_field is not None
        message, problems = self.body_field.validate(sent, {}, loc=("body",))
        if problems:
            raise RequestValidationError(problems, body=sent)
        return message


def _sets_headers(dependant: Dependant) -> bool:
    return dependant.response_param_name is not None or any(map(_sets_headers, dependant.dependencies))


def _json(answer: BaseModel | dict[str, Any]) -> str | bytes:
    return answer.model_dump_json() if isinstance(answer, BaseModel) else to_json(answer)


class _Read(Request):
    """A request whose body has been read. FastAPI takes the message for the parsed body, and accepts it as it is."""

    def __init__(self, request: Request, body: bytes, message: object) -> None:
        super().__init__(request.scope, request.receive)
        self._body = body
        self._message = message

    async def json(self) -> Any:
        return self._message


def more_values(body: bytes, most: int) -> bool:
    """Whether a JSON text holds more than `most` values, by its commas and brackets; those in strings do not count."""
    if _separators(body) <= most:
        return False
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    if unescaped.count(b'"') > 4 * most:  # a key and a text for each value
        return True
    return _separators(b"".join(unescaped.split(b'"')[::2])) > most


def _separators(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _is_json(request: Request) -> bool:
    """FastAPI takes any subtype that ends with +json, such as that of a form; here only JSON itself counts."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
