"""A child process that several trials share, and what each of them sees of it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence

from sturgeon.client import Client
from worker.pipe import End, Job, Said, Steer
from worker.runner import Child
from worker.sources import NoSource, prepared


class Gone(Exception):
    """No trial waits for the child any more."""


class SharedChild(threading.Thread):
    """Fetches what its trials start from, starts their process, and hands each what it says of it."""

    def __init__(self, jobs: Sequence[Job], client: Client, start: Callable[[Sequence[Job]], Child] = Child) -> None:
        super().__init__(name="child", daemon=True)
        self.places = [Place(self, number) for number in range(len(jobs))]
        self._jobs, self._client, self._start_child = jobs, client, start
        self._child: Child | None = None
        self._changing = threading.Lock()
        self._wishes: dict[int, Steer] = {}
        self._waiting = set(range(len(jobs)))
        self._gone = threading.Event()

    def run(self) -> None:
        try:
            child = self._begun(prepared(self._client, self._jobs, self._sleep))
            for number, message in child.messages():
                self.places[number].hear(message)
        except NoSource as error:
            for place in self.places:
                place.hear(End("failed", error=str(error)))
        except Gone:
            pass
        finally:
            for place in self.places:
                place.hear(None)

    def _begun(self, jobs: Sequence[Job]) -> Child:
        with self._changing:
            if self._gone.is_set():
                raise Gone
            self._child = child = self._start_child(jobs)
            for number, wish in self._wishes.items():
                child.steer(number, wish)
            return child

    def _sleep(self, seconds: float) -> None:
        if self._gone.wait(seconds):
            raise Gone

    def steer(self, number: int, wish: Steer) -> None:
        with self._changing:
            self._wishes[number] = wish
            if self._child is not None:
                self._child.steer(number, wish)

    def leave(self, number: int) -> None:
        """A trial is done with, or lost; with the last one the process ends."""
        with self._changing:
            self._waiting.discard(number)
            if self._waiting:
                return self._leave_others(number)
            self._gone.set()
            if self._child is not None:
                self._child.kill()
            return None

    def _leave_others(self, number: int) -> None:
        self._wishes[number] = Steer(stop=True, leave=True)
        if self._child is not None:
            self._child.steer(number, self._wishes[number])


class Place:
    """A trial's place in a child. `messages` is for one thread; the other methods are for any."""

    def __init__(self, shared: SharedChild, number: int) -> None:
        self.shared, self._number = shared, number
        self._said: queue.SimpleQueue[Said | None] = queue.SimpleQueue()

    def hear(self, message: Said | None) -> None:
        """What the child said of this trial; None when it says no more."""
        self._said.put(message)

    def messages(self) -> Iterator[Said]:
        """What the child says of this trial, until its last word."""
        while (message := self._said.get()) is not None:
            yield message

    def steer(self, wish: Steer) -> None:
        """What is desired of this trial from now on."""
        self.shared.steer(self._number, wish)

    def kill(self) -> None:
        """Nobody waits for this trial any more: end the child if it was the last, else leave the others."""
        self.shared.leave(self._number)
