"""Who works when many want to: the places of requests, given to clients in turns, and threads that some requests keep.

A request takes a place when it has come whole, and leaves it when its answer is made: a client that sends or reads
slowly holds none. There are as many places as request threads, so a request that has one does not wait for a thread.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from contextvars import copy_context
from typing import Final, TypeVar

from anyio import CapacityLimiter
from starlette.requests import Request

from sturgeon.errors import Overloaded

Answer = TypeVar("Answer")

WAITING: Final = 4
"""So many requests wait for each place; more are refused."""
LONGEST_WAIT_S: Final = 10.0
SHARE: Final = 8
LEAST_EACH: Final = 4
"""A client has an eighth of the places at most, also where nobody waits: threads of one process compute in turns, so 33
tables of 1000 trials that one client asks for at once would be 33 turns for one of everybody else."""
RENEWALS: Final = 4
HEALTH: Final = 2
TOKENS: Final = 2
BODIES: Final = 2
LARGE: Final = 1_000_000
"""Bytes of a body that is read and worked on while no other of this size is: the memory and the processor time of one
is what all such bodies take together, however many come at once."""
LARGE_WAITING: Final = 16
SENDING: Final = 8
"""Threads beyond those of the places: they read what is being sent (exports, the files of /docs), and write what comes
(checkpoints)."""
FEED: Final = 1
KEPT: Final = RENEWALS + HEALTH + TOKENS + SENDING + FEED
"""Database connections beyond one for each place."""


class Lanes:
    """What the requests of a server work in. To be made in the event loop that serves."""

    def __init__(self, places: int) -> None:
        self.work = Places(places, WAITING * places, max(LEAST_EACH, places // SHARE))
        self._threads = ThreadPoolExecutor(places, "request")
        self.renewals = CapacityLimiter(RENEWALS)
        self.health = CapacityLimiter(HEALTH)
        self.tokens = CapacityLimiter(TOKENS)
        self.bodies = CapacityLimiter(BODIES)  # each that is parsed and validated may take 100 MB
        self.large = Places(1, LARGE_WAITING)

    def alone_if_large(self, size: int, client: str) -> AbstractAsyncContextManager[None]:
        """Hold the place of large bodies, if one of so many bytes needs it. To be held from before it is parsed until
        its answer is made, but not while its request waits for something else. Raises: Overloaded."""
        return self.large.place(client) if size > LARGE else nullcontext()

    async def run(self, client: str, function: Callable[[], Answer]) -> Answer:
        """What the function returns in a thread, when the client has a place; the thread knows of the request.

        The executor of the standard library, since most requests go this way: anyio's threads go through the event
        loop once more for each. Raises: Overloaded, and what the function raises.
        """
        async with self.work.place(client):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, copy_context().run, function)

    def end(self) -> None:
        """No more requests come. What a thread still works on is not waited for."""
        self._threads.shutdown(wait=False)


class Places:
    """A number of places, of which one client has `most_each` at most. Clients that wait are served in turns; when too
    many requests wait, the newest of the client that has most is refused.

    While a place is free, all who wait have as many as they may.
    """

    def __init__(self, places: int, most_waiting: int, most_each: int | None = None) -> None:
        self._free = places
        self._most_waiting = most_waiting
        self._most_each = places if most_each is None else most_each
        self._held: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def place(self, client: str) -> AsyncIterator[None]:
        """Hold a place. Raises: Overloaded (too many wait, or it took too long)."""
        await self._take(client)
        try:
            yield
        finally:
            self._leave(client)

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return sum(map(len, self._queues.values()))

    async def _take(self, client: str) -> None:
        if self._free and self._held[client] < self._most_each:
            self._free -= 1
            self._held[client] += 1
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
            self._leave(client)  # its turn came just then
        elif client in self._queues and call in self._queues[client]:
            self._remove(client, call)

    def _remove(self, client: str, call: asyncio.Future[None]) -> None:
        self._queues[client].remove(call)
        if not self._queues[client]:
            del self._queues[client]

    def _leave(self, client: str) -> None:
        self._held[client] -= 1
        if not self._held[client]:
            del self._held[client]
        for other in [other for other in self._queues if self._held[other] < self._most_each]:
            while (call := self._next_of(other)) is not None:
                if not call.done():  # else it was cancelled just now
                    self._held[other] += 1
                    call.set_result(None)
                    return
        self._free += 1

    def _next_of(self, client: str) -> asyncio.Future[None] | None:
        """The first request that a client has waiting; the client is last in turn then."""
        queue = self._queues.pop(client, None)
        if queue is None:
            return None
        call = queue.popleft()
        if queue:
            self._queues[client] = queue
        return call


def client_of(request: Request) -> str:
    """Who asks: the machine, and what our own clients call themselves."""
    address = request.client.host if request.client else ""
    return f"{address} {request.headers.get('x-requested-with', '')[:100]}"
