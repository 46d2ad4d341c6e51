"""A trial's checkpoints on their way to the server: beside its reports, one after the other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from worker.pipe import SavedCheckpoint


class Uploads:
    """Calls `put` for each checkpoint, in a thread of its own; `failed` once, with what `put` raised."""

    def __init__(self, put: Callable[[SavedCheckpoint], None], failed: Callable[[Exception], None]) -> None:
        self._put, self._failed = put, failed
        self._waiting: deque[SavedCheckpoint] = deque()
        self._changed = threading.Condition()
        self._busy = self._ended = False

    def start(self, name: str) -> None:
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def add(self, saved: SavedCheckpoint) -> None:
        """Upload it as soon as those before it are there. Of those that nobody asked for and that wait here in vain,
        the newest is enough to go on from."""
        with self._changed:
            if not saved.wanted and self._waiting and _serves_no_more(self._waiting[-1]):
                self._waiting.pop()
            self._waiting.append(saved)
            self._changed.notify_all()

    def finish(self) -> None:
        """Return when all are uploaded, or the thread has ended before."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or not (self._waiting or self._busy))

    def end(self) -> None:
        """Upload nothing more."""
        with self._changed:
            self._ended = True
            self._waiting.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while (saved := self._next()) is not None:
                self._put(saved)
        except Exception as error:
            self.end()
            self._failed(error)

    def _next(self) -> SavedCheckpoint | None:
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._ended or bool(self._waiting))
            if self._ended:
                return None
            self._busy = True
            return self._waiting.popleft()


def _serves_no_more(waiting: SavedCheckpoint) -> bool:
    """A newer one is there to go on from, and this is neither asked for nor can it be among the best."""
    return waiting.value is None and not waiting.wanted
