"""Who works when many want to: the places of requests, given to clients in turns, and threads that some requests keep.

A request takes a place when it has come whole, and leaves it when its answer is made: a client that sends or reads
slowly holds none. There are as many places as request threads, so a request that has one does not wait for a thread.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from anyio import CapacityLimiter
from starlette.requests import Request

from sturgeon.errors import Overloaded

WAITING: Final = 4
"""So many requests wait for each place; more are refused."""
LONGEST_WAIT_S: Final = 10.0
RENEWALS: Final = 4
HEALTH: Final = 2
TOKENS: Final = 2
BODIES: Final = 2
SENDING: Final = 8
"""Threads beyond those of the places: they read what is being sent (exports, the files of /docs), and write what comes
(checkpoints)."""
FEED: Final = 1
KEPT: Final = RENEWALS + HEALTH + TOKENS + SENDING + FEED
"""Database connections beyond one for each place."""


class Lanes:
    """What the requests of a server work in. To be made in the event loop that serves."""

    def __init__(self, places: int) -> None:
        self.work = Places(places, WAITING * places)
        self.renewals = CapacityLimiter(RENEWALS)
        self.health = CapacityLimiter(HEALTH)
        self.tokens = CapacityLimiter(TOKENS)
        self.bodies = CapacityLimiter(BODIES)  # each that is parsed and validated may take 100 MB


class Places:
    """A number of places. Clients that wait are served in turns; of too many requests, the client that has most waits
    in vain."""

    def __init__(self, places: int, most_waiting: int) -> None:
        self._free = places
        self._most_waiting = most_waiting
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def place(self, client: str) -> AsyncIterator[None]:
        """Hold a place. Raises: Overloaded (too many wait, or it took too long)."""
        await self._take(client)
        try:
            yield
        finally:
            self._leave()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return sum(map(len, self._queues.values()))

    async def _take(self, client: str) -> None:
        if self._free and not self._queues:
            self._free -= 1
            return
        if self.waiting >= self._most_waiting:
            self._refuse_one_for(client)
        call = asyncio.get_running_loop().create_future()
        self._queues.setdefault(client, deque()).append(call)
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                await call
        except BaseException as error:
            self._give_up(client, call)
            if isinstance(error, TimeoutError):
                raise Overloaded from None
            raise

    def _refuse_one_for(self, client: str) -> None:
        """Make room in the queue: the newest request of the client that has most is refused.

        Raises: Overloaded (that is this client).
        """
        greedy = max(self._queues, key=lambda name: len(self._queues[name]), default=client)
        if greedy == client or len(self._queues[greedy]) <= len(self._queues.get(client, ())) + 1:
            raise Overloaded
        self._remove(greedy, newest := self._queues[greedy][-1])
        newest.set_exception(Overloaded())

    def _give_up(self, client: str, call: asyncio.Future[None]) -> None:
        if call.done() and not call.cancelled() and call.exception() is None:
            self._leave()  # its turn came just then
        elif client in self._queues and call in self._queues[client]:
            self._remove(client, call)

    def _remove(self, client: str, call: asyncio.Future[None]) -> None:
        self._queues[client].remove(call)
        if not self._queues[client]:
            del self._queues[client]

    def _leave(self) -> None:
        while self._queues:
            client, queue = self._queues.popitem(last=False)
            call = queue.popleft()
            if queue:
                self._queues[client] = queue  # behind the others
            if not call.done():  # else it was cancelled just now
                call.set_result(None)
                return
        self._free += 1


def client_of(request: Request) -> str:
    """Who asks: the machine, and what our own clients call themselves."""
    address = request.client.host if request.client else ""
    return f"{address} {request.headers.get('x-requested-with', '')[:100]}"
