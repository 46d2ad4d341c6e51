"""The threads of a server: one reaps and forgets, one looks for work while somebody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event, Thread

import structlog

from server.services.leases import expiry, housekeeping, worker_leases
from server.services.leases.long_poll import LongPollQueue
from server.services.studies import budgets
from server.services.transactions import Transactions
from server.store.blobs import BlobFolder
from server.store.engine import Database
from sturgeon.errors import Unavailable

FORGET_EVERY_US = 3_600_000_000
LOOK_EVERY_S = 0.5
log = structlog.get_logger()


class Background:
    """Starts with the app and stops with it."""

    def __init__(self) -> None:
        self._stop = Event()
        self._threads: list[Thread] = []

    def every(self, seconds: float, name: str, step: Callable[[], None]) -> None:
        """Run `step` again and again, `seconds` apart; a step that fails is logged and tried again."""

        def run() -> None:
            while not self._stop.wait(seconds):
                try:
                    step()
                except Unavailable as error:
                    log.warning("database is away", thread=name, reason=error.message)
                except Exception:
                    log.exception("background step failed", thread=name)

        thread = Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


class Reaper:
    """Reaps, but nothing for one lease length after the start: workers tried to renew while nobody listened."""

    def __init__(self, transactions: Transactions, blobs: BlobFolder, lease_s: float, max_attempts: int) -> None:
        self._transactions = transactions
        self._blobs = blobs
        self._max_attempts = max_attempts
        self._lease_us = round(lease_s * 1e6)
        self._started_at: int | None = None
        self._forgot_at = 0

    def __call__(self) -> None:
        with self._transactions.database.reading() as tx:
            now = tx.now()
        if self._started_at is None:
            self._started_at = now
        if now < self._started_at + self._lease_us:
            return
        expiry.expire_leases(self._transactions, self._max_attempts)
        budgets.watch(self._transactions)
        if now > self._forgot_at + FORGET_EVERY_US:
            self._forgot_at = now
            housekeeping.clean_up(self._transactions.database, self._blobs)


def look_for_work(database: Database, long_polls: LongPollQueue, loop: asyncio.AbstractEventLoop) -> None:
    """Wake as many waiting workers as there is work for."""
    if long_polls.anybody() and (trials := worker_leases.work_that_waits(database)):
        loop.call_soon_threadsafe(long_polls.wake, trials)
