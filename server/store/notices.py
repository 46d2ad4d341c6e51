"""What servers on one PostgreSQL tell each other: that something was committed. What it was, the tables say.

A server of SQLite hears of others by the number of the last transaction, which it reads again and again.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from threading import Event
from typing import Any, Final

import sqlalchemy as sa

from server.store.engine import Database

CHANNEL: Final = "sturgeon_commits"
LOOKS_AT_END_S: Final = 0.5
AGAIN_AFTER_S: Final = 1.0

_TELL: Final = sa.text(f"SELECT pg_notify('{CHANNEL}', :who)")


class Notices:
    """Tells other servers, and hears them. Its own notices are not heard."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._name = uuid.uuid4().hex
        self.are_sent = database.engine.dialect.name == "postgresql"

    def tell(self) -> None:
        """Tell the other servers that something was committed here. Raises: Unavailable."""
        with self._database.reading() as tx:  # it is no commit that anybody need be told of
            tx.execute(_TELL, {"who": self._name})

    def listen(self, heard: Callable[[], None], end: Event) -> None:
        """Call `heard` for each notice, until the end. Where the database goes away it begins again, and tells of what
        it may have missed."""
        import psycopg  # servers of SQLite start without it

        while not end.is_set():
            try:
                self._listen(heard, end)
            except (psycopg.Error, sa.exc.SQLAlchemyError):
                end.wait(AGAIN_AFTER_S)

    def _listen(self, heard: Callable[[], None], end: Event) -> None:
        connection = self._database.engine.raw_connection()
        driver: Any = connection.driver_connection
        connection.detach()  # it is no connection of the pool any more
        try:
            driver.autocommit = True
            driver.execute(f"LISTEN {CHANNEL}")
            heard()
            while not end.is_set():
                for notice in driver.notifies(timeout=LOOKS_AT_END_S, stop_after=1):
                    if notice.payload != self._name:
                        heard()
        finally:
            driver.close()
