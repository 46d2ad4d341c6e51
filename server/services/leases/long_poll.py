"""Long polls that wait for work. One query of the database serves all waiters of a process."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass(eq=False)
class _Waiter:
    slots: int
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class LongPollQueue:
    """The waiting /leases calls of this process, the longest first. `anybody` and `end` are for any thread."""

    def __init__(self) -> None:
        self._queue: deque[_Waiter] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.ended = False

    def anybody(self) -> bool:
        """Whether a call waits."""
        return bool(self._queue)

    async def wait(self, slots: int, seconds: float) -> None:
        """Return when there may be work for these slots, or after so many seconds."""
        waiter = _Waiter(slots)
        self._loop = asyncio.get_running_loop()
        self._queue.append(waiter)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(waiter.woken.wait(), seconds)
        finally:
            with suppress(ValueError):
                self._queue.remove(waiter)

    def end(self) -> None:
        """Wake all waiters, and let none wait from now on. May be called from a signal handler."""
        self.ended = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.wake, sys.maxsize)

    def wake(self, trials: int) -> None:
        """Wake waiters until they have slots for so many trials."""
        while trials > 0 and self._queue:
            waiter = self._queue.popleft()
            waiter.woken.set()
            trials -= waiter.slots
