"""A study's row comes with the clock, the offset and the floor of fences: one statement for all of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from server.services import lookup
from server.store import engine, floors, steady_clock, studies
from server.store import tables as schema_tables
from server.store.engine import Database
from tests.processes import wait_until
from tests.store.test_invariants import STUDY


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """A database with the study `bowl`, an offset of steady time, and a floor of fences."""
    database = Database(migrated_url, connections=4)
    with database.writing() as tx:
        assert studies.insert(tx, STUDY) is not None
        tx.execute(schema_tables.steady_clock.insert(), {"id": 1, "steps": 3, "offset_us": 40})
        tx.execute(schema_tables.floors.insert(), {"id": 1, "fence": 17, "version": 2, "since": 0})
    yield database
    database.dispose()


@pytest.mark.parametrize("lock", [lookup.get_study, lookup.lock_study])
def test_one_statement_tells_of_time_and_fences_what_four_told(database: Database, lock: Any) -> None:
    run: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *event: run.append(event[2]))
    before = time.time_ns() // 1000
    with database.writing() as tx:
        assert lock(tx, "bowl").name == "bowl"
        told = tx.now(), tx.offset(), floors.fence(tx), tx.steady_now()
    after = time.time_ns() // 1000

    assert len(run) == 1
    assert told == (told[0], steady_clock.Offset(3, 40), 17, told[0] + 40)
    assert before <= told[0] <= after


def test_the_clock_is_read_after_the_lock_was_waited_for(
    migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time from before the wait would begin a lease in the past."""
    monkeypatch.setattr(engine, "LONG_WAIT_US", 60_000_000)  # so that the time which the statement read is taken
    database = Database(migrated_postgres_url, connections=3)
    with database.writing() as tx:
        assert studies.insert(tx, STUDY) is not None
    waits = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%studies%'")

    def time_after_lock() -> int:
        with database.writing() as tx:
            lookup.lock_study(tx, "bowl")
            return tx.now()

    def look() -> int:
        with database.reading() as tx:  # each time another one: a transaction sees one state of the activity
            return int(tx.execute(waits).scalar_one())

    with ThreadPoolExecutor(1) as threads:
        with database.writing() as first:
            lookup.lock_study(first, "bowl")
            second = threads.submit(time_after_lock)
            wait_until(lambda: look() == 1, "the second one waits")
            commits_at = engine.database_clock(first)
        assert second.result() >= commits_at
    database.dispose()


def test_a_long_wait_makes_the_transaction_read_the_clock_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LONG_WAIT_US", 0)
    run: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *event: run.append(event[2]))
    with database.writing() as tx:
        lookup.lock_study(tx, "bowl")
        tx.now()
    assert len(run) == (1 if tx.is_sqlite else 2)


def test_a_floor_that_is_raised_is_not_the_one_that_was_read(database: Database) -> None:
    with database.writing() as tx:
        study = lookup.lock_study(tx, "bowl")
        tx.execute(sa.text("UPDATE studies SET created_at = 1"))
        floors.raise_above_study(tx, study.id, 5)
        tx.execute(schema_tables.floors.update().values(fence=99))
        assert floors.fence(tx) == 99
