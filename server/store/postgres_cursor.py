"""What a statement on PostgreSQL answers, described by names and types alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from psycopg.rows import TupleRow


class PostgresCursor(psycopg.Cursor[TupleRow]):
    """A cursor whose `description` costs nothing until it is read. psycopg's own makes an object of each column, and
    SQLAlchemy asks for them after every statement though it reads them once: for a row of eighty columns that took as
    long as the statement itself."""

    @property
    def description(self) -> Any:
        result = self.pgresult
        return _Columns(result) if result is not None and result.status == ExecStatus.TUPLES_OK else None


class _Columns(Sequence[tuple[str, int, None, None, None, None, None]]):
    """Of each column its name and the number of its type; sizes and the like are not told."""

    def __init__(self, result: PGresult) -> None:
        self._result = result

    def __len__(self) -> int:
        return self._result.nfields

    def __getitem__(self, column: Any) -> Any:
        name = self._result.fname(column) if column < len(self) else None
        if name is None:
            raise IndexError
        return name.decode(), self._result.ftype(column), None, None, None, None, None
