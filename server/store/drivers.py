"""How the connections of each database are opened, and how SQLite's transactions begin."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from functools import partial

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from server.store.write_queue import Turn
from sturgeon.errors import SturgeonError


def open_engine(url: str, connections: int) -> Engine:
    """The engine of an address. On SQLite the option `turn` of a connection begins a transaction that writes, and
    `foreign_keys` False one without them. Raises: SturgeonError (it is an address of neither database)."""
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
