"""A commit of SQLite is answered when it is on the disk, and those that wait get there together."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.store import durability
from server.store.engine import Database
from sturgeon.errors import Unavailable
from tests.processes import DEADLINE_S, wait_until

WORKERS = sa.text("SELECT count(*) FROM workers")


class Disk:
    """Writes the log of one database when it is let, and counts; or fails. Those of others, such as of a server that
    other tests have left running in this process, are written as always."""

    def __init__(self, url: str) -> None:
        self._log, self._write = Path(f"{sa.make_url(url).database}-wal"), durability.write_to_disk
        self.asked = self.written = 0
        self.may_write = threading.Event()
        self.error: OSError | None = None

    def write(self, log: Path) -> None:
        if log != self._log:
            return self._write(log)
        self.asked += 1
        assert self.may_write.wait(DEADLINE_S)
        if self.error:
            raise self.error
        self.written += 1
        return None


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, migrated_sqlite_url: str) -> Disk:
    disk = Disk(migrated_sqlite_url)
    monkeypatch.setattr(durability, "write_to_disk", disk.write)
    return disk


@pytest.fixture
def database(migrated_sqlite_url: str) -> Iterator[Database]:
    database = Database(migrated_sqlite_url)
    read(database)  # what was written before this process began is on the disk now
    yield database
    database.dispose()


@pytest.fixture
def threads(disk: Disk) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads
        disk.may_write.set()  # also when the test has failed


def write(database: Database, name: str, done: list[str]) -> None:
    values = {"name": name, "first_seen_at": 1, "last_seen_at": 1, "slots": 1, "drain": False}
    columns = ", ".join(values)
    with database.writing() as tx:
        tx.execute(sa.text(f"INSERT INTO workers ({columns}) VALUES (:{', :'.join(values)})"), values)
        tx.after_commit(done.append, name)


def written(database: Database) -> int:
    """As another program sees it: what is committed, on the disk or not."""
    with closing(sqlite3.connect(database.engine.url.database or "")) as connection:
        return int(connection.execute("SELECT count(*) FROM workers").fetchone()[0])


def read(database: Database) -> int:
    with database.reading() as tx:
        return int(tx.execute(WORKERS).scalar_one())


def start(threads: ThreadPoolExecutor, database: Database, names: str, done: list[str]) -> list[Future[None]]:
    """Let all of them commit, one after the other."""
    begun = []
    for name in names:
        before = written(database)
        begun.append(threads.submit(write, database, name, done))
        wait_until(lambda: written(database) == before + 1, f"{name} has committed")  # noqa: B023
    return begun


def test_nobody_is_answered_before_a_commit_is_on_the_disk(
    database: Database, disk: Disk, threads: ThreadPoolExecutor
) -> None:
    done: list[str] = []
    listened = []
    database.on_commit(lambda _studies: listened.append(1))
    [first] = start(threads, database, "a", done)
    wait_until(lambda: disk.asked == 1, "the disk is at work")

    reader = threads.submit(read, database)
    duplicate = threads.submit(lambda: _changes_nothing(database))
    [second] = start(threads, database, "b", done)  # the lock is free for it
    assert (done, listened) == ([], [])
    assert not any(one.done() for one in (first, second, reader, duplicate))

    disk.may_write.set()
    assert reader.result(timeout=DEADLINE_S) in (1, 2)
    for one in (first, second, duplicate):
        one.result(timeout=DEADLINE_S)
    assert (sorted(done), len(listened)) == (["a", "b"], 3)


def _changes_nothing(database: Database) -> None:
    with database.writing() as tx:
        assert tx.execute(WORKERS).scalar_one() >= 1


def test_commits_that_come_while_the_disk_is_busy_share_its_next_write(
    database: Database, disk: Disk, threads: ThreadPoolExecutor
) -> None:
    done: list[str] = []
    begun = start(threads, database, "abcdef", done)
    assert disk.asked == 1

    disk.may_write.set()
    for one in begun:
        one.result(timeout=DEADLINE_S)
    assert sorted(done) == list("abcdef")
    assert disk.written == 2


def test_what_changes_nothing_does_not_trouble_the_disk(database: Database, disk: Disk) -> None:
    assert read(database) == 0
    with database.writing() as tx:
        tx.execute(sa.text("DELETE FROM workers"))
    with database.writing() as tx:
        tx.execute(sa.text("UPDATE change_count SET last = last + 1"))
        tx.rollback_at_end()
    with pytest.raises(RuntimeError, match="on purpose"), database.writing():
        raise RuntimeError("on purpose")
    assert disk.asked == 0


def test_after_a_failure_of_the_disk_nobody_is_told_that_all_is_well(
    database: Database, disk: Disk, threads: ThreadPoolExecutor
) -> None:
    done: list[str] = []
    begun = start(threads, database, "ab", done)
    disk.error = OSError(errno.EIO, os.strerror(errno.EIO))
    disk.may_write.set()

    assert all(isinstance(one.exception(timeout=DEADLINE_S), Unavailable) for one in begun)
    disk.error = None
    with pytest.raises(Unavailable, match=r"not safe on its disk .*: restart the server"):
        write(database, "c", done)
    with pytest.raises(Unavailable, match="Input/output error"):
        read(database)
    assert (done, disk.asked) == ([], 1)


@pytest.mark.parametrize("writes", [False, True])
def test_what_another_process_has_committed_is_on_the_disk_before_it_is_shown(
    database: Database, disk: Disk, threads: ThreadPoolExecutor, migrated_sqlite_url: str, writes: bool
) -> None:
    """Nobody knows whether that process lived to write it there."""
    other = Database(migrated_sqlite_url)
    start(threads, other, "a", [])
    assert disk.asked == 1, "by the other one"

    reader = threads.submit(_changes_nothing if writes else read, database)
    wait_until(lambda: disk.asked == 2, "the reader writes it to the disk")
    assert not reader.done()

    disk.may_write.set()
    reader.result(timeout=DEADLINE_S)
    read(database)
    assert disk.asked == 2, "once is enough"
    other.dispose()


def test_a_reader_of_another_commit_leaves_an_own_one_to_its_own_write(
    database: Database, disk: Disk, migrated_sqlite_url: str
) -> None:
    disk.may_write.set()
    other = Database(migrated_sqlite_url)
    for one in (other, database, other):
        write(one, f"{disk.asked}", [])
    read(other)
    assert disk.asked == 3, "each commit, and no more"
    read(database)
    assert disk.asked == 4
    other.dispose()


def test_it_is_the_log_of_sqlite_that_is_written_to_the_disk(
    database: Database, migrated_sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(durability, "_sync", lambda file: synced.append(os.fstat(file).st_ino))
    write(database, "a", [])
    log = Path(f"{sa.make_url(migrated_sqlite_url).database}-wal")

    assert synced == [log.stat().st_ino]
    assert log.stat().st_size > 0, "the commit is in the log, and not yet in the database"
