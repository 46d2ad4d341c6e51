"""When a commit of SQLite is on the disk; commits that come while the disk is busy get there together.

With `synchronous = NORMAL` SQLite writes a commit to its log, the file that ends in -wal, and leaves it to the system
when the log reaches the disk. So whoever has committed waits here for that. It takes longer than the rest of a commit,
but nobody holds SQLite's lock meanwhile: others write, and the next wait is enough for all of them.

Nobody is answered before: neither who has written nor who has read what another one has just written. That holds for
what another process has written, too, and for what one wrote that was killed before its commit was on the disk: each
transaction reads the last change number (`change_numbers.py`), and waits where it is not known to be on the disk.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sturgeon.errors import Unavailable

_sync: Final = getattr(os, "fdatasync", os.fsync)  # macOS has the second only


class Durability:
    """Of one database, in one process. Its commits come one after the other; those who wait for the disk do not."""

    def __init__(self, file: str) -> None:
        self._log = Path(f"{file}-wal")
        self._news = threading.Condition()
        self._writing = False
        self._failure: str | None = None
        # The numbers of the last commit that has begun, of the last that is over, and of the last that is on the disk.
        self._begun = self._over = self._durable = 0
        # Change numbers, which all processes share: of the commits that have begun, are over, and are on the disk.
        self._begun_change = self._over_change = self._durable_change = 0

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Around a transaction of which `begin_commit` may be called: its commit is over at the end of the block."""
        before = self._begun
        try:
            yield
            if self._begun > before:
                self._over_change = self._begun_change
        finally:
            if self._over < self._begun:
                with self._news:
                    self._over = self._begun
                    self._news.notify_all()

    def begin_commit(self, change: int) -> None:
        """What comes next is a commit of changes: who reads from now on may see them. change: their number."""
        self._begun_change = change
        self._begun += 1

    def wait(self, seen: int = 0) -> None:
        """Wait until all that could be read up to now is on the disk. seen: the last change number that was read, of
        whichever process.

        Raises: Unavailable (the disk cannot be written to: now, or once since this process began).
        """
        last = self._begun
        if self._durable >= last and self._durable_change >= seen:
            return
        with self._news:
            while self._durable < last or self._durable_change < seen:
                if self._failure is not None:
                    raise Unavailable(f"The database is not safe on its disk ({self._failure}): restart the server.")
                if self._writing or (self._over == self._durable and self._durable_change >= seen):
                    self._news.wait()
                else:
                    self._write(seen)

    def _write(self, seen: int) -> None:
        """Write the log for all whose commits are over. Called with the lock, which others take meanwhile."""
        over, change, written = self._over, max(seen, self._over_change), False
        self._writing = True
        self._news.release()
        try:
            write_to_disk(self._log)
            written = True
        except OSError as error:
            # What was not written may count as written when one tries again, so there is no second try.
            self._failure = error.strerror or type(error).__name__
        finally:
            self._news.acquire()
            self._writing = False
            if written:
                self._durable = over
                self._durable_change = max(self._durable_change, change)
            self._news.notify_all()


def write_to_disk(log: Path) -> None:
    """Return when all that is in the file is on the disk.

    There is no log once the last connection has closed: then SQLite has put all into the database, and on the disk.
    """
    try:
        file = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _sync(file)
    finally:
        os.close(file)
