"""Migrating a database to this version's schema, and refusing one that has another."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import migrations
from server.store.engine import Database, Transaction
from sturgeon.errors import SturgeonError

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
            _refuse_newer(database, current(tx))
            upgrade(tx, "head")
        return newest()
    finally:
        database.dispose()


def upgrade(tx: Transaction, revision: str) -> None:
    """Bring the tables to `revision`."""
    config = _config()
    config.attributes["connection"] = tx.connection
    command.upgrade(config, revision)


def newest() -> str:
    """The revision that this version of Sturgeon needs."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def current(tx: Transaction) -> str | None:
    """The database's revision; None for a database without our tables."""
    return MigrationContext.configure(tx.connection).get_current_revision()


def require_newest(database: Database) -> None:
    """Raises: SturgeonError (the database is at another revision than this version needs; it says what to do)."""
    with database.reading() as tx:
        present, needed = current(tx), newest()
    _refuse_newer(database, present)
    if present != needed:
        state = "is empty" if present is None else f"has the older schema {present}"
        raise SturgeonError(f"The database {database.name} {state}; run `sturgeon migrate` first (it brings {needed}).")


def _refuse_newer(database: Database, present: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if present is not None and present not in known:
        raise SturgeonError(
            f"The database {database.name} has a newer schema ({present}) than this Sturgeon; upgrade Sturgeon."
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
