"""A trial's checkpoints on their way to the server: beside its reports, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from sturgeon.logs import Log
from sturgeon.threads import supervised
from worker.child.protocol import SavedCheckpoint
from worker.trial.thinning import ThinningRule, thinned


class Uploads:
    """Calls `upload` for each checkpoint, in a thread of its own; `failed` once, with what `upload` raised.

    `expected` are the errors of `upload` that may happen; others are logged as faults of ours.
    """

    def __init__(
        self,
        upload: Callable[[SavedCheckpoint], None],
        failed: Callable[[Exception], None],
        rule: ThinningRule,
        expected: tuple[type[Exception], ...],
        log: Log,
    ) -> None:
        self._upload, self._failed, self._rule, self._expected, self._log = upload, failed, rule, expected, log
        self._waiting: list[SavedCheckpoint] = []
        self._changed = threading.Condition()
        self._busy = self._ended = False

    def start(self) -> None:
        supervised("upload", self._run, self._fail, self._log)

    def add(self, saved: SavedCheckpoint) -> None:
        """Upload it as soon as those before it are there; drop those that wait in vain, since newer or better ones
        wait, too. However long the server is away, few wait."""
        with self._changed:
            self._waiting = thinned([*self._waiting, saved], self._rule)
            self._changed.notify_all()

    def add_all(self, saved: Sequence[SavedCheckpoint]) -> None:
        """Upload the last ones, which the run itself has chosen."""
        with self._changed:
            self._waiting.extend(saved)
            self._changed.notify_all()

    def waiting(self) -> list[SavedCheckpoint]:
        """Those that are not there yet; without the one on its way."""
        with self._changed:
            return list(self._waiting)

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
                self._upload(saved)
        except self._expected as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._failed(error)  # first: who waits in `finish` looks for it then
        self.end()

    def _next(self) -> SavedCheckpoint | None:
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._ended or bool(self._waiting))
            if self._ended:
                return None
            self._busy = True
            return self._waiting.pop(0)
