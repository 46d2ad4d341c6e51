"""A copy of a live SQLite database, and the way back, by SQLite's own backup API: consistent, while the server goes on.

To move files about is not safe: a write-ahead log that is left beside another database's file is read into it.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from server.store import schema
from sturgeon.errors import SturgeonError
from sturgeon.temporary import written_beside


def backup(database_url: str, file: Path) -> None:
    """Write a consistent copy to `file`, which must not exist. Who may not read the database may not read the copy.

    Raises: SturgeonError (the file exists, the database does not, it is PostgreSQL, or the disk refuses).
    """
    source = _file(database_url, "`sturgeon backup` copies SQLite files; for PostgreSQL use pg_dump.")
    if not source.is_file():
        raise SturgeonError(f"There is no database file {source}.")
    if file.exists():
        raise SturgeonError(f"{file} exists already; choose another name.")
    if not file.parent.is_dir():
        raise SturgeonError(f"There is no folder {file.parent}.")
    try:
        reading = f"{source.absolute().as_uri()}?mode=ro"
        with (
            written_beside(file) as beside,
            closing(sqlite3.connect(reading, uri=True)) as live,
            closing(sqlite3.connect(beside)) as copy,
        ):
            shutil.copymode(source, beside)  # before anything is in it
            copy.execute("PRAGMA journal_mode=OFF")  # whatever fails, the copy is deleted
            live.backup(copy)
    except (OSError, sqlite3.Error) as error:
        raise SturgeonError(f"The backup failed: {error}.") from None


def restore(database_url: str, file: Path, *, replace: bool) -> str:
    """Make the database what a copy in `file` is, in one transaction; its revision.

    replace: whether a database that is there may be lost.

    Raises: SturgeonError (the file is no whole copy, its schema is newer than this version, a database is there, a
        server uses it, it is PostgreSQL, or the disk refuses).
    """
    target = _file(database_url, "`sturgeon restore` restores SQLite files; for PostgreSQL use pg_restore.")
    try:
        with closing(_opened_copy(file)) as copy:
            revision = _revision_of(copy, file)
            if target.exists() and not replace:
                raise SturgeonError(f"{target} exists already; --replace overwrites it.")
            if not target.exists():
                target.touch(mode=0o600)
                shutil.copymode(file, target)
            with closing(_taken(target)) as database:
                copy.backup(database)
    except (OSError, sqlite3.Error) as error:
        raise SturgeonError(f"The restore failed: {error}.") from None
    return revision


def _file(database_url: str, of_postgresql: str) -> Path:
    address = sa.make_url(database_url)
    if address.get_backend_name() != "sqlite":
        raise SturgeonError(of_postgresql)
    return Path(address.database or "")


def _opened_copy(file: Path) -> sqlite3.Connection:
    """A file without a log beside it is only read: it may be on a disk that takes nothing."""
    has_log = file.with_name(f"{file.name}-wal").exists()
    how = "mode=ro" if has_log else "mode=ro&immutable=1"
    return sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True)


def _revision_of(copy: sqlite3.Connection, file: Path) -> str:
    """Raises: SturgeonError (it is damaged, not of Sturgeon, or newer)."""
    try:
        [(sound,)] = copy.execute("PRAGMA quick_check(1)")
        found = copy.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise SturgeonError(f"{file} is not a copy of a Sturgeon database: {error}.") from None
    if sound != "ok" or found is None:
        raise SturgeonError(f"{file} is damaged: {sound if sound != 'ok' else 'it has no schema revision'}.")
    revision: str = found[0]
    if revision not in schema.revisions():
        raise SturgeonError(f"{file} has a newer schema ({revision}) than this Sturgeon; upgrade Sturgeon.")
    return revision


def _taken(target: Path) -> sqlite3.Connection:
    """A connection that has the database for itself. Each server holds a lock on it for as long as it runs, so this
    is refused then, also to one that has nothing to do.

    Raises: SturgeonError (another process uses the database).
    """
    database = sqlite3.connect(target, timeout=0, isolation_level=None)
    try:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")  # the lock outlives the transaction that takes it
        database.execute("BEGIN EXCLUSIVE")
        database.execute("COMMIT")
    except sqlite3.OperationalError as error:
        database.close()
        if "locked" not in str(error):
            raise
        raise SturgeonError(f"{target} is in use; stop the server first.") from None
    return database
