"""How the connections of each database are opened, and how SQLite's transactions begin."""

from __future__ import annotations

import select
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from server.store.json_columns import json_value
from server.store.write_queue import Turn
from sturgeon.errors import SturgeonError


class Engines(NamedTuple):
    """Of PostgreSQL both are the same one."""

    writing: Engine
    reading: Engine


def open_engines(url: str, connections: int) -> Engines:
    """The engines of an address; on SQLite `begin_sqlite` begins their transactions.

    Raises: SturgeonError (it is an address of neither database).
    """
    try:
        address = sa.make_url(url)
    except (ArgumentError, ValueError):  # whose words may repeat what is wrong: the password, perhaps
        raise SturgeonError("The database URL must look like sqlite:///FILE or postgresql://USER@HOST/NAME.") from None
    if any("@" in text for text in (address.host or "", *address.query)):  # errors name the host, and options
        raise SturgeonError("The database URL has an @ too many: within a password write %40 for it.")
    if address.get_backend_name() == "sqlite":
        if address.host or not address.database or address.database == ":memory:":
            raise SturgeonError("SQLite needs a file: write sqlite:///FILE.")
        if address.query:
            raise SturgeonError(f"A SQLite database takes no options such as {next(iter(address.query))!r}.")
        # Two, since to change `query_only` has SQLite compile each statement of the connection anew.
        return Engines(*(_sqlite(address, connections, reads=reads) for reads in (False, True)))
    if address.get_backend_name() != "postgresql":
        raise SturgeonError(
            "Sturgeon keeps its studies in SQLite or PostgreSQL: sqlite:///FILE or postgresql://USER@HOST/NAME."
        )
    engine = _postgres(address, connections)
    return Engines(engine, engine)


def _postgres(address: sa.URL, connections: int) -> Engine:
    """Raises: SturgeonError (an option of its address is unknown)."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import make_conninfo

    from server.store.postgres_cursor import PostgresCursor  # with psycopg, which a server on SQLite does without

    try:
        make_conninfo("", **{name: str(value) for name, value in address.query.items()})
    except ProgrammingError as error:
        raise SturgeonError(f"The database URL is not one that PostgreSQL knows: {str(error).strip()}.") from None
    engine = sa.create_engine(
        address.set(drivername="postgresql+psycopg"),
        pool_size=connections,
        max_overflow=0,
        pool_use_lifo=True,
        connect_args={"connect_timeout": 5, "application_name": "sturgeon", "cursor_factory": PostgresCursor},
        json_deserializer=json_value,
        hide_parameters=True,  # an error that is logged repeats nothing that was sent
    )
    sa.event.listen(engine, "checkin", _note_use)
    sa.event.listen(engine, "checkout", partial(_check, engine))
    return engine


IDLE_S: Final = 5.0
"""A connection that was idle for longer is asked whether it still works before it is used."""


def _note_use(_connection: object, entry: ConnectionPoolEntry) -> None:
    entry.info["used_at"] = time.monotonic()


def _check(engine: Engine, connection: Any, entry: ConnectionPoolEntry, _fairy: object) -> None:
    """Replace a connection that its server has closed, and all others with it. That is known without a question: what
    a server says of itself lies in the socket, which is empty between two transactions. Only a network that drops
    packets says nothing, so one that was idle for long is asked."""
    used_at = entry.info.get("used_at")
    if used_at is None:  # it was opened just now
        return
    if connection.closed or time.monotonic() - used_at > IDLE_S or _is_readable(connection.fileno()):
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            raise sa.exc.InvalidatePoolError from None


def _is_readable(file: int) -> bool:
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(0))


def _sqlite(address: sa.URL, connections: int, *, reads: bool) -> Engine:
    # The pool class is named since SQLAlchemy's choice for SQLite depends on the kind of file. The connection that was
    # used last knows most of the file.
    engine = sa.create_engine(
        address,
        poolclass=sa.QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_use_lifo=True,
        json_deserializer=json_value,
        hide_parameters=True,
    )
    sa.event.listen(engine, "connect", partial(_prepare_sqlite, reads=reads))
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry, *, reads: bool) -> None:
    connection.isolation_level = None  # so that `begin_sqlite`, not the driver, begins transactions
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 5000")
    _retry_while_locked(lambda: cursor.execute("PRAGMA journal_mode = WAL"))
    cursor.execute("PRAGMA synchronous = NORMAL")  # `durability.py` has the rest
    cursor.execute("PRAGMA foreign_keys = ON")
    if reads:
        cursor.execute("PRAGMA query_only = ON")
    else:  # writers wait in a line, see `WriteQueue`; SQLite's own wait, which grows to 100 ms, is left out
        cursor.execute("PRAGMA busy_timeout = 0")
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


def begin_sqlite(connection: Connection, turn: Turn | None, *, foreign_keys: bool = True) -> None:
    """Begin a transaction of SQLite: with a turn one that writes. It is called, and no listener: the engine of a
    listener would look for others before and after every statement."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    if not foreign_keys:
        driver.execute("PRAGMA foreign_keys = OFF")
    if turn is None:
        driver.execute("BEGIN")
    else:
        turn.begin(partial(_begin_immediate, driver))


def _begin_immediate(connection: sqlite3.Connection) -> bool:
    """Take the write lock at once: a transaction that read first and wrote later would fail as busy.

    False where another process has the lock."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return False
        raise
    return True
