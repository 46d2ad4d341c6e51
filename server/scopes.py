"""What a request needs of its token, looked up by its address: the scopes, and the study that it names.

server/routes/table.py says it of each route.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
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

REACH: Final = "sturgeon.reach"
"""Where in the ASGI scope of a request the studies are that its named token is for."""

STUDY: Final = "study"
"""The parameter of an address that names a study."""


@dataclass(frozen=True)
class Asked:
    """What a request asks for. study: the one that its address names, if it names one. across: where it names none,
    whether the route is for tokens of some studies, too."""

    needed: Needed
    study: str | None
    across: bool


@dataclass(frozen=True)
class _Address:
    pattern: re.Pattern[str]
    needed: Needed
    across: bool


class RouteScopes:
    """What the routes of an app need of a token, by the address of a request."""

    def __init__(
        self, routes: Iterable[tuple[str, str]], scopes: Mapping[str, Needed], across: Collection[str]
    ) -> None:
        """routes: the method and the path of each, in the order in which the app looks through them. scopes: what each
        needs, by "METHOD path". across: those that name no study, and of which a token of some studies gets what is of
        these alone.

        Raises: SturgeonError (a route is not in scopes, or one that is there or in across does not exist; one in across
        names a study).
        """
        names = [f"{method} {path}" for method, path in routes]
        if undeclared := [name for name in names if name not in scopes]:
            raise SturgeonError(
                f"server/routes/table.py names no scope that these routes need: {', '.join(undeclared)}."
            )
        if absent := (scopes.keys() | set(across)) - {*names}:
            raise SturgeonError(f"server/routes/table.py names routes that do not exist: {', '.join(sorted(absent))}.")
        if of_one := [name for name in across if f"{{{STUDY}}}" in name]:
            raise SturgeonError(f"server/routes/table.py has routes across studies that name one: {', '.join(of_one)}.")
        self._addresses: Final = defaultdict[tuple[str, int], list[_Address]](list)
        for name in names:
            method, path = name.split(" ", 1)
            address = _Address(compile_path(path)[0], scopes[name], name in across)
            self._addresses[method, path.count("/")].append(address)

    def asked(self, method: str, path: str) -> Asked | None:
        """What is asked for there; None where the app has no such route."""
        for address in self._addresses.get((method, path.count("/")), ()):
            if found := address.pattern.match(path):
                return Asked(address.needed, found.groupdict().get(STUDY), address.across)
        return None
