"""A server with a clock that a test sets: `python -m tests.faults.false_clock serve ...` for `sturgeon serve ...`.

The file AHEAD in its environment says by how many seconds the database's clock is ahead; nothing else is other than in
any server, whose monotonic clock nobody can set.
"""

from __future__ import annotations

import os
from pathlib import Path

from server.store import engine
from server.store.engine import Transaction

true_clock = engine.database_clock


def false_clock(tx: Transaction) -> int:
    """The database's clock, and what it is ahead."""
    return true_clock(tx) + int(Path(os.environ["AHEAD"]).read_text()) * 1_000_000


if __name__ == "__main__":
    from sturgeon.cli.app import main

    engine.database_clock = false_clock
    main()
