"""Brings what the server desires of a trial to its child."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from sturgeon import messages as m
from sturgeon.logs import Log
from sturgeon.threads import supervised
from sturgeon.training import STREAM
from worker.child.protocol import DesiredRun, desired_run_of
from worker.tasks.answers import MOST_UNANSWERED, PORTION_UNANSWERED

MOST_REPORTS: Final = 1000
"""So many reports go to the server in one call."""


class SteeringLink:
    """Sends the newest of what is desired, once. A run that shall go back hears it together with its checkpoint.

    fetch: gives the checkpoint of a step. send: takes what the child is to hear. fail: called with an error of `fetch`;
    `expected` are those that may happen, others are logged as faults of ours. All methods are for any thread.
    """

    def __init__(
        self,
        lease: m.Lease,
        fetch: Callable[[int], bytes],
        send: Callable[[DesiredRun], None],
        fail: Callable[[Exception], None],
        expected: tuple[type[Exception], ...],
        log: Log,
    ) -> None:
        self._fetch, self._send, self._fail, self._expected, self._log = fetch, send, fail, expected, log
        self._changing = threading.Lock()
        self._desired = lease.desired
        self._sent = DesiredRun()
        self._rollback_generation = self._fetching = lease.resume.leg if lease.resume else 0
        self._content: bytes | None = None
        self._answered = self._looked = 0
        self._is_draining = False
        self._follows_stream = str((lease.task or {}).get("dataset")).startswith(STREAM)
        self._is_awaited = self._follows_stream or lease.mode == "panda"

    def steer(self, desired: m.Desired) -> None:
        """Take what the server desires; an answer that was overtaken by a newer one changes nothing."""
        with self._changing:
            if desired.version < self._desired.version:
                return
            self._desired = desired
            if desired.leg <= self._rollback_generation:
                self._pass_on()
            elif desired.leg > self._fetching:
                self._fetching = desired.leg
                supervised("rollback", partial(self._go_back, desired), self._fail, self._log)

    @property
    def is_awaited(self) -> bool:
        """Whether the child waits for answers. Who was steered once may be steered again."""
        return self._is_awaited or self._desired.version > 0

    @property
    def most_together(self) -> int:
        """So many reports may come before the child waits for an answer to the first of them."""
        if not self.is_awaited:
            return MOST_REPORTS
        return PORTION_UNANSWERED + 1 if self._follows_stream else MOST_UNANSWERED + 1

    def answer(self, number: int, *, looked: bool = False) -> None:
        """Let the child know that the server has answered this report, after what it desires since. looked: a pruning
        rule looked at it, or at one before it in the same call."""
        with self._changing:
            self._answered = number
            self._looked = number if looked else self._looked
            if self._desired.leg <= self._rollback_generation:
                self._pass_on()

    def drain(self) -> None:
        """Let the child know that the worker ends."""
        with self._changing:
            self._is_draining = True
            self._pass_on()

    def _go_back(self, desired: m.Desired) -> None:
        """The server is asked while the child trains on: those steps do not count."""
        try:
            content = self._fetch(desired.restore) if desired.restore else None
        except self._expected as error:
            return self._fail(error)
        with self._changing:
            if desired.leg == self._fetching:
                self._rollback_generation, self._content = desired.leg, content
                self._pass_on()
        return None

    def _pass_on(self) -> None:
        answered = self._answered if self.is_awaited else None
        run = desired_run_of(self._desired)
        run = replace(run, content=self._content, answered=answered, looked=self._looked, drain=self._is_draining)
        if run != self._sent:
            self._sent = run
            self._send(run)
