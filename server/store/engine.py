"""Connections and transactions: `reading()` cannot write; `writing()` has SQLite's write lock from its start.

The clock is the database's own, so that all servers agree on the time; tests pass a fake one.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from typing import Any, Final, ParamSpec

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, CursorResult, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql import Insert

from server.store import steady_clock
from server.store.change_numbers import Counting
from server.store.lock_order import LockOrder
from server.store.steady_clock import Offset, Reading, SteadyClock
from server.store.write_queue import Turn, WriteQueue
from sturgeon.errors import SturgeonError, Unavailable
from sturgeon.identifiers import StudyId

P = ParamSpec("P")


class Transaction:
    """One transaction. The store's functions take it; only `reading()` and `writing()` begin and end one."""

    def __init__(self, connection: Connection, clock: Clock, steady: SteadyClock) -> None:
        self.connection = connection
        self._clock = clock
        self._steady_clock = steady
        self._reading: Reading | None = None
        self._offset: Offset | None = None
        self.lock_order = LockOrder()
        self.commits = True
        self.changed_studies: set[StudyId] = set()  # what a sampler sees of them has changed
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
        return result

    def insert_new(self, table: sa.Table, *key: str, returning: str | None = None) -> Insert:
        """An INSERT that does nothing where a row with this key exists, and returns a column of one that is new."""
        return _insert_new(table, key, returning, is_sqlite=self.is_sqlite)

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

    def _read(self) -> Reading:
        if self._reading is None:
            self._reading = self._steady_clock.read(partial(self._clock, self))
        return self._reading


@cache
def _insert_new(table: sa.Table, key: tuple[str, ...], returning: str | None, *, is_sqlite: bool) -> Insert:
    """Each database has its own dialect for it."""
    make = sqlite.insert if is_sqlite else postgresql.insert
    statement = make(table).on_conflict_do_nothing(index_elements=list(key))
    return statement if returning is None else statement.returning(table.c[returning])


Clock = Callable[[Transaction], int]


_SQLITE_CLOCK: Final = sa.text("SELECT julianday('now')")
_POSTGRES_CLOCK: Final = sa.text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")


def database_clock(tx: Transaction) -> int:
    """The database's clock in microseconds (SQLite 3.40 has no unixepoch('subsec'))."""
    if tx.is_sqlite:
        days: float = tx.execute(_SQLITE_CLOCK).scalar_one()
        return round((days - 2440587.5) * 86_400_000) * 1000  # SQLite's clock has milliseconds
    return int(tx.execute(_POSTGRES_CLOCK).scalar_one())


class Database:
    """A database and its clock. `name` is the address without its password, for messages."""

    def __init__(self, url: str, *, connections: int = 40, clock: Clock | None = None) -> None:
        self.engine = _engine(url, connections)
        self.clock = clock or database_clock
        self.steady_clock = SteadyClock(time.monotonic if clock is None else None)
        file = self.engine.url.database if self.engine.dialect.name == "sqlite" else None
        self.write_queue = WriteQueue(f"{file}-queue") if file else None
        self._listeners: list[Callable[[set[StudyId]], None]] = []
        self.name = self.engine.url.render_as_string(hide_password=True)

    def on_commit(self, listener: Callable[[set[StudyId]], None]) -> None:
        """Call `listener` after each commit of a writing transaction, with the studies of which a sampler sees
        something else now; these may be none. It returns at once, and is called in the thread that has written."""
        self._listeners.append(listener)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One consistent snapshot that may not write."""
        with self._transaction(write=False) as tx:
            yield tx

    @contextmanager
    def writing(self, *, urgent: bool = False) -> Iterator[Transaction]:
        """A transaction that commits at the end of the block, and rolls back when the block raises. After a commit
        the listeners of `on_commit` are called, and the steps given to `after_commit` run.

        urgent: it passes other writers of SQLite, see `WriteQueue`."""
        with self._transaction(write=True, urgent=urgent) as tx:
            yield tx
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
        options: dict[str, Any] = {"foreign_keys": foreign_keys}
        if self.engine.dialect.name == "postgresql" and not write:
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with _database_errors(), self._turn_to_write(write, urgent) as turn, self.engine.connect() as connection:
            connection = connection.execution_options(**options, turn=turn)
            with connection.begin() as begun:
                tx = Transaction(connection, self.clock, self.steady_clock)
                # A migration may be what makes the table of the count.
                with Counting(connection) if write and foreign_keys and tx.is_sqlite else nullcontext():
                    yield tx
                if not tx.commits:
                    begun.rollback()
            if not foreign_keys:  # no other transaction may get this connection
                connection.invalidate()

    def _turn_to_write(self, write: bool, urgent: bool) -> AbstractContextManager[Turn | None]:
        """Only SQLite's writers stand in line, and before they take one of the connections."""
        return self.write_queue.turn(urgent=urgent) if write and self.write_queue else nullcontext()

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        if self.write_queue:
            self.write_queue.close()


@contextmanager
def _database_errors() -> Iterator[None]:
    """Turn the errors of a database that is away, locked or full into Unavailable; other errors stay as they are."""
    try:
        yield
    except sa.exc.TimeoutError:
        raise Unavailable("All database connections are busy; try again in a moment.") from None
    except sqlite3.OperationalError as error:  # of BEGIN, which does not go through SQLAlchemy
        raise Unavailable(f"The database cannot do this just now ({error}); try again in a moment.") from error
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
            reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no connection"
            raise Unavailable(f"The database cannot do this just now ({reason}); try again in a moment.") from error
        raise


def _engine(url: str, connections: int) -> Engine:
    try:
        address = sa.make_url(url)
    except ArgumentError:
        raise SturgeonError("The database URL must look like sqlite:///FILE or postgresql://USER@HOST/NAME.") from None
    if address.get_backend_name() == "sqlite":
        if not address.database or address.database == ":memory:":
            raise SturgeonError("SQLite needs a file: write sqlite:///FILE.")
        # The pool class is named since SQLAlchemy's choice for SQLite depends on the kind of file.
        engine = sa.create_engine(address, poolclass=sa.QueuePool, pool_size=connections, max_overflow=0)
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    if address.get_backend_name() != "postgresql":
        raise SturgeonError(
            "Sturgeon keeps its studies in SQLite or PostgreSQL: sqlite:///FILE or postgresql://USER@HOST/NAME."
        )
    return sa.create_engine(
        address.set(drivername="postgresql+psycopg"),
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 5, "application_name": "sturgeon"},
    )


def _prepare_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # so that `_begin_sqlite`, not the driver, begins transactions
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 5000")
    _retry_while_locked(lambda: cursor.execute("PRAGMA journal_mode = WAL"))
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _retry_while_locked(step: Callable[[], object]) -> None:
    """Entering WAL fails at once while another process does the same: busy_timeout does not apply to it."""
    deadline = time.monotonic() + 5
    while True:
        try:
            step()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    if not options.get("foreign_keys", True):
        driver.execute("PRAGMA foreign_keys = OFF")
    turn: Turn | None = options.get("turn")
    driver.execute(f"PRAGMA query_only = {'ON' if turn is None else 'OFF'}")
    if turn is None:
        driver.execute("BEGIN")
    else:
        turn.begin(partial(_begin_immediate, driver))


def _begin_immediate(connection: sqlite3.Connection) -> bool:
    """Take the write lock at once: a transaction that read first and wrote later would fail as busy.

    False where another process has the lock: SQLite's own wait, which grows to 100 ms, is left out."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return False
        raise
    finally:
        connection.execute("PRAGMA busy_timeout = 5000")
    return True
