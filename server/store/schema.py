"""Migrating a database to this version's schema, and refusing one that has another.

Alembic is imported only when there is something to migrate: it would be a fifth of a server's start.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import sqlalchemy as sa

import migrations
from server.store.engine import Database, Transaction
from sturgeon.errors import SturgeonError

_FOLDER = Path(migrations.__file__).parent
_VERSION = sa.table("alembic_version", sa.column("version_num", sa.String()))
_MIGRATION_LOCK = 7_381_116_302  # any fixed number: PostgreSQL's advisory lock for `sturgeon migrate`


def migrate(database_url: str) -> str:
    """Upgrade to the newest schema, in one transaction. The second of two at once waits. Returns the
    revision.

    Raises: SturgeonError (the schema is newer than this version).
    """
    database = Database(database_url, connections=1)
    try:
        with database.migrating() as tx:
            if not tx.is_sqlite:
                tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            present = current(tx)
            _refuse_newer(database, present)
            if present != newest():
                upgrade(tx, newest())
        return newest()
    finally:
        database.dispose()


def upgrade(tx: Transaction, revision: str) -> None:
    """Bring the tables to `revision`."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = tx.connection
    command.upgrade(config, revision)


@cache
def revisions() -> tuple[str, ...]:
    """All revisions, the newest last: the names of the migrations' files begin with them, in their order."""
    return tuple(sorted(file.name[:13] for file in (_FOLDER / "versions").glob("*.py")))


def newest() -> str:
    """The revision that this version of Sturgeon needs."""
    return revisions()[-1]


def current(tx: Transaction) -> str | None:
    """The database's revision; None for a database without our tables."""
    if not sa.inspect(tx.connection).has_table(_VERSION.name):
        return None
    revision: str | None = tx.execute(sa.select(_VERSION.c.version_num)).scalar()
    return revision


def require_newest(database: Database) -> None:
    """Raises: SturgeonError (the database is at another revision than this version needs; it says what to do)."""
    with database.reading() as tx:
        present, needed = current(tx), newest()
    _refuse_newer(database, present)
    if present != needed:
        state = "is empty" if present is None else f"has the older schema {present}"
        raise SturgeonError(f"The database {database.name} {state}; run `sturgeon migrate` first (it brings {needed}).")


def _refuse_newer(database: Database, present: str | None) -> None:
    if present is not None and present not in revisions():
        raise SturgeonError(
            f"The database {database.name} has a newer schema ({present}) than this Sturgeon; upgrade Sturgeon."
        )
