"""The threads of a server: one does the duties that nobody asks for, one wakes waiting workers when there is work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event, Thread

from server.services.changes.streams import Streams
from server.services.isolation import isolated
from server.services.leases import clock_steps, expiry, housekeeping, worker_leases
from server.services.leases.long_poll import LongPollQueue
from server.services.panda import retests
from server.services.studies import budgets, stored_sums
from server.services.tokens.verification import TokenMemo
from server.services.transactions import Transactions
from server.store.blobs import BlobFolder
from server.store.engine import Database
from sturgeon.threads import supervised

CLEAN_UP_EVERY_US = 3_600_000_000
LOOK_EVERY_S = 0.5
TELL_EVERY_S = 1.0


class Background:
    """Threads that start with the app and stop with it."""

    def __init__(self) -> None:
        self._stop = Event()
        self._threads: list[Thread] = []

    def every(self, seconds: float, name: str, step: Callable[[], None]) -> None:
        """Run `step` again and again, `seconds` apart. A step that fails is logged, counted and tried again."""

        def run() -> None:
            while not self._stop.wait(seconds):
                with isolated(name):
                    step()

        self._threads.append(supervised(name, run, on_failure=_begin_again))

    def stop(self) -> None:
        """Return when all threads have ended: each finishes the step that it is in."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


def _begin_again(_error: Exception) -> bool:
    return True


class Duties:
    """One round of what a server does by itself: allow for a clock that was set, expire leases, watch budgets and
    retests, store sums, and clean up each hour.

    No lease is expired for one lease length after the start: workers could not renew while no server listened.
    """

    def __init__(self, transactions: Transactions, blobs: BlobFolder, lease_s: float, max_attempts: int) -> None:
        self._transactions = transactions
        self._blobs = blobs
        self._max_attempts = max_attempts
        self._lease_us = round(lease_s * 1e6)
        self._started_at: int | None = None
        self._cleaned_up_at = 0
        self._sums = stored_sums.SumStore(transactions.database)

    def __call__(self) -> None:
        with isolated(clock_steps.DUTY):
            clock_steps.allow_for_step(self._transactions)
        with self._transactions.database.reading() as tx:
            now = tx.steady_now()
        with isolated(stored_sums.DUTY):
            self._sums.step()
        if self._started_at is None:
            self._started_at = now
        if now < self._started_at + self._lease_us:
            return
        with isolated(expiry.DUTY):
            expiry.expire_leases(self._transactions, self._max_attempts)
        with isolated(budgets.DUTY):
            budgets.watch(self._transactions)
        with isolated(retests.DUTY):
            retests.watch(self._transactions)
        if now > self._cleaned_up_at + CLEAN_UP_EVERY_US:
            self._cleaned_up_at = now
            housekeeping.clean_up(self._transactions.database, self._blobs, self._transactions.quotas)


def look_for_work(database: Database, long_polls: LongPollQueue, loop: asyncio.AbstractEventLoop) -> None:
    """Wake as many waiting workers as there is work for."""
    if long_polls.anybody() and (work := worker_leases.work_that_waits(database)):
        loop.call_soon_threadsafe(long_polls.wake, work)


def end_with_tokens(memo: TokenMemo, streams: Streams) -> None:
    """End the open streams of tokens that let nobody in any more; then write when tokens were used, which may wait for
    others who write, or fail."""
    streams.end_of(memo.ended(streams.tokens()))
    memo.note_use()
