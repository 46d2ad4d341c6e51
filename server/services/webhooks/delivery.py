"""Delivers what is in the outbox: each webhook has a thread of its own while something is due, so one that is slow
delays no other. A webhook is taken for a few seconds, and again as long as its thread lives: so two servers do not
deliver to it at once, and another one goes on soon after one was killed. What a server did not write down as delivered
is delivered again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event, Lock, Thread
from typing import Final, NamedTuple

from server.services.isolation import isolated
from server.services.metrics import Counters
from server.services.webhooks import posting, signing
from server.services.webhooks.addresses import Network, Refused, Resolve, resolve, target_of
from server.services.webhooks.posting import Line, Outcome
from server.store import outbox, webhooks
from server.store.engine import Database, Transaction
from server.store.outbox import DeliveryRow
from server.store.webhooks import WebhookRow
from sturgeon.threads import supervised

THREAD: Final = "webhook"
MOST_AT_ONCE: Final = 16
TAKEN_US: Final = 5_000_000
KEPT_EVERY_S: Final = 1.5
"""How often a webhook is taken again: TAKEN_US outlasts two times that come late."""
GIVE_UP_US: Final = 86_400_000_000
LONGEST_WAIT_S: Final = 3600.0
LONGEST_REST_S: Final = 60.0


def wait_s(failures: int, uniform: Callable[[], float] = random.random) -> float:
    """How long to wait after so many failures in a row: 5 s, 10 s, 20 s .. an hour, each a little shorter or longer, so
    that those that failed together do not come together. uniform: a number in [0, 1)."""
    return float(min(5.0 * 2 ** min(failures - 1, 20), LONGEST_WAIT_S) * (0.9 + 0.2 * uniform()))


class Sent(NamedTuple):
    """A delivery, and what came of the attempt."""

    delivery: DeliveryRow
    outcome: Outcome


class Turn:
    """A webhook that this server delivers to now. Whoever writes its row holds the lock meanwhile."""

    def __init__(self, row: WebhookRow) -> None:
        self.row = row
        self.lock = Lock()
        self.is_over = False
        self._kept_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether it is time to take the webhook again."""
        return not self.is_over and time.monotonic() - self._kept_at >= KEPT_EVERY_S

    def keep(self, tx: Transaction, until: int) -> bool:
        """Hold the webhook until then; False if it is gone, or another server has taken it. The lock has to be held."""
        row = webhooks.keep(tx, self.row, until)
        self.row, self._kept_at = row or self.row, time.monotonic()
        return row is not None


class Courier:
    """The threads that deliver, of one server."""

    def __init__(
        self, database: Database, counters: Counters, networks: Sequence[Network], resolve: Resolve = resolve
    ) -> None:
        self._database, self._counters = database, counters
        self.networks, self.resolve = networks, resolve
        self._stop = Event()
        self._guard = Lock()
        self._threads: dict[int, Thread] = {}
        self._turns: dict[int, Turn] = {}
        self._lines: dict[int, Line] = {}

    def step(self) -> None:
        """Keep the webhooks that are delivered to, take those that something is due for, and begin to deliver. Returns
        at once."""
        self._keep_taken()
        with self._database.reading() as tx:
            if not webhooks.any_due(tx, tx.steady_now()):
                return
        with self._guard:
            self._threads = {one: thread for one, thread in self._threads.items() if thread.is_alive()}
            free = MOST_AT_ONCE - len(self._threads)
            if free <= 0 or self._stop.is_set():
                return
            with self._database.writing() as tx:
                now = tx.steady_now()
                taken = webhooks.take(tx, now, now + TAKEN_US, free, but=self._turns.keys())
            for webhook in taken:
                turn = self._turns[webhook.id] = Turn(webhook)
                self._threads[webhook.id] = supervised(
                    THREAD, partial(self._deliver, turn), on_failure=lambda _error: False
                )

    def _keep_taken(self) -> None:
        with self._guard:
            turns = list(self._turns.values())
        for turn in turns:
            if turn.is_due:
                with turn.lock:
                    if not turn.is_over:
                        with self._database.writing() as tx:
                            turn.keep(tx, tx.steady_now() + TAKEN_US)

    def settle(self) -> None:
        """Wait until the threads that deliver now have ended."""
        with self._guard:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join()

    def stop(self) -> None:
        """Cut what is being sent, which is sent again later, and return when all threads have ended."""
        self._stop.set()
        with self._guard:
            lines = list(self._lines.values())
        for line in lines:
            line.cut()
        self.settle()

    def _deliver(self, turn: Turn) -> None:
        """Deliver what is due, one after the other, until nothing is left or an attempt fails."""
        webhook = turn.row
        try:
            with isolated(THREAD, webhook=webhook.id):
                sent: Sent | None = None
                while (work := self._next(turn, sent)) is not None:
                    delivery, at = work
                    sent = Sent(delivery, self._attempt(webhook, delivery, at))
        finally:
            turn.is_over = True  # what was not written down is tried again when the webhook is free
            with self._guard:
                if self._turns.get(webhook.id) is turn:
                    del self._turns[webhook.id]

    def _next(self, turn: Turn, sent: Sent | None) -> tuple[DeliveryRow, int] | None:
        """Write down what came of the last attempt, and get the next delivery, with the seconds since 1970; None where
        this turn has come to its end."""
        with turn.lock, self._database.writing() as tx:
            now = tx.steady_now()
            # The webhook's row is locked before those of its deliveries, as by whoever deletes it.
            is_held = turn.keep(tx, now + TAKEN_US)
            failures = 0 if sent is None else self._note(tx, turn.row, sent, now)
            delivery = None
            if is_held and not failures and not self._stop.is_set():
                delivery = outbox.next_due(tx, turn.row.id, now)
            if delivery is not None:
                return delivery, tx.now() // 1_000_000
            turn.is_over = True
            if is_held:
                rest = min(wait_s(failures), LONGEST_REST_S) if failures else 0
                turn.keep(tx, now + round(rest * 1e6))
            return None

    def _attempt(self, webhook: WebhookRow, delivery: DeliveryRow, at: int) -> Outcome:
        body = delivery.body.encode()
        try:
            target = target_of(webhook.url)
        except Refused as refused:
            return Outcome(None, refused.message)
        headers = signing.headers(webhook.secret, delivery.message_id, at, body)
        line = Line()
        with self._guard:
            self._lines[webhook.id] = line
        try:
            if self._stop.is_set():
                line.cut()
            return posting.post(target, headers, body, self.networks, line=line, resolve=self.resolve)
        finally:
            with self._guard:
                del self._lines[webhook.id]

    def _note(self, tx: Transaction, webhook: WebhookRow, sent: Sent, now: int) -> int:
        """Write down what came of an attempt; how many have failed in a row."""
        delivery, (status, error) = sent
        attempts = delivery.attempts + 1
        seen = {"attempts": attempts, "status": status, "error": error}
        failures = 0 if error is None else webhook.failures + 1
        count = self._counters.webhook_deliveries
        if error is None:
            outbox.update(tx, delivery.id, state="delivered", **seen)
            tx.after_commit(count.labels(delivery.event, "delivered").inc)
        else:
            outbox.update(tx, delivery.id, due_at=now + round(wait_s(attempts) * 1e6), **seen)
            tx.after_commit(count.labels(delivery.event, "failed").inc)
            given_up = outbox.give_up_older(tx, webhook.id, now - GIVE_UP_US)
            tx.after_commit(self._counters.webhooks_given_up.inc, given_up)
        if failures != webhook.failures:
            webhooks.note_failures(tx, webhook.id, failures)
        return failures
