"""The cursor of PostgreSQL describes what psycopg's own describes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from server.store.postgres_cursor import PostgresCursor


@pytest.fixture
def connection(migrated_postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(migrated_postgres_url, cursor_factory=PostgresCursor) as connection:
        yield connection


@pytest.mark.parametrize(
    "sql",
    [
        """SELECT 1 AS a, 'x' AS "ä %", NULL, 2 AS a""",
        "SELECT",
        "SELECT * FROM trials WHERE false",
        "INSERT INTO floors (id, fence, version, since) VALUES (1, 0, 0, 0) RETURNING fence, since",
        "DELETE FROM floors",
        "SHOW search_path",
    ],
)
def test_names_and_types_are_those_of_psycopg(connection: psycopg.Connection[Any], sql: str) -> None:
    described = []
    for cursor in (connection.cursor(), psycopg.Cursor(connection)):
        cursor.execute(sql.encode())
        columns = cursor.description
        described.append(None if columns is None else (len(columns), [tuple(column)[:2] for column in columns]))
        connection.rollback()
    assert described[0] == described[1]


def test_a_cursor_that_answers_nothing_describes_nothing(connection: psycopg.Connection[Any]) -> None:
    cursor = connection.cursor()
    assert cursor.description is None
    cursor.execute("SELECT 1")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        cursor.execute("SELECT nothing")
    assert cursor.description is None
