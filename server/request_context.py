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
ACTION: Final = "sturgeon.action"
"""Where the name of what it does is, as server/routes/table.py has it: WORK, or one for the audit trail."""
NOTED: Final = "sturgeon.noted"
"""Where a service tells the audit trail what the address and the message do not say."""
RECORDED: Final = "sturgeon.recorded"
"""Whether the audit trail has it."""
WORK: Final = "work"
"""What workers do with their leases: it is not in the audit trail."""
UNRECORDED: Final = "unrecorded"
"""What changes nothing that is kept, or writes into the audit trail by itself."""
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


def is_work() -> bool:
    """Whether what happens comes of a worker's request."""
    scope = CURRENT.get()
    return scope is not None and scope.get(ACTION) == WORK


def note(*, action: str | None = None, **told: object) -> None:
    """Tell the audit trail more of the request that is worked on: the trial's number, another target, or that it is
    another action than its route says."""
    scope = CURRENT.get()
    if scope is not None:
        scope.setdefault(NOTED, {}).update(told)
        if action is not None:
            scope[ACTION] = action


def add_request(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: what is known of the request, where the line does not say it by itself."""
    scope = CURRENT.get()
    if scope is not None:
        for name, value in known_of(scope).items():
            event.setdefault(name, value)
    return event
