"""An upgrade of the schema that is killed in its middle leaves the old schema, whole; two at once bring the new one."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from server.store import schema
from server.store.engine import Database
from sturgeon.client import Client
from tests.processes import Process, ServerProcess

ROOT = Path(__file__).parents[2]
FIRST, MIDDLE = "20261122_0001", "20261127_0008"
OLD_STUDY = """
    INSERT INTO studies (name, title, state, mode, metric, direction, reduce, space, revision, sampler, seed, pruning,
        max_trials, seq, next_number, created_at)
    VALUES ('old', '', 'active', 'caviar', 'loss', 'minimize', 'last',
        '{"x"\\: {"type"\\: "float", "low"\\: 0, "high"\\: 1}}', 0, 'random', 1, '{}', 3, 2, 1, 77)
"""


def revision(url: str) -> str | None:
    database = Database(url, connections=1)
    with database.reading() as tx:
        found = schema.current(tx)
        assert tx.execute(sa.text("SELECT name FROM studies")).scalars().all() == ["old"]
    database.dispose()
    return found


def test_an_upgrade_that_is_killed_is_run_again_by_two_at_once(
    database_url: str, tmp_path: Path, server_process: Callable[..., ServerProcess]
) -> None:
    database = Database(database_url, connections=1)
    with database.migrating() as tx:
        schema.upgrade(tx, FIRST)
        tx.execute(sa.text(OLD_STUDY))
    database.dispose()
    failpoint = tmp_path / "failpoint"
    failpoint.write_text(f"statement version_num='{MIDDLE}'")
    env = {"STURGEON_DATABASE_URL": database_url, "FAILPOINT": str(failpoint), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.faults.failpoints", "migrate"]

    killed = Process(command, tmp_path, env, "killed")
    killed.start()
    assert killed.wait() == -signal.SIGKILL
    assert not failpoint.exists(), "it came to the middle"
    assert revision(database_url) == FIRST

    again = [Process(command, tmp_path, env, f"again-{number}") for number in range(2)]
    for process in again:
        process.start()
    assert [process.wait() for process in again] == [0, 0], [process.output for process in again]
    assert revision(database_url) == schema.newest()
    with Client(server_process(STURGEON_DATABASE_URL=database_url).url) as client:
        assert client.ask("old").leases[0].number == 1
