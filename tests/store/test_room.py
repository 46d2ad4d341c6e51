"""Looking for room on the disk leaves SQLite's locks alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa

from server.store.engine import Database
from server.store.room import require_writable
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
