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

from server.services.leases import worker_leases
from server.store import write_queue
from server.store.engine import Database
from server.store.write_queue import WriteQueue
from sturgeon.errors import Unavailable
from sturgeon.messages import RenewRequest
from tests.processes import DEADLINE_S, wait_until

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


@pytest.mark.fault("L8")
def test_who_is_urgent_passes_the_others_in_every_other_turn(tmp_path: Path) -> None:
    queue, turns = WriteQueue(str(tmp_path / "queue")), []

    def write(name: str) -> None:
        with queue.turn(urgent=name.startswith("urgent")):
            turns.append(name)

    names = [*(f"other {n}" for n in range(5)), *(f"urgent {n}" for n in range(3))]
    with ThreadPoolExecutor(len(names)) as threads, queue.turn():
        for place, name in enumerate(names, start=1):
            threads.submit(write, name)
            wait_until(lambda: queue.length() == place, f"{name} stands in line")  # noqa: B023
    queue.close()

    first = [f"{kind} {n}" for n in range(3) for kind in ("urgent", "other")]
    assert turns == [*first, "other 3", "other 4"]


@pytest.mark.fault("L8")
def test_a_renewal_of_leases_passes_those_that_wait(two_servers: tuple[Database, Database]) -> None:
    database, _ = two_servers
    assert database.write_queue is not None
    length = database.write_queue.length
    renewal = RenewRequest(worker="ada", held=[])

    def renewals_before() -> int:
        with database.writing() as tx:
            return int(tx.execute(sa.text("SELECT count(*) FROM workers")).scalar_one())

    with ThreadPoolExecutor(5) as threads:
        with database.writing():
            others = [threads.submit(renewals_before) for _ in range(4)]
            wait_until(lambda: length() == 4, "four writers wait")
            renewed = threads.submit(worker_leases.renew, database, renewal)
            wait_until(lambda: length() == 5, "the renewal waits, too")
        assert [other.result(timeout=DEADLINE_S) for other in others] == [1, 1, 1, 1]
        renewed.result(timeout=DEADLINE_S)


@pytest.mark.fault("L8")
def test_only_urgent_ones_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_queue, "WAIT_S", 0.05)
    queue = WriteQueue(str(tmp_path / "queue"))
    with queue.turn(urgent=True), pytest.raises(Unavailable, match="Others wrote"), queue.turn(urgent=True):
        raise AssertionError
    for urgent in (True, True, False, True):
        with queue.turn(urgent=urgent):
            assert queue.length() == 0
    queue.close()


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
