"""Long polls that wait for work. One query of the database serves all waiters of a process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from server.services.studies.placement import Offer
from sturgeon.messages import Needs

SURE_S: Final = 2.0
"""Whoever has waited for so long was woken if there was work for him: the server looks for it more often."""


@dataclass
class Work:
    """A study of which workers could get so many trials. source: the study that these start from, if they do."""

    study: str
    kind: str
    needs: Needs
    trials: int
    source: str | None = None

    def is_for(self, offer: Offer) -> bool:
        """Whether a worker with this offer gets one of them."""
        reads_source = self.source is None or offer.reach.includes(self.source)
        return reads_source and offer.takes(self.study) and offer.fits(self.kind, self.needs)


@dataclass(eq=False)
class _Waiter:
    slots: int
    offer: Offer
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class LongPollQueue:
    """The waiting /leases calls of this process, the longest first. `anybody` and `end` are for any thread."""

    def __init__(self) -> None:
        self._queue: deque[_Waiter] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.ended = False
        self._at_end: list[Callable[[], None]] = []

    def at_end(self, step: Callable[[], None]) -> None:
        """Also do this when the waiting ends; it may be called from a signal handler."""
        self._at_end.append(step)

    def __len__(self) -> int:
        return len(self._queue)

    def anybody(self) -> bool:
        """Whether a call waits."""
        return bool(self._queue)

    async def wait(self, slots: int, offer: Offer, seconds: float) -> bool:
        """Return when there may be work for these slots of a worker with this offer, or after so many seconds; whether
        there may be some."""
        self._loop = asyncio.get_running_loop()
        waiter = self.enter(slots, offer)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(waiter.woken.wait(), seconds)
        finally:
            with suppress(ValueError):
                self._queue.remove(waiter)
        return waiter.woken.is_set() or seconds < SURE_S

    def enter(self, slots: int, offer: Offer) -> _Waiter:
        """Join the queue."""
        waiter = _Waiter(slots, offer)
        self._queue.append(waiter)
        return waiter

    def end(self) -> None:
        """Wake all waiters, and let none wait from now on. May be called from a signal handler."""
        self.ended = True
        for step in self._at_end:
            step()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        while self._queue:
            self._queue.popleft().woken.set()

    def wake(self, work: list[Work]) -> None:
        """Wake waiters, the longest first, until they have slots for all trials; only those whom some of it fits."""
        left = [replace(one) for one in work]
        for waiter in list(self._queue):
            fitting = [one for one in left if one.trials > 0 and one.is_for(waiter.offer)]
            if fitting:
                self._queue.remove(waiter)
                waiter.woken.set()
                _take(fitting, waiter.slots)


def _take(work: list[Work], slots: int) -> None:
    for one in work:
        taken = min(one.trials, slots)
        one.trials -= taken
        slots -= taken
