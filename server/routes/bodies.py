"""Reading request bodies, and writing answers. Nothing that grows with one is done in the event loop, and what a body
may hold is bounded.

When a request has come whole, it waits for a place to work in (`lanes.py`).

The size of a body is limited by `SizeGate`. A small body can still be dear: an empty list of three bytes takes 60 bytes
of memory, and its problems may take much more. So the values of a large body are counted before it is parsed, and it
is parsed and validated in a thread, while the event loop answers others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from functools import partial, wraps
from inspect import iscoroutinefunction
from typing import Any, Final, TypeVar, TypeVarTuple

from anyio.to_thread import run_sync
from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import to_json

from server.request_context import ACTION, CURRENT, MESSAGE
from server.routes.arguments import Arguments, Values, read
from server.routes.lanes import Lanes, client_of
from sturgeon.errors import BadRequest, TooLarge, UnsupportedMediaType

Answer = TypeVar("Answer")
Taken = TypeVarTuple("Taken")

SMALL: Final = 16_384
"""Bytes of a body that is parsed and validated at once: to hand it to a thread would take longer."""

MOST_VALUES: Final = 200_000
"""Values that a body may hold, each entry of a list or an object being one."""


class BodyRoute(APIRoute):
    """A route whose large JSON bodies are validated in a thread before the route sees them, and which works in a place.

    A route that is `async` waits for something else, too, so it takes its places by itself. Another one writes its
    answer as JSON in the thread that made it.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.action: str | None = None  # as server/routes/table.py has it
        self._status = options.get("status_code") or 200
        self._takes_own_places = iscoroutinefunction(endpoint)
        if not self._takes_own_places:
            endpoint = self._writing(endpoint)
        super().__init__(path, endpoint, **options)
        self._arguments = Arguments.of(self.dependant)

    async def direct(self, request: Request, path: Mapping[str, Any]) -> Response | None:
        """The answer to a request that is as the description says; None if FastAPI has to look at it. `path` are the
        parameters in its address."""
        values = None if self._arguments is None else self._arguments.without_message(request, path)
        if values is None or self._arguments is None:
            return None
        lanes: Lanes = request.app.state.lanes
        request.scope[ACTION], request.scope["path_params"] = self.action, path
        size = len(await request.body()) if self._arguments.message is not None else 0
        if self._takes_own_places:
            async with lanes.alone_if_large(size, client_of(request)):
                is_read = await self._take_message(request, lanes, values)
            return self._written(await self.endpoint(**values), values) if is_read else None
        async with lanes.alone_if_large(size, client_of(request)):
            if not await self._take_message(request, lanes, values):
                return None
            answer: Response = await lanes.run(client_of(request), partial(self.endpoint, **values))
            return answer

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI's own, behind the reading of the body."""
        answer = super().get_route_handler()

        async def read_and_answer(request: Request) -> Response:
            lanes: Lanes = request.app.state.lanes
            request.scope[ACTION] = self.action
            size = len(await request.body()) if self.body_field is not None else 0
            async with lanes.alone_if_large(size, client_of(request)):
                if self.body_field is not None:
                    request = await self._read(request, lanes)
                if not self._takes_own_places:
                    async with lanes.work.place(client_of(request)):
                        return await answer(request)
            return await answer(request)

        return read_and_answer

    def _writing(self, endpoint: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(endpoint)
        def write(**values: Any) -> Any:
            _tell_message(values)
            answer = endpoint(**values)
            if isinstance(answer, Response) or any(map(_sets_headers, self.dependant.dependencies)):
                return answer
            return self._written(answer, values)

        return write

    def _written(self, answer: object, values: Values) -> Response:
        """The answer as it is sent, with the headers and the status that the route has set in its arguments."""
        if isinstance(answer, Response):
            return answer
        headers: Response | None = values.get(self.dependant.response_param_name or "")
        status = (headers and headers.status_code) or self._status
        response = Response(_json(answer) if status != 204 else None, status, media_type="application/json")
        if headers is not None:
            response.raw_headers.extend(headers.raw_headers)
        return response

    async def _take_message(self, request: Request, lanes: Lanes, values: dict[str, Any]) -> bool:
        """Put the message of the body, if the route takes one, among its arguments; False if FastAPI has to look."""
        assert self._arguments is not None
        if self._arguments.message is None:
            return True
        name, _ = self._arguments.message
        values[name] = request.scope[MESSAGE] = await self._message(request, lanes)
        return values[name] is not None

    async def _message(self, request: Request, lanes: Lanes) -> object:
        """The message in a body; None if a small body has none that is valid."""
        body = await request.body()
        if not body or not _is_json(request):
            return None
        if len(body) <= SMALL:
            return self._from_json(body)
        request._body = b""  # as large as the message, which is all that is needed from now on
        return await run_sync(self._validated, body, limiter=lanes.bodies)

    async def _read(self, request: Request, lanes: Lanes) -> Request:
        body = await request.body()
        if body and not _is_json(request):
            raise UnsupportedMediaType
        if len(body) <= SMALL:
            return request
        return _Read(request, await run_sync(self._validated, body, limiter=lanes.bodies))

    def _validated(self, body: bytes) -> object:
        """The message in the body. Raises: TooLarge, BadRequest (it is not JSON), RequestValidationError."""
        if more_values(body, MOST_VALUES):
            raise TooLarge(f"The body holds more than {MOST_VALUES} values; send them in several requests.")
        if (valid := self._from_json(body)) is not None:
            return valid
        try:
            sent = json.loads(body)
        except (ValueError, RecursionError):
            raise BadRequest("The body is not valid JSON.") from None
        assert self.body_field is not None
        message, problems = self.body_field.validate(sent, {}, loc=("body",))
        if problems:
            raise RequestValidationError(problems, body=sent)
        return message

    def _from_json(self, body: bytes) -> BaseModel | None:
        if self._arguments is None or self._arguments.message is None:
            return None
        return read(self._arguments.message[1], body)


def written(service: Callable[[*Taken], Answer], *arguments: *Taken) -> tuple[Answer, Response]:
    """What a service answers, and that as JSON; for the thread in which an `async` route calls it."""
    answer = service(*arguments)
    return answer, Response(_json(answer), media_type="application/json")


def _tell_message(values: Values) -> None:
    """Keep the message in the body with the request, also where FastAPI has read it."""
    scope = CURRENT.get()
    if scope is not None and scope.get(MESSAGE) is None:
        scope[MESSAGE] = next((value for value in values.values() if isinstance(value, BaseModel)), None)


def _sets_headers(dependant: Dependant) -> bool:
    return dependant.response_param_name is not None or any(map(_sets_headers, dependant.dependencies))


def _json(answer: object) -> str | bytes:
    return answer.model_dump_json() if isinstance(answer, BaseModel) else to_json(answer)


class _Read(Request):
    """A request whose body has been read. FastAPI takes the message for the parsed body, and accepts it as it is; of
    the bytes it only asks whether there are any."""

    def __init__(self, request: Request, message: object) -> None:
        super().__init__(request.scope, request.receive)
        self._body = b"{}"
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
