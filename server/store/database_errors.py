"""The errors of a database that is away, locked or full, which are no mistake of the program."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from sturgeon.errors import Unavailable


@contextmanager
def database_errors() -> Iterator[None]:
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
