"""The straight way of a request that is as its route describes it: the route is found by the form of the address, and
reads, answers and writes by itself (`BodyRoute.direct`).

FastAPI describes the routes, and answers every request that does not fit, and every error. A request passes nine of its
layers, and each again whenever it has waited; then FastAPI looks through all routes in turn, and walks through their
descriptions: that takes longer than most answers.

Before it does so for the first time it looks into the functions of all routes, for a fifth of a second. That is done in
a thread, while the event loop answers others.
"""

from __future__ import annotations

import mimetypes
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, FastAPI, Request
from starlette.convertors import Convertor
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.routes.bodies import BodyRoute

Form = tuple[str, int]
"""A method, and how many slashes the address has: none of our parameters takes one."""
NOWHERE: Final = "/nowhere"
FAILED: Final = "sturgeon.failed"
"""Where in the ASGI scope of a request the error is that its route has raised."""
_looking: Final = Lock()  # the apps of one process share what FastAPI looks into


@dataclass(frozen=True)
class _Address:
    route: BodyRoute
    path: str
    pattern: re.Pattern[str]
    convertors: Mapping[str, Convertor[Any]]


class Direct:
    """Stands before FastAPI's layers, which are as they are when it is made. `routers` are those that the app includes,
    in their order, each with its prefix. actions: what each does that changes something, by "METHOD path"."""

    def __init__(self, app: FastAPI, routers: Iterable[tuple[APIRouter, str]], actions: Mapping[str, str]) -> None:
        self._router: Final = app.router
        self._router.middleware_stack = _Raising(self._router.middleware_stack)
        self._otherwise: Final = app.build_middleware_stack()
        self._has_looked = False
        self._addresses: Final = defaultdict[Form, list[_Address]](list)
        for router, prefix in routers:
            for route in router.routes:
                assert isinstance(route, BodyRoute)
                path = prefix + route.path
                pattern, _, convertors = compile_path(path)
                for method in route.methods or ():
                    route.action = actions.get(f"{method} {path}")
                    self._addresses[method, path.count("/")].append(_Address(route, path, pattern, convertors))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_ours = scope["type"] == "http" and not scope["root_path"]
        found = self.found(scope["method"], scope["path"]) if is_ours else None
        if found is None:
            await self._leave_to_fastapi(scope, receive, send)
            return
        route, path = found
        scope["route"] = route
        request = Request(scope, receive, send)
        try:
            answer = await route.direct(request, path)
        except Exception as error:
            scope[FAILED] = error
            await self._otherwise(scope, receive, send)  # whose layers know an answer for it
            return
        if answer is not None:
            await answer(scope, receive, send)
            return
        again = receive if route.body_field is None else _giving(await request.body(), receive)
        await self._leave_to_fastapi(scope, again, send)

    async def _leave_to_fastapi(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._has_looked:
            await run_sync(self._look_into_routes)
        await self._otherwise(scope, receive, send)

    def _look_into_routes(self) -> None:
        with _looking:
            for route in self._router.routes:
                route.matches({"type": "http", "method": "GET", "path": NOWHERE, "root_path": "", "headers": []})
            mimetypes.guess_type(NOWHERE)  # at first this reads the system's lists of types
            self._has_looked = True

    def found(self, method: str, path: str) -> tuple[BodyRoute, dict[str, Any]] | None:
        """The route that FastAPI would find, with the parameters in the address."""
        for address in self._addresses.get((method, path.count("/")), ()):
            if match := address.pattern.match(path):
                texts = match.groupdict()
                return address.route, {name: address.convertors[name].convert(texts[name]) for name in texts}
        return None

    def methods(self, path: str) -> list[str]:
        """What an address can be asked with. Starlette names the methods of the first route that it finds.

        Of `/trials/{number}` and `/trials/{number}:stop`, which may both match, the second is meant.
        """
        found = [
            (method, address.path)
            for (method, slashes), addresses in self._addresses.items()
            for address in addresses
            if slashes == path.count("/") and address.pattern.match(path)
        ]
        meant = max((written for _, written in found), key=_letters, default=None)
        return sorted(method for method, written in found if written == meant)


class _Raising:
    """FastAPI's router, which raises what has been raised before its layers."""

    def __init__(self, router: ASGIApp) -> None:
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (error := scope.pop(FAILED, None)) is not None:
            raise error
        await self._router(scope, receive, send)


def _letters(path: str) -> int:
    """How many an address has beside its parameters."""
    return len(re.sub("{[^}]*}", "", path))


def _giving(body: bytes, receive: Receive) -> Receive:
    """What gives a body that has been read once more."""
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return parts.pop() if parts else await receive()

    return give
