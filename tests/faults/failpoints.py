"""A server that dies at a point which a test chooses: `python -m tests.faults.failpoints serve ...` for
`sturgeon serve ...`, and `migrate`, too.

The file FAILPOINT in its environment says where: `before commit` or `after commit` of the next transaction that writes,
or `statement TEXT` before a statement that has this text. The process ends there as by kill -9, and the file is gone.
`hold commit` lets the next transaction that writes stand still before its commit, while the file is there; it says
`held` then.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect

from server.store.engine import Database, Transaction

true_writing, true_commit = Database.writing, DefaultDialect.do_commit
writes = threading.local()


def armed() -> str:
    """Where to die; empty as long as the test has not said."""
    file = Path(os.environ["FAILPOINT"])
    return file.read_text() if file.exists() else ""


def die() -> None:
    """As by kill -9. The next process goes on."""
    Path(os.environ["FAILPOINT"]).unlink()
    os.kill(os.getpid(), signal.SIGKILL)


def hold() -> None:
    """Do nothing more for as long as the file is there."""
    file = Path(os.environ["FAILPOINT"])
    file.write_text("held")
    while file.exists():
        time.sleep(0.01)


@contextmanager
def writing(self: Database, *, urgent: bool = False) -> Iterator[Transaction]:
    """Database.writing; a thread that writes is known by it."""
    writes.now = True
    try:
        with true_writing(self, urgent=urgent) as tx:
            yield tx
    finally:
        writes.now = False


def commit(self: DefaultDialect, connection: Any) -> None:
    """DefaultDialect.do_commit: SQLAlchemy's only way to commit, on both databases."""
    point = armed() if getattr(writes, "now", False) else ""
    if point == "before commit":
        die()
    if point == "hold commit":
        hold()
    true_commit(self, connection)
    if point == "after commit":
        die()


def execute(_connection: object, _cursor: object, statement: str, *_: object) -> None:
    """Is called before each statement."""
    kind, _, text = armed().partition(" ")
    if kind == "statement" and text in statement:
        die()


if __name__ == "__main__":
    from sturgeon.cli.app import main

    setattr(Database, "writing", writing)  # noqa: B010
    setattr(DefaultDialect, "do_commit", commit)  # noqa: B010
    sa.event.listen(sa.Engine, "before_cursor_execute", execute)
    main()
