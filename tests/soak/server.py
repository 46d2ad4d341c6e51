"""A server of a soak: `python -m tests.soak.server serve ...` for `sturgeon serve ...`.

Its clock is the false one of tests/faults/false_clock.py, and it dies at its commits as tests/faults/failpoints.py has
it: the files AHEAD and FAILPOINT in its environment say when.
"""

from __future__ import annotations

from sqlalchemy.engine.default import DefaultDialect

from server.store import engine
from server.store.engine import Database
from sturgeon.cli.app import main
from tests.faults.failpoints import commit, writing
from tests.faults.false_clock import false_clock

if __name__ == "__main__":
    setattr(engine, "database_clock", false_clock)  # noqa: B010
    setattr(Database, "writing", writing)  # noqa: B010
    setattr(DefaultDialect, "do_commit", commit)  # noqa: B010
    main()
