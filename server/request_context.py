"""What is known of the request that a thread works on, for the lines that are logged meanwhile, and for traces.

A request costs no more than one variable that is set: what a line is about is looked up when there is one.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Final

REQUEST_ID: Final = "sturgeon.request_id"
"""Where in the ASGI scope of a request its id is."""
MESSAGE: Final = "sturgeon.message"
"""Where the message in its body is, once that is read."""
ACTOR: Final = "sturgeon.actor"
"""Where the name of the named token is that sends it."""
TRACE_ID: Final = "sturgeon.trace_id"
"""Where the id of the trace is that it belongs to, where traces are made."""
LONGEST: Final = 300
"""Characters of an address, or of a name in one, that are told: a client may send any."""
CURRENT: Final[ContextVar[MutableMapping[str, Any] | None]] = ContextVar("request", default=None)
"""The ASGI scope of the request that is worked on."""

_STUDY: Final = re.compile(r"/studies/([^/:]+)(?:/trials/([0-9]{1,10})(?![^/:]))?")
_WORKER: Final = re.compile(r"/workers/([^/:]+)")


def known_of(scope: MutableMapping[str, Any]) -> dict[str, object]:
    """The request's id and actor, and the study, trial, worker and fence that it is about, as far as it says so."""
    known: dict[str, object | None] = {
        "request_id": scope.get(REQUEST_ID),
        "trace_id": scope.get(TRACE_ID),
        "actor": scope.get(ACTOR),
    }
    path = scope["path"]
    if found := _STUDY.search(path):
        known["study"] = found[1][:LONGEST]
        known["trial"] = None if found[2] is None else int(found[2])
    if found := _WORKER.search(path):
        known["worker"] = found[1][:LONGEST]
    message = scope.get(MESSAGE)
    for name in ("worker", "fence"):
        if (value := getattr(message, name, None)) is not None:
            known[name] = value
    return {name: value for name, value in known.items() if value is not None}


def add_request(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: what is known of the request, where the line does not say it by itself."""
    scope = CURRENT.get()
    if scope is not None:
        for name, value in known_of(scope).items():
            event.setdefault(name, value)
    return event
