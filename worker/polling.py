"""The poll for work: asks the server for leases while slots are free."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from sturgeon import messages as m
from sturgeon.client import Client
from sturgeon.errors import ClientClosed, InternalError, Problem, ServerUnreachable, SturgeonError
from sturgeon.logs import Log
from sturgeon.threads import supervised
from sturgeon.training import STREAM
from sturgeon.values import Json
from worker import patience
from worker.trial.delivery import RELEASE_PATIENCE_S

SHORTEST_POLL_S: Final = 1.0


class Draining(Exception):
    """The worker takes no more work."""


class Poll:
    """Asks for `stack` trials a slot whenever slots are wanted, until `draining` is set.

    total_slots: how many there are, busy ones included. wait_s: how long the server may keep a request open. `before`
    is called once, before the first request; `on_leases` with each answer, an empty one too; `on_refusal` when the
    server refuses to work with this worker; `on_failure` when the poll has ended by a fault; all from its thread.
    """

    def __init__(
        self,
        client: Client,
        worker: str,
        total_slots: int,
        stack: int,
        wait_s: float,
        draining: threading.Event,
        log: Log,
        before: Callable[[], None],
        on_leases: Callable[[list[m.Lease]], None],
        on_refusal: Callable[[SturgeonError], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._client, self._worker, self._wait_s = client, worker, wait_s
        self._total_slots, self._stack = total_slots, stack
        self._draining, self._log, self._before = draining, log, before
        self._on_leases, self._on_refusal, self._on_failure = on_leases, on_refusal, on_failure
        self._wanted: queue.SimpleQueue[tuple[int, Json, float]] = queue.SimpleQueue()

    def start(self) -> None:
        supervised("poll", self._run, self._on_failure, self._log)

    def want(self, slots: int, offer: Json | None = None, within_s: float = math.inf) -> None:
        """Ask for so many, once, and say what else the worker has, as `Client.lease` takes it; `on_leases` follows. The
        server keeps the request open for `within_s` at most."""
        self._wanted.put((slots, offer or {}, within_s))

    def _run(self) -> None:
        self._before()
        patient = self._client.with_patience(math.inf, self._sleep)
        while not self._draining.is_set():
            (slots, offer, within_s), asked = self._wanted.get(), time.monotonic()
            wait_s = min(self._wait_s, within_s)
            leases: list[m.Lease] = []
            try:
                leases = patient.lease(self._worker, slots, wait_s, self._stack, self._total_slots, offer).leases
            except Draining:
                return None
            except (InternalError, ServerUnreachable) as error:
                if isinstance(error, ClientClosed):  # the worker has ended
                    return None
                self._log.error("the server fails", reason=error.message)
                self._draining.wait(patience.AFTER_A_FAULT_S)
            except Problem as error:
                return self._on_refusal(error)
            if self._draining.is_set():
                return give_back(self._client, leases)
            if not leases:
                self._draining.wait(max(0.0, asked + SHORTEST_POLL_S - time.monotonic()))
            self._on_leases(leases)
        return None

    def _sleep(self, seconds: float) -> None:
        if self._draining.wait(seconds):
            raise Draining


def give_back(client: Client, leases: Iterable[m.Lease]) -> None:
    """Release what came after the worker began to drain; what cannot be released runs out."""
    for lease in leases:
        with suppress(SturgeonError):
            client.with_patience(RELEASE_PATIENCE_S).release(lease.study, lease.number, lease.fence)


def stacks_of(leases: Iterable[m.Lease]) -> list[list[m.Lease]]:
    """The leases of one answer, those of a stack together, if they begin at the same step: new ones, and the branches
    of one checkpoint. Those that follow a stream wait for portions each at its own pace."""
    stacks: dict[tuple[str, int, int], list[m.Lease]] = {}
    for lease in leases:
        step = -1 if lease.resume is None else lease.resume.step
        is_single = lease.stack is None or str((lease.task or {}).get("dataset")).startswith(STREAM)
        key = (lease.study, lease.number, step) if is_single else ("", lease.stack or 0, step)
        stacks.setdefault(key, []).append(lease)
    return list(stacks.values())
