"""The heartbeat: renews all leases of the worker in one call, and hears which of them are lost."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from sturgeon.client import Client
from sturgeon.errors import ClientClosed, SturgeonError, Unauthorized
from sturgeon.logs import Log
from sturgeon.threads import supervised
from worker.trial.running import RunningTrial

IDLE_LEASE_S: Final = 30.0


class Heartbeat:
    """Beats every third of the shortest lease, give or take a fifth, also when nothing is leased.

    A server that is away stops nothing: the trials go on, and the next beat tries again. `on_drain` is called
    when the server wants the worker to end, `on_refusal` when the token is wrong, `on_failure` when the heartbeat has
    ended by a fault, `on_beat` after each beat, whatever came of it; all from its thread.
    """

    def __init__(
        self,
        client: Client,
        worker: str,
        trials: Callable[[], Sequence[RunningTrial]],
        log: Log,
        on_drain: Callable[[], None],
        on_refusal: Callable[[SturgeonError], None],
        on_failure: Callable[[Exception], None],
        uniform: Callable[[], float] = random.random,
        on_beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._client, self._worker, self._trials, self._log = client.with_patience(0), worker, trials, log
        self._on_drain, self._on_refusal, self._on_failure = on_drain, on_refusal, on_failure
        self._uniform, self._on_beat = uniform, on_beat
        self._changed, self._stopped = threading.Event(), False
        self._away = False

    def start(self) -> None:
        supervised("heartbeat", self._run, self._on_failure, self._log)

    def changed(self) -> None:
        """A trial has begun; its lease may be shorter than those before."""
        self._changed.set()

    def stop(self) -> None:
        self._stopped = True
        self._changed.set()

    def _run(self) -> None:
        beaten = time.monotonic()
        jitter = self._jitter()
        while not self._stopped:
            due = beaten + self._every_s() * jitter
            if self._changed.wait(max(due - time.monotonic(), 0)):
                self._changed.clear()
                continue
            beaten, jitter = time.monotonic(), self._jitter()
            self.beat()
            self._on_beat()

    def _every_s(self) -> float:
        return min((trial.lease.lease_s for trial in self._trials()), default=IDLE_LEASE_S) / 3

    def _jitter(self) -> float:
        return 0.8 + 0.4 * self._uniform()

    def beat(self) -> None:
        """One renewal."""
        trials = {(t.lease.study, t.lease.number): t for t in self._trials()}
        try:
            answer = self._client.renew(self._worker, [trial.renewal() for trial in trials.values()])
        except Unauthorized as error:
            self._on_refusal(error)
            return
        except ClientClosed:  # the worker has ended
            return
        except SturgeonError as error:
            self._note(away=True, reason=error.message)
            return
        self._note(away=False)
        for renewed in answer.held:
            trials[renewed.study, renewed.number].steer(renewed.desired)
        for lost in answer.lost:
            trials[lost.study, lost.number].lose(lost.reason)
        if answer.drain:
            self._on_drain()

    def _note(self, away: bool, reason: str = "") -> None:
        if away != self._away:
            self._away = away
            if away:
                self._log.warning("server away, the trials go on", reason=reason)
            else:
                self._log.info("server back")
