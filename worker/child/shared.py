"""A child process that the trials of a stack share, from the checkpoints that they start from to its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from sturgeon.client import Client
from sturgeon.logs import Log
from sturgeon.threads import reason_of, supervised
from worker.child.process import CannotStart, Child
from worker.child.protocol import BeginningLost, ChildMessage, DesiredRun, Finished, Job, LastWord, NotStarted
from worker.child.sources import CheckpointLost, NoSource, prepared


def fault(error: Exception) -> str:
    """What a trial is told to have failed of, when a thread of the worker failed."""
    return f"The worker failed while it ran this trial: {reason_of(error)}"


class Gone(Exception):
    """No trial waits for the child any more."""


class ChildOfTrials(Protocol):
    """A child, as far as one of its trials knows it."""

    def steer(self, place: int, desired: DesiredRun) -> None: ...
    def leave(self, place: int) -> None: ...


class SharedChild:
    """Fetches what its trials start from, starts their process, and hands each trial what is said of it.

    `place` is a trial's index in `jobs`. `start` is called once, after that all methods are for any thread.
    """

    def __init__(
        self, jobs: Sequence[Job], client: Client, log: Log, start_child: Callable[[Sequence[Job]], Child] = Child
    ) -> None:
        self._jobs, self._client, self._log, self._start_child = jobs, client, log, start_child
        self._hear: Sequence[Callable[[ChildMessage], None]] = ()
        self._child: Child | None = None
        self._changing = threading.Lock()
        self._desired: dict[int, DesiredRun] = {}
        self._waiting = set(range(len(jobs)))
        self._gone = threading.Event()

    def start(self, hear: Sequence[Callable[[ChildMessage], None]]) -> None:
        """Begin; `hear` has a function for each place, called from the child's thread. Unless all trials have left,
        each hears a last word."""
        self._hear = hear
        supervised("child", self._run, self._fail, self._log)

    def _run(self) -> None:
        try:
            child = self._begun(prepared(self._client, self._jobs, self._sleep))
        except NoSource as error:
            self._end_all(Finished("failed", error=str(error)))
        except CheckpointLost as error:
            self._end_all(BeginningLost(str(error)))
        except CannotStart as error:
            self._end_all(NotStarted(str(error)))
        except Gone:
            pass
        else:
            for place, message in child.messages():
                self._hear[place](message)

    def _begun(self, jobs: Sequence[Job]) -> Child:
        with self._changing:
            if self._gone.is_set():
                raise Gone
            self._child = child = self._start_child(jobs)
            for place, desired in self._desired.items():
                child.steer(place, desired)
            return child

    def _fail(self, error: Exception) -> None:
        """A fault of ours: without a last word the trials would be renewed for ever."""
        self._end_all(Finished("failed", error=fault(error)))
        if self._child is not None:
            self._child.kill()

    def _end_all(self, last_word: LastWord) -> None:
        for hear in self._hear:
            hear(last_word)

    def _sleep(self, seconds: float) -> None:
        if self._gone.wait(seconds):
            raise Gone

    def steer(self, place: int, desired: DesiredRun) -> None:
        """What is desired of a trial from now on; in vain when it has left."""
        with self._changing:
            if place in self._waiting:
                self._send(place, desired)

    def leave(self, place: int) -> None:
        """Nobody waits for this trial any more: end the process if it was the last, else let the others go on."""
        with self._changing:
            self._waiting.discard(place)
            if self._waiting:
                return self._send(place, DesiredRun(stop=True, leave=True))
            self._gone.set()
            if self._child is not None:
                self._child.kill()
            return None

    def _send(self, place: int, desired: DesiredRun) -> None:
        self._desired[place] = desired
        if self._child is not None:
            self._child.steer(place, desired)
