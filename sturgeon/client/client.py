"""A method for each route of the server.

    with Client("http://127.0.0.1:8000") as client:
        lease = client.ask("bowl").leases[0]
        client.tell("bowl", lease.number, lease.fence, {"loss": loss(**lease.params)})

Methods answer the models of `sturgeon.messages` and raise the classes of `sturgeon.errors`:
`ServerUnreachable` if no answer came, and the `Problem` that the server raised if it refused. All calls are
safe to repeat: those whose second effect would be another carry an Idempotency-Key, the others have the same effect
once or twice.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx

from sturgeon.client.files import FileRoutes
from sturgeon.client.findings import FindingRoutes
from sturgeon.client.leases import LeaseRoutes
from sturgeon.client.rows import RowRoutes
from sturgeon.client.service import ServiceRoutes
from sturgeon.client.steering import SteeringRoutes
from sturgeon.client.studies import StudyRoutes
from sturgeon.client.tokens import TokenRoutes
from sturgeon.client.trials import TrialRoutes
from sturgeon.client.webhooks import WebhookRoutes
from sturgeon.client.wire import Patience, Wire


class Client(
    StudyRoutes,
    TrialRoutes,
    LeaseRoutes,
    FileRoutes,
    SteeringRoutes,
    FindingRoutes,
    RowRoutes,
    ServiceRoutes,
    WebhookRoutes,
    TokenRoutes,
):
    """A server's routes as methods; use it from any number of threads, and close it (or use `with`).

    Args:
        base_url: for example `http://127.0.0.1:8000`, with or without `/v1`; another path behind it is kept.
        token: the server's shared token, or a named one, if it has any.
        transport: an httpx transport instead of the network, for tests.
        timeout: seconds to wait for one answer, beyond the wait that a call asks for.
        patience_s: seconds during which a call is tried again while the server is away.
        sleep, clock, uniform: seconds to sleep, a monotonic clock in seconds, a number in [0, 1), for tests.

    Raises: ServerUnreachable (the address is not valid), Unauthorized (the token cannot be sent).
    """

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        transport: httpx.BaseTransport | None = None,
        timeout: float = 10.0,
        patience_s: float = 30.0,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        patience = Patience(patience_s, sleep, clock, uniform)
        self._wire = Wire(base_url, token, transport, timeout, patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; a call that waits in another thread ends with ServerUnreachable."""
        self._wire.close()

    def with_patience(self, patience_s: float, sleep: Callable[[float], None] | None = None) -> Self:
        """The same connections with another patience; `sleep` may raise to end a call that waits. None: as this one
        sleeps."""
        other = copy.copy(self)
        other._wire = self._wire.with_patience(Patience(patience_s, sleep or self._wire.sleep))
        return other
