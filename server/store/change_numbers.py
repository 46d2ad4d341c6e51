"""Change numbers: the transaction that last wrote a row, so that a reader finds what was written since it last read.

A **moment** is the text of what had been committed when a transaction read. All that was committed later, and only
that, is `since` it: also what began earlier, and whatever the clock was set to. Each database has its own way:

- SQLite's writers come one after another. Each that writes has the next number, and a moment is the last of them.
- PostgreSQL's writers are numbered by their transaction's id, and a moment is a snapshot: it names the transactions
  that were still on their way. No writer waits for another one to get its number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.sql.compiler import SQLCompiler

MOMENT: Final = r"[0-9]{1,18}(?::[0-9]{1,18}:(?:[0-9]{1,18}(?:,[0-9]{1,18}){0,999})?)?"


class ChangeNumber(FunctionElement[int]):
    """The number of the transaction that writes."""

    type = sa.BigInteger()
    name = "change_number"
    inherit_cache = True


@compiles(ChangeNumber, "sqlite")
def _of_sqlite(_element: ChangeNumber, _compiler: SQLCompiler, **_options: object) -> str:
    return "(SELECT coalesce(max(last), 0) + 1 FROM change_count)"


@compiles(ChangeNumber, "postgresql")
def _of_postgres(_element: ChangeNumber, _compiler: SQLCompiler, **_options: object) -> str:
    return "CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)"


_LAST: Final = "SELECT coalesce(max(last), 0) FROM change_count"
_COUNT: Final = "INSERT INTO change_count (id, last) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET last = last + 1"


def last_change(connection: Connection) -> int:
    """The last number of what this transaction of SQLite reads; the next one is one more. Read past SQLAlchemy, since
    every transaction begins with it. 0 of a database whose schema is older than the numbers, or empty."""
    driver: Any = connection.connection.driver_connection
    try:
        last: int = driver.execute(_LAST).fetchone()[0]
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return 0
    return last


class Counting(AbstractContextManager[None]):
    """A transaction of SQLite, of which the next number begins if it has changed anything."""

    def __init__(self, connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        self._execute: Callable[[str], object] = driver.execute
        self._changes: Callable[[], int] = lambda: driver.total_changes
        self._before = self._changes()
        self.changed = False

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if kind is None and self._changes() > self._before:
            self._execute(_COUNT)
            self.changed = True


class _Snapshot(NamedTuple):
    """A moment in parts. Of SQLite `first` alone; of PostgreSQL the transactions before `first` are over, and those
    from `end` on have not begun; between them `open` are on their way."""

    first: int
    end: int | None
    open: tuple[int, ...]


def _snapshot(moment: str) -> _Snapshot:
    first, *rest = moment.split(":")
    if not rest:
        return _Snapshot(int(first), None, ())
    return _Snapshot(int(first), int(rest[0]), tuple(map(int, filter(None, rest[1].split(",")))))


def is_past(moment: str, now: str) -> bool:
    """Whether the database that is at `now` can have had this moment: not one of the other kind of database, nor a
    later one, which a database had that was then restored from a backup. `moment` has the form MOMENT."""
    then, present = _snapshot(moment), _snapshot(now)
    if then.end is None or present.end is None:
        return then.end is None and present.end is None and then.first <= present.first
    ascending = all(a < b for a, b in pairwise((then.first - 1, *then.open, then.end)))
    return then.first <= then.end <= present.end and ascending


def is_since(number: int, moment: str) -> bool:
    """As `since`, of a row that was read."""
    first, end, open_ = _snapshot(moment)
    return number > first if end is None else number >= end or number in open_


def since(column: sa.Column[int], moment: str) -> sa.ColumnElement[bool]:
    """Whether the row was written by a transaction that was committed after the moment, one that `is_past`."""
    first, end, _ = _snapshot(moment)
    if end is None:
        return column > first
    number = sa.cast(sa.cast(column, sa.Text), _Xid8())
    return sa.and_(column >= first, sa.not_(sa.func.pg_visible_in_snapshot(number, sa.cast(moment, _PgSnapshot()))))


class _Xid8(sa.types.UserDefinedType[int]):
    cache_ok = True

    def get_col_spec(self, **_options: object) -> str:
        return "xid8"


class _PgSnapshot(sa.types.UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_options: object) -> str:
        return "pg_snapshot"


def is_foreign(column: sa.Column[int]) -> sa.ColumnElement[bool]:
    """Whether no transaction of this PostgreSQL has had the number yet: a dump of another one has brought the row."""
    end = sa.func.pg_snapshot_xmax(sa.func.pg_current_snapshot())
    return column >= sa.cast(sa.cast(end, sa.Text), sa.BigInteger)
