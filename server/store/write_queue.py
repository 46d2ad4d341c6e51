"""Whose turn it is to write to a SQLite database: one after the other, in the order in which they came. Who is urgent
passes the others, in every other turn at most: so the others wait twice as long at most.

SQLite lets one transaction write at a time. By itself it makes the others sleep and try again, so that whoever comes at
the right moment is first: beside four busy threads one waited for 5 seconds, again and again, until SQLite gave up.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sturgeon.errors import Unavailable

WAIT_S = 10.0
RETRY_S = 0.001  # between two attempts at a lock that another process holds


@dataclass(frozen=True)
class Turn:
    """A turn to write. While `file` is locked, no other process begins to wait for SQLite's lock."""

    file: int  # a descriptor
    deadline: float  # of time.monotonic()

    def begin(self, step: Callable[[], bool]) -> None:
        """Call `step` until it says that it has SQLite's lock; then the next one may wait for it.

        Raises: Unavailable (it took too long).
        """
        _retry(step, self.deadline)
        fcntl.flock(self.file, fcntl.LOCK_UN)


class WriteQueue:
    """One process's queue at a database; the lock on `file` orders the queues of several processes.

    The threads of a process stand in line here. The first of them holds the lock on the file while it waits for
    SQLite's own lock, so a process that has just written gets in line behind one that waits already.
    """

    def __init__(self, file: str) -> None:
        self._path = file
        self._file: int | None = None
        self._mutex = threading.Lock()
        self._busy = False
        self._waiting: deque[threading.Lock] = deque()
        self._urgent: deque[threading.Lock] = deque()
        self._was_urgent = False

    @contextmanager
    def turn(self, *, urgent: bool = False) -> Iterator[Turn]:
        """Wait for a turn, which ends with the block. Raises: Unavailable (it took too long, or there is no file)."""
        deadline = time.monotonic() + WAIT_S
        self._stand_in_line(deadline, self._urgent if urgent else self._waiting)
        try:
            turn = Turn(self._opened(), deadline)
            try:
                _retry(lambda: _locked(turn.file), deadline)
                yield turn
            finally:
                fcntl.flock(turn.file, fcntl.LOCK_UN)
        finally:
            self._call_next()

    def length(self) -> int:
        """How many of this process wait for their turn."""
        return len(self._waiting) + len(self._urgent)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _stand_in_line(self, deadline: float, line: deque[threading.Lock]) -> None:
        with self._mutex:
            if not self._busy:
                self._busy = True
                return
            call = threading.Lock()
            call.acquire()
            line.append(call)
        if call.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return
        with self._mutex:
            if call in line:  # else the call came just after the wait had ended
                line.remove(call)
                raise _too_long()

    def _call_next(self) -> None:
        with self._mutex:
            self._was_urgent = bool(self._urgent) and not (self._was_urgent and self._waiting)
            line = self._urgent if self._was_urgent else self._waiting
            if line:
                line.popleft().release()
            else:
                self._busy = False

    def _opened(self) -> int:
        if self._file is None:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise Unavailable(f"The database cannot be written to ({self._path}: {error.strerror}).") from error
        return self._file


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _retry(step: Callable[[], bool], deadline: float) -> None:
    while not step():
        if time.monotonic() > deadline:
            raise _too_long()
        time.sleep(RETRY_S)


def _too_long() -> Unavailable:
    return Unavailable(f"Others wrote to the database for {WAIT_S:.0f} seconds; try again in a moment.")
