"""Looking for room on the disk leaves SQLite's locks alone, and needs no rights but those to write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import sqlalchemy as sa

from server.store.engine import Database
from server.store.room import require_writable
from tests.postgres import Postgres
from tests.processes import DEADLINE_S

ANOTHER_PROCESS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM studies").fetchall()
connection.close()
"""


def test_another_process_that_ends_leaves_the_log_of_a_database_in_use(migrated_sqlite_url: str) -> None:
    file = sa.make_url(migrated_sqlite_url).database or ""
    database = Database(migrated_sqlite_url)
    with database.writing() as tx:
        tx.execute(sa.text("DELETE FROM events"))
    log = Path(f"{file}-wal")
    before = log.stat().st_ino

    require_writable(database)
    subprocess.run([sys.executable, "-c", ANOTHER_PROCESS, file], check=True, timeout=DEADLINE_S)

    assert log.stat().st_ino == before
    database.dispose()


MODEST = """
    CREATE ROLE modest LOGIN;
    REVOKE TEMPORARY ON DATABASE modest FROM PUBLIC;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO modest;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO modest
"""


def test_a_role_that_may_make_no_tables_finds_room_by_a_row(
    postgres: Postgres, migrated_postgres_template: str
) -> None:
    url = postgres.create_database("modest", migrated_postgres_template)
    try:
        with psycopg.connect(url) as connection:
            connection.execute(MODEST)
        database = Database(url.replace(f"{postgres.user}@", "modest@"), connections=1)
        require_writable(database)
        with database.reading() as tx:
            assert tx.execute(sa.text("SELECT count(*) FROM numerics")).scalar_one() == 0
        database.dispose()
    finally:
        postgres.drop_database("modest")
        with psycopg.connect(f"{postgres.url}/postgres") as connection:
            connection.execute("DROP ROLE IF EXISTS modest")
