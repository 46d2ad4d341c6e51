"""The straight way of a request that is as its route describes it: the route is found by the form of the address, and
reads, answers and writes by itself (`BodyRoute.direct`).

FastAPI describes the routes, and answers every request that does not fit. It looks through all routes in turn, and
walks through their descriptions for each request: that takes longer than most answers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.convertors import Convertor
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.routes.bodies import BodyRoute

Form = tuple[str, int]
"""A method, and how many slashes the address has: none of our parameters takes one."""


@dataclass(frozen=True)
class _Address:
    route: BodyRoute
    pattern: re.Pattern[str]
    convertors: Mapping[str, Convertor[Any]]


class Direct:
    """Stands before FastAPI's router. `routers` are those that it includes, in their order, each with its prefix."""

    def __init__(self, otherwise: ASGIApp, routers: Iterable[tuple[APIRouter, str]]) -> None:
        self._otherwise: Final = otherwise
        self._addresses: Final = defaultdict[Form, list[_Address]](list)
        for router, prefix in routers:
            for route in router.routes:
                assert isinstance(route, BodyRoute)
                path = prefix + route.path
                pattern, _, convertors = compile_path(path)
                for method in route.methods or ():
                    self._addresses[method, path.count("/")].append(_Address(route, pattern, convertors))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_ours = scope["type"] == "http" and not scope["root_path"]
        found = self.found(scope["method"], scope["path"]) if is_ours else None
        if found is None:
            await self._otherwise(scope, receive, send)
            return
        route, path = found
        scope["route"] = route
        request = Request(scope, receive, send)
        answer = await route.direct(request, path)
        if answer is not None:
            await answer(scope, receive, send)
            return
        again = receive if route.body_field is None else _giving(await request.body(), receive)
        await self._otherwise(scope, again, send)

    def found(self, method: str, path: str) -> tuple[BodyRoute, dict[str, Any]] | None:
        """The route that FastAPI would find, with the parameters in the address."""
        for address in self._addresses.get((method, path.count("/")), ()):
            if match := address.pattern.match(path):
                texts = match.groupdict()
                return address.route, {name: address.convertors[name].convert(texts[name]) for name in texts}
        return None


def _giving(body: bytes, receive: Receive) -> Receive:
    """What gives a body that has been read once more."""
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return parts.pop() if parts else await receive()

    return give
