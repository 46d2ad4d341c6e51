"""Connections and transactions: `reading()` cannot write; `writing()` has SQLite's write lock from its start.

The clock is the database's own, so that all servers agree on the time; tests pass a fake one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Final, NamedTuple, ParamSpec

import sqlalchemy as sa
from sqlalchemy.engine import Connection, CursorResult
from sqlalchemy.sql import Insert
from sqlalchemy.sql.dml import UpdateBase

from server.actors import acting
from server.store import steady_clock
from server.store.change_numbers import Counting, last_change
from server.store.database_errors import database_errors
from server.store.drivers import begin_sqlite, open_engines
from server.store.durability import Durability
from server.store.hot_statements import Answer, HotStatements, insert_new
from server.store.kept_amounts import EndedUpTo
from server.store.lock_order import LockOrder
from server.store.steady_clock import Offset, Reading, SteadyClock
from server.store.tables import idempotency_keys
from server.store.write_queue import Turn, WriteQueue
from sturgeon.identifiers import StudyId

P = ParamSpec("P")


class Told(NamedTuple):
    """What a statement reads beside a study's row: the offset of steady time, the floor of fences, and the clock in
    microseconds, None where it reads no clock."""

    steps: int | None
    offset_us: int | None
    fence: int | None
    wall: int | None


ChangedStudies = dict[StudyId, int | None]
"""The studies of which a sampler sees something else, each with its sequence number where trials have only ended or
were queued again; None where what was seen before may have changed as well."""


class Transaction:
    """One transaction. The store's functions take it; only `reading()` and `writing()` begin and end one."""

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        steady: SteadyClock,
        hot: HotStatements,
        stored_numerics: set[str],
        kept_amounts: dict[int, EndedUpTo],
    ) -> None:
        self.connection = connection
        self.actor = acting()
        self.kept_amounts = kept_amounts  # by study: see `amounts.py`
        self.stored_numerics = stored_numerics  # the fingerprints that this process knows to be in the database
        self._clock = clock
        self._steady_clock = steady
        self._hot = hot
        self._reading: Reading | None = None
        self._offset: Offset | None = None
        self.fence_floor: int | None = None  # as `learn` was told
        self.lock_order = LockOrder()
        self.commits = True
        self.changed_studies: ChangedStudies = {}
        self.has_changed = False  # more than the keys of requests
        self._after_commit: list[Callable[[], None]] = []

    def rollback_at_end(self) -> None:
        """Roll back instead of committing when the block has come to its end."""
        self.commits = False

    def after_commit(self, step: Callable[P, None], *args: P.args, **options: P.kwargs) -> None:
        """Call `step` after the commit, and never after a rollback. It is for what cannot be rolled back, such as
        counters."""
        self._after_commit.append(partial(step, *args, **options))

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of the transaction that is undone when it raises; the transaction itself can go on."""
        steps = len(self._after_commit)
        try:
            with self.connection.begin_nested():
                yield
        except BaseException:
            del self._after_commit[steps:]
            raise

    def committed(self) -> None:
        """Run the steps of `after_commit`. `Database` calls this."""
        for step in self._after_commit:
            step()

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is SQLite, else PostgreSQL."""
        return self.connection.dialect.name == "sqlite"

    def execute(
        self, statement: sa.Executable, rows: Sequence[Mapping[str, object]] | Mapping[str, object] | None = None
    ) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement; with several `rows` once for each of them, with one dict with these parameters."""
        result = self.connection.execute(statement, rows)
        assert isinstance(result, CursorResult)
        if isinstance(statement, UpdateBase) and (result.returns_rows or result.rowcount):
            self.has_changed |= statement.table is not idempotency_keys
        return result

    def run(self, statement: sa.Executable, parameters: Mapping[str, object]) -> Answer:
        """Run a statement that every trial needs: a constant, see `hot_statements.py`."""
        self.has_changed |= statement.is_dml
        return self._hot.run(self.connection, statement, parameters)

    def insert_new(self, table: sa.Table, *key: str, returning: str | None = None) -> Insert:
        """An INSERT that does nothing where a row with this key exists, and returns a column of one that is new."""
        return insert_new(table, key, returning, is_sqlite=self.is_sqlite)

    def now(self) -> int:
        """Microseconds since 1970 UTC, read once in a transaction; after its first lock, for which it may wait."""
        return self._read().wall

    def steady_now(self) -> int:
        """The same moment in steady time, which is for leases and all else that is measured: see `steady_clock.py`."""
        return self._steady_clock.steady(self._read(), self.offset())

    def clock_step(self) -> int:
        """By how many microseconds the clock was put forward, or back if negative; 0 once that is allowed for."""
        return self._steady_clock.step(self._read(), self.offset())

    def offset(self) -> Offset:
        """The offset of steady time, read once in a transaction."""
        if self._offset is None:
            self._offset = steady_clock.offset(self.connection)
        return self._offset

    def monotonic_us(self) -> int:
        """The monotonic clock now, in microseconds: when a statement that reads the clock was asked, see `learn`."""
        return self._steady_clock.monotonic_us()

    def learn(self, told: Told, asked_at: int) -> None:
        """Keep what a statement has read beside something else: the offset, the floor of fences, and the clock.
        asked_at: `monotonic_us` before the statement.

        Another transaction may have changed the offset or the floor while the statement waited for a lock. An older
        offset does no harm: `SteadyClock` goes on evenly with it. Nor does an older floor: a study that is there was
        created after the floor was raised for it.
        """
        if self._offset is None:
            self._offset = Offset(told.steps or 0, told.offset_us or 0)
        self.fence_floor = told.fence or 0
        if told.wall is None or self._reading is not None or self._clock is not _own_clock:
            return
        reading = Reading(told.wall, asked_at, self.monotonic_us())
        if reading.latest - reading.earliest < LONG_WAIT_US:
            self._reading = reading

    def forget_clock(self) -> None:
        """Read the clock again: a lock is to be waited for, and nothing has been done with what was read."""
        self._reading = None

    def _read(self) -> Reading:
        if self._reading is None:
            self._reading = self._steady_clock.read(partial(self._clock, self))
        return self._reading


Clock = Callable[[Transaction], int]


POSTGRES_CLOCK: Final = sa.literal_column("(extract(epoch FROM clock_timestamp()) * 1000000)::bigint", sa.BigInteger)
_READ_POSTGRES_CLOCK: Final = sa.select(POSTGRES_CLOCK)
LONG_WAIT_US: Final = 100_000
"""A statement that took longer has waited for a lock. At which moment of that time it read the clock is not known well
enough, so the clock is read again."""


def database_clock(tx: Transaction) -> int:
    """The database's clock in microseconds. SQLite's is that of the machine: its file is on this one."""
    return time.time_ns() // 1000 if tx.is_sqlite else int(tx.execute(_READ_POSTGRES_CLOCK).scalar_one())


_own_clock: Final = database_clock  # which statements may read, too; not one that a test puts in its place


class Database:
    """A database and its clock. `name` is the address without its password, for messages; `engine` has the connections
    that write, and `reader` those that read."""

    def __init__(self, url: str, *, connections: int = 40, clock: Clock | None = None) -> None:
        self.engine, self.reader = open_engines(url, connections)
        self.clock = clock or database_clock
        self.steady_clock = SteadyClock(time.monotonic if clock is None else None)
        self._hot = HotStatements(self.engine.dialect)
        file = self.engine.url.database if self.engine.dialect.name == "sqlite" else None
        self.write_queue = WriteQueue(f"{file}-queue") if file else None
        self.durability = Durability(file) if file else None
        self.stored_numerics: set[str] = set()
        self.kept_amounts: dict[int, EndedUpTo] = {}
        self._before_commit: list[Callable[[Transaction], None]] = []
        self._listeners: list[Callable[[ChangedStudies], None]] = []
        # Without what stands behind the `?`: that may be a password, too.
        self.name = self.engine.url.set(query={}).render_as_string(hide_password=True)

    def before_commit(self, step: Callable[[Transaction], None]) -> None:
        """Let `step` write at the end of each writing transaction: what it writes is committed with the rest."""
        self._before_commit.append(step)

    def on_commit(self, listener: Callable[[ChangedStudies], None]) -> None:
        """Call `listener` after each commit of a writing transaction, with the studies of which a sampler sees
        something else now; these may be none. It returns at once, and is called in the thread that has written."""
        self._listeners.append(listener)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One consistent snapshot that may not write."""
        with self._transaction(write=False) as tx:
            yield tx
        tx.committed()

    @contextmanager
    def writing(self, *, urgent: bool = False) -> Iterator[Transaction]:
        """A transaction that commits at the end of the block, and rolls back when the block raises. After a commit
        the listeners of `on_commit` are called, and the steps given to `after_commit` run.

        urgent: it passes other writers of SQLite, see `WriteQueue`."""
        with self._transaction(write=True, urgent=urgent) as tx:
            yield tx
            for step in self._before_commit if tx.commits else ():
                step(tx)
        if not tx.commits:
            return
        for listener in self._listeners:
            listener(tx.changed_studies)
        tx.committed()

    @contextmanager
    def migrating(self) -> Iterator[Transaction]:
        """As `writing`, for a change of the schema, with foreign keys off. SQLite changes a table by copying it and
        dropping the old one: with foreign keys on, all rows that refer to it would be deleted."""
        with self._transaction(write=True, foreign_keys=False) as tx:
            yield tx
            if tx.is_sqlite and (broken := tx.execute(sa.text("PRAGMA foreign_key_check")).all()):
                raise AssertionError(f"the migration breaks references: {broken[:3]}")

    @contextmanager
    def _transaction(self, *, write: bool, foreign_keys: bool = True, urgent: bool = False) -> Iterator[Transaction]:
        seen = 0
        try:
            with database_errors(), self._turn_to_write(write, urgent) as turn, self._connected(write) as connection:
                if not (write or self.durability):
                    connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                with self._committing(write), connection.begin() as begun:
                    if self.durability:
                        begin_sqlite(connection, turn, foreign_keys=foreign_keys)
                        seen = last_change(connection) if foreign_keys else 0
                    tx = Transaction(
                        connection, self.clock, self.steady_clock, self._hot, self.stored_numerics, self.kept_amounts
                    )
                    # A migration may be what makes the table of the count.
                    counting = Counting(connection) if write and foreign_keys and tx.is_sqlite else None
                    with counting or nullcontext():
                        yield tx
                    if not tx.commits:
                        begun.rollback()
                    elif write and self.durability and (counting is None or counting.changed):
                        self.durability.begin_commit(seen + 1)
                if not foreign_keys:  # no other transaction may get this connection
                    connection.invalidate()
        finally:
            if self.durability:
                self.durability.wait(seen)

    def _committing(self, write: bool) -> AbstractContextManager[None]:
        return self.durability.committing() if write and self.durability else nullcontext()

    def _connected(self, write: bool) -> Connection:
        return (self.engine if write else self.reader).connect()

    def _turn_to_write(self, write: bool, urgent: bool) -> AbstractContextManager[Turn | None]:
        """Only SQLite's writers stand in line, and before they take one of the connections."""
        return self.write_queue.turn(urgent=urgent) if write and self.write_queue else nullcontext()

    def dispose(self) -> None:
        """Close all connections."""
        for engine in {self.engine, self.reader}:
            engine.dispose()
        if self.write_queue:
            self.write_queue.close()
