"""Statements that every trial needs: SQLAlchemy compiles them once, and then the driver runs them.

SQLAlchemy's own way from a statement to a row takes longer than the driver and SQLite together. What is run here must
be a constant, since it is kept; it has one set of parameters and no lists among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.sql import Insert

Change = Callable[[Any], Any]
"""How a value is written for the driver, or read from what it gives."""
Parameters = Mapping[str, object]


class Answer(NamedTuple):
    """rows: of a SELECT, or of RETURNING. changed: how many rows were written."""

    rows: list[tuple[Any, ...]]
    changed: int


@dataclass
class _Compiled:
    """order: the names of the parameters, where the driver takes them by their place. given: those that the statement
    itself has. reading: by column; known from the first answer on."""

    sql: str
    order: tuple[str, ...] | None
    given: dict[str, object]
    writing: dict[str, Change]
    reading: list[tuple[int, Change]] | None = None


class HotStatements:
    """Those of one database, compiled for the columns that each was run with."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._compiled: dict[tuple[sa.Executable, tuple[str, ...]], _Compiled] = {}

    def run(self, connection: Connection, statement: sa.Executable, parameters: Parameters) -> Answer:
        """Raises: DBAPIError (as SQLAlchemy raises it), InvalidRequestError (its transaction is over)."""
        if not connection.in_transaction():  # else SQLite's driver would commit the statement at once
            raise sa.exc.InvalidRequestError("this transaction is over")
        key = (statement, tuple(parameters))
        compiled = self._compiled.get(key) or self._compiled.setdefault(key, self._compile(statement, key[1]))
        values: Any = {**compiled.given, **parameters}
        for name, write in compiled.writing.items():
            values[name] = write(values[name])
        if compiled.order is not None:
            values = tuple([values[name] for name in compiled.order])
        driver: Any = connection.connection.driver_connection
        cursor = None
        try:
            cursor = driver.cursor()
            for listener in connection.dispatch.before_cursor_execute:
                listener(connection, cursor, compiled.sql, values, None, False)
            cursor.execute(compiled.sql, values)
            columns = cursor.description
            rows = cursor.fetchall() if columns is not None else []
        except self._dialect.loaded_dbapi.Error as error:
            # What SQLAlchemy itself does: of a connection that was lost, those that wait in the pool are given up too.
            connection._handle_dbapi_exception(error, compiled.sql, None, cursor, None)
        if compiled.reading is None:
            compiled.reading = self._reading(statement, columns or ())
        if compiled.reading:
            rows = [_read(row, compiled.reading) for row in rows]
        return Answer(rows, cursor.rowcount)

    def _compile(self, statement: Any, columns: tuple[str, ...]) -> _Compiled:
        compiled = statement.compile(dialect=self._dialect, column_keys=list(columns))
        if compiled.post_compile_params or compiled.insert_prefetch or compiled.update_prefetch:
            raise AssertionError("a hot statement has no lists of parameters, and no values that Python works out")
        writing: dict[str, Change] = {}
        for name, bind in compiled.binds.items():
            if write := bind.type.dialect_impl(self._dialect).bind_processor(self._dialect):
                writing[name] = write
        order = tuple(compiled.positiontup) if compiled.positional else None
        given = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        return _Compiled(compiled.string, order, given, writing)

    def _reading(self, statement: Any, description: Iterable[Sequence[Any]]) -> list[tuple[int, Change]]:
        """description: the driver's, of each column its name and its type."""
        reading: list[tuple[int, Change]] = []
        columns = statement.exported_columns if description else ()
        for place, (column, (_, kind, *_)) in enumerate(zip(columns, description, strict=True)):
            if read := column.type.dialect_impl(self._dialect).result_processor(self._dialect, kind):
                reading.append((place, read))
        return reading


@cache
def insert_new(table: sa.Table, key: tuple[str, ...], returning: str | None, *, is_sqlite: bool) -> Insert:
    """An INSERT that does nothing where a row with this key exists. Each database has its own dialect for it."""
    make = sqlite.insert if is_sqlite else postgresql.insert
    statement = make(table).on_conflict_do_nothing(index_elements=list(key))
    return statement if returning is None else statement.returning(table.c[returning])


def _read(row: tuple[Any, ...], reading: list[tuple[int, Change]]) -> tuple[Any, ...]:
    values = list(row)
    for place, read in reading:
        values[place] = read(values[place])
    return tuple(values)
