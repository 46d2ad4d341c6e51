"""Waiting for a server that answers, but fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from sturgeon.errors import ClientClosed, InternalError, ServerUnreachable
from sturgeon.logs import Log

T = TypeVar("T")
AFTER_A_FAULT_S: Final = 5.0


def insist(call: Callable[[], T], sleep: Callable[[float], None], log: Log | None = None) -> T:
    """The answer of `call`, made again for as long as the server, or a proxy before it, fails.

    The client itself waits for a server that is away. `sleep` may raise to end the waiting.
    """
    while True:
        try:
            return call()
        except (InternalError, ServerUnreachable) as error:
            if log is not None and not isinstance(error, ClientClosed):  # closed: the worker has ended
                log.error("the server fails", reason=error.message)
            sleep(AFTER_A_FAULT_S)
