"""What an error of the database says: it may be logged with its traceback."""

from __future__ import annotations

import traceback

import pytest
import sqlalchemy as sa

from server.store.engine import Database

SECRET = "sesame-open"


def test_an_error_of_a_statement_repeats_none_of_its_parameters(migrated_url: str) -> None:
    database = Database(migrated_url, connections=1)
    try:
        for begin in (database.reading, database.writing):
            with pytest.raises(Exception, match="nowhere") as caught, begin() as tx:
                tx.execute(sa.text("SELECT 1 FROM nowhere WHERE name = :name"), {"name": SECRET})

            told = "".join(traceback.format_exception(caught.value))
            assert "WHERE name = " in told
            assert SECRET not in told
    finally:
        database.dispose()
