"""The scopes that a token needs, looked up by the address of a request; server/routes/table.py names them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.routing import compile_path

from sturgeon.errors import SturgeonError
from sturgeon.messages import TokenScope

Needed = frozenset[TokenScope]
"""Any of these scopes is enough, and so is `admin`. None at all: no token is needed."""

OPEN: Final[Needed] = frozenset()
READ: Final[Needed] = frozenset({"read"})
WRITE: Final[Needed] = frozenset({"write"})
WORK: Final[Needed] = frozenset({"work"})
READ_OR_WORK: Final[Needed] = READ | WORK
ADMIN: Final[Needed] = frozenset({"admin"})

BEARER: Final = "sturgeon.token"
"""Where in the ASGI scope of a request the hash of its named token is; the shared token leaves nothing there."""


@dataclass(frozen=True)
class _Address:
    pattern: re.Pattern[str]
    needed: Needed


class RouteScopes:
    """What the routes of an app need, by the address of a request."""

    def __init__(self, routes: Iterable[tuple[str, str]], scopes: Mapping[str, Needed]) -> None:
        """routes: the method and the path of each, in the order in which the app looks through them. scopes: what each
        needs, by "METHOD path".

        Raises: SturgeonError (a route is not in scopes, or one that is there does not exist).
        """
        names = [f"{method} {path}" for method, path in routes]
        if undeclared := [name for name in names if name not in scopes]:
            raise SturgeonError(
                f"server/routes/table.py names no scope that these routes need: {', '.join(undeclared)}."
            )
        if absent := scopes.keys() - names:
            raise SturgeonError(f"server/routes/table.py names routes that there are not: {', '.join(sorted(absent))}.")
        self._addresses: Final = defaultdict[tuple[str, int], list[_Address]](list)
        for name in names:
            method, path = name.split(" ", 1)
            self._addresses[method, path.count("/")].append(_Address(compile_path(path)[0], scopes[name]))

    def needed(self, method: str, path: str) -> Needed | None:
        """What is needed there; None where the app has no such route."""
        for address in self._addresses.get((method, path.count("/")), ()):
            if address.pattern.match(path):
                return address.needed
        return None
