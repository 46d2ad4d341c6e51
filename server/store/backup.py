"""A copy of a live SQLite database by SQLite's own backup API: consistent, while the server goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from sturgeon.errors import SturgeonError
from sturgeon.temporary import written_beside


def backup(database_url: str, file: Path) -> None:
    """Write a consistent copy to `file`, which must not exist.

    Raises: SturgeonError (the file exists, the database does not, it is PostgreSQL, or the disk refuses).
    """
    address = sa.make_url(database_url)
    if address.get_backend_name() != "sqlite":
        raise SturgeonError("`sturgeon backup` copies SQLite files; for PostgreSQL use pg_dump.")
    source = Path(address.database or "")
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
            copy.execute("PRAGMA journal_mode=OFF")  # whatever fails, the copy is deleted
            live.backup(copy)
    except (OSError, sqlite3.Error) as error:
        raise SturgeonError(f"The backup failed: {error}.") from None
