"""Whether a disk takes what is to be stored. That is tried out: it tells of quotas and of read-only disks, too."""

from __future__ import annotations

import os
import tempfile
import uuid
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from server.store import numerics
from server.store.engine import Database
from sturgeon.errors import Unavailable

PROBE: Final = bytes(65_536)


def require_room(folder: Path, what: str) -> None:
    """Write a file to the folder, sync it, and delete it. Raises: Unavailable (the disk is full or read-only)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, prefix="probe-") as file:
            file.write(PROBE)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Unavailable(f"The disk of {what} takes nothing ({error.strerror}); {folder} needs room.") from error


def require_writable(database: Database) -> None:
    """Raises: Unavailable (the database's disk is full or read-only, or it is a standby)."""
    url = database.engine.url
    if url.get_backend_name() != "sqlite":
        _require_row(database)
        return
    file = Path(url.database or "")
    require_room(file.parent, "the database")
    # Never open it here: closing a file drops all locks that this process has on it, SQLite's too. The next process to
    # close its connection would then take itself for the last, and delete the write-ahead log.
    if not os.access(file, os.W_OK):
        raise Unavailable(f"The database {file} cannot be written to.")


_MAY: Final = sa.text(
    "SELECT current_setting('transaction_read_only') = 'on', has_database_privilege(current_database(), 'TEMP')"
)
_NEW_PAGES: Final = sa.text("CREATE TEMP TABLE probe AS SELECT generate_series(1, 2000)")


def _require_row(database: Database) -> None:
    """Insert a row, and take it back. A page of the table may have room for it where the disk has none, so the disk is
    asked for pages of a new table, too; but of a role that may make no temporary tables."""
    with database.writing() as tx:
        is_read_only, may_make_tables = tx.execute(_MAY).one()
        if is_read_only:
            raise Unavailable("The database is read-only.")
        tx.rollback_at_end()
        numerics.record(tx, f"probe {uuid.uuid4()}", {"probe": PROBE[:8192].hex()})
        if may_make_tables:
            tx.execute(_NEW_PAGES)
