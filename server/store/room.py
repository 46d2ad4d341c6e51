"""Whether a disk takes what is to be stored, and how much is free. The first is tried out: it tells of quotas and of
read-only disks, too."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import sqlalchemy as sa

from server.store import numerics
from server.store.engine import Database, Transaction
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
    asked for pages of a new table, too, if our role may make temporary tables."""
    with database.writing() as tx:
        is_read_only, may_make_tables = tx.execute(_MAY).one()
        if is_read_only:
            raise Unavailable("The database is read-only.")
        tx.rollback_at_end()
        numerics.record(tx, f"probe {uuid.uuid4()}", {"probe": PROBE[:8192].hex()})
        if may_make_tables:
            tx.execute(_NEW_PAGES)


class Disk(NamedTuple):
    """A file system: its bytes, and how many of them we may still take."""

    size: int
    free: int


def disk_of(folder: Path) -> Disk | None:
    """The file system that a folder is on, or will be; None where the system does not say."""
    for there in (folder, *folder.absolute().parents):
        with suppress(FileNotFoundError):
            try:
                usage = shutil.disk_usage(there)
            except PermissionError:
                return None
            return Disk(usage.total, usage.free)
    return None


def folder_of(database: Database) -> Path | None:
    """Where SQLite's file is; None of a PostgreSQL, whose disk is another machine's."""
    url = database.engine.url
    return Path(url.database or "").parent if url.get_backend_name() == "sqlite" else None


def size_of(tx: Transaction) -> int:
    """The bytes of the database; of SQLite with its write-ahead log."""
    if not tx.is_sqlite:
        return int(tx.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one())
    size = 0
    for end in ("", "-wal"):
        with suppress(FileNotFoundError):
            size += Path(f"{tx.connection.engine.url.database}{end}").stat().st_size  # never opened here: see above
    return size
