"""Writers of SQLite get their turn in the order in which they came, whatever process they are in."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.store import write_queue
from server.store.engine import Database
from sturgeon.errors import Unavailable
from tests.processes import DEADLINE_S

MOST_BEFORE = 20  # what four threads commit between a call and its place in the line, and one turn each in it


@pytest.fixture
def two_servers(migrated_sqlite_url: str) -> Iterator[tuple[Database, Database]]:
    """Two servers' databases: each has its own queue, and they share a file, as in two processes."""
    with ExitStack() as stack:
        yield tuple(_opened(stack, migrated_sqlite_url) for _ in range(2))  # type: ignore[misc]


def _opened(stack: ExitStack, url: str) -> Database:
    database = Database(url)
    stack.callback(database.dispose)
    return database


@pytest.mark.parametrize("own", [False, True], ids=["another_server", "the_same_server"])
def test_no_busy_server_keeps_a_writer_waiting(two_servers: tuple[Database, Database], own: bool) -> None:
    busy, other = two_servers
    writer = busy if own else other
    commits, done = [0], threading.Event()

    def keep_busy() -> None:
        while not done.is_set():
            with busy.writing() as tx:
                tx.execute(sa.text("DELETE FROM events"))
                commits[0] += 1  # under the write lock

    with ThreadPoolExecutor(4) as threads:
        working = [threads.submit(keep_busy) for _ in range(4)]
        passed = []
        for _ in range(20):
            before = commits[0]
            with writer.writing() as tx:
                tx.execute(sa.text("DELETE FROM events"))
                passed.append(commits[0] - before)
        done.set()
        for one in working:
            one.result(timeout=DEADLINE_S)
    assert max(passed) <= MOST_BEFORE
    assert commits[0], "they were busy"


def test_who_waits_too_long_is_refused_and_the_next_one_is_not(
    two_servers: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_queue, "WAIT_S", 0.05)
    for waiting in two_servers:  # in the line of the same process, and at the lock of another one
        with two_servers[0].writing(), ThreadPoolExecutor(1) as thread:
            refused = thread.submit(_write, waiting).exception(timeout=DEADLINE_S)
        assert isinstance(refused, Unavailable)
        assert "Others wrote to the database" in refused.message
        _write(waiting)


def _write(database: Database) -> None:
    with database.writing() as tx:
        tx.execute(sa.text("DELETE FROM events"))


def test_a_turn_ends_when_its_transaction_fails(two_servers: tuple[Database, Database]) -> None:
    for database in two_servers:
        with pytest.raises(RuntimeError, match="on purpose"), database.writing():
            raise RuntimeError("on purpose")
        _write(database)


def test_a_queue_that_cannot_be_written_is_no_crash(tmp_path: Path, migrated_sqlite_url: str) -> None:
    file = tmp_path / "copy.db"
    shutil.copy(sa.make_url(migrated_sqlite_url).database or "", file)
    (tmp_path / "copy.db-queue").mkdir()
    database = Database(f"sqlite:///{file}")
    with pytest.raises(Unavailable, match="cannot be written to"):
        _write(database)
    database.dispose()
