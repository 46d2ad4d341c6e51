"""What a child has said of its trial and the server has not heard yet: in order, and bounded."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

from worker.child.protocol import Applied, ChildMessage, FindingsMessage, LogMessage, Progress, SavedCheckpoint
from worker.trial.thinning import ThinningRule, thinned

MOST_REPORTS: Final = 10_000
"""So many reports wait at most; beyond, every second of them is dropped, and the curve is coarser there."""


class Mailbox:
    """A queue of messages that does without what is of no use any more, however long nobody takes any.

    `put`, `fail` and `waiting` are for any thread; `get`, `delivered` and `check` for one.
    """

    def __init__(self, rule: ThinningRule) -> None:
        self._rule = rule
        self._waiting: deque[ChildMessage] = deque()
        self._taken: list[ChildMessage] = []
        self._reports = 0
        self._failure: Exception | None = None
        self._changed = threading.Condition()

    def put(self, message: ChildMessage) -> None:
        with self._changed:
            self._waiting.append(message)
            match message:
                case SavedCheckpoint():
                    self._thin_checkpoints()
                case Applied():
                    self._drop_abandoned(message.step)
                case FindingsMessage():
                    self._keep_newest_findings()
                case LogMessage():
                    self._drop({id(m) for m in self._waiting if isinstance(m, LogMessage) and m is not message})
                case Progress():
                    self._reports += 1
                    if self._reports > MOST_REPORTS:
                        self._thin_reports()
            self._changed.notify_all()

    def fail(self, error: Exception) -> None:
        """Let `get` and `check` raise this from now on; the first error counts."""
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def get(self, until: float | None = None) -> ChildMessage | None:
        """The next message; None if none came until then (of `time.monotonic()`). An error of `fail` comes first."""
        with self._changed:
            left = None if until is None else max(until - time.monotonic(), 0)
            self._changed.wait_for(lambda: self._failure or self._waiting, left)
            self._raise_failure()
            if not self._waiting:
                return None
            message = self._waiting.popleft()
            self._taken.append(message)
            self._reports -= isinstance(message, Progress)
            return message

    def delivered(self) -> None:
        """What was taken up to now waits no more."""
        with self._changed:
            self._taken.clear()

    def waiting(self) -> list[ChildMessage]:
        """All that is not delivered yet, in order."""
        with self._changed:
            return [*self._taken, *self._waiting]

    def check(self) -> None:
        """Raise the error that `fail` was given."""
        with self._changed:
            self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _thin_checkpoints(self) -> None:
        checkpoints = [message for message in self._waiting if isinstance(message, SavedCheckpoint)]
        self._drop(set(map(id, checkpoints)) - set(map(id, thinned(checkpoints, self._rule))))

    def _drop_abandoned(self, step: int) -> None:
        """A run that is at an earlier step than its checkpoints went back: nobody goes on from them."""
        self._drop({id(m) for m in self._waiting if isinstance(m, SavedCheckpoint) and m.step > step and not m.wanted})

    def _keep_newest_findings(self) -> None:
        """Those of a kind replace each other."""
        kinds: set[str] = set()
        superseded = set()
        for message in reversed(self._waiting):
            if isinstance(message, FindingsMessage):
                if kinds >= set(message.findings):
                    superseded.add(id(message))
                kinds |= set(message.findings)
        self._drop(superseded)

    def _thin_reports(self) -> None:
        reports = [id(message) for message in self._waiting if isinstance(message, Progress)]
        dropped = set(reports[-2::-2])  # the newest stays
        self._reports -= len(dropped)
        self._drop(dropped)

    def _drop(self, dropped: set[int]) -> None:
        if dropped:
            self._waiting = deque(message for message in self._waiting if id(message) not in dropped)
