"""Statements that the driver runs give what SQLAlchemy gives, and fail as it fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import psycopg
import pytest
import sqlalchemy as sa

from server.store import studies, trials
from server.store.engine import Database, Transaction
from server.store.tables import idempotency_keys
from server.store.tables import studies as study_table
from server.store.tables import trials as trial_table
from sturgeon.errors import Unavailable
from tests.postgres import END_OTHERS
from tests.store.test_study_reading import STUDY

_STUDY: Final = sa.select(study_table).where(study_table.c.name == sa.bindparam("name"))
_TRIAL: Final = sa.select(trial_table).where(trial_table.c.study_id == sa.bindparam("study"))
_KEY: Final = idempotency_keys.insert()
TRIAL: Final = {
    **{"number": 0, "state": "running", "mode": "search", "params": {"x": 1e-300, "ä": True}, "point": [0.1 + 0.2]},
    **{"seed": 1, "attempt": 0, "fence": 1, "reported": False, "unstackable": True, "metrics": {}, "basis_seq": 0},
    **{"revision": 0, "drawn": {}, "created_at": 2**52, "lease_until": 5, "lease_us": 5, "best_score": 0.1},
}
KEY: Final = {"key": "k", "request_sha256": "", "study_id": None, "answer": {"ä": [1.5, None]}, "at": 0}


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    database = Database(migrated_url, connections=2)
    with database.writing() as tx:
        study = studies.insert(tx, STUDY)
        assert study is not None
        trials.insert_unread(tx, [TRIAL | {"study_id": study.id}])
    yield database
    database.dispose()


def test_the_driver_gives_the_same_rows_as_sqlalchemy(database: Database) -> None:
    with database.writing() as tx:
        tx.run(_KEY, KEY)
        study = same_row(tx, _STUDY, {"name": "bowl"})
        same_row(tx, _TRIAL, {"study": study[0]})
        found = same_row(tx, sa.select(idempotency_keys).where(idempotency_keys.c.key == sa.bindparam("k")), {"k": "k"})
    assert KEY["answer"] in found


def same_row(tx: Transaction, statement: sa.Select[*tuple[object, ...]], of: dict[str, object]) -> tuple[object, ...]:
    expected = tuple(tx.execute(statement, of).one())
    for _ in range(2):  # compiled, and as it was compiled
        [row] = tx.run(statement, of).rows
        assert row == expected
        assert list(map(type, row)) == list(map(type, expected))
    return expected


def test_a_key_that_is_there_is_an_error_of_sqlalchemy(database: Database) -> None:
    def twice() -> None:
        with database.writing() as tx:
            tx.run(_KEY, KEY)
            tx.run(_KEY, KEY)

    with pytest.raises(sa.exc.IntegrityError):
        twice()
    with database.reading() as tx:
        assert tx.execute(sa.select(sa.func.count()).select_from(idempotency_keys)).scalar_one() == 0


def test_a_parameter_that_is_left_out_is_no_null(database: Database) -> None:
    with pytest.raises((KeyError, sa.exc.ProgrammingError)), database.writing() as tx:
        tx.run(_STUDY, {})


def test_a_lost_connection_is_unavailable_and_is_replaced(migrated_postgres_url: str) -> None:
    database = Database(migrated_postgres_url, connections=1)

    def lose() -> None:
        with database.writing() as tx:
            assert tx.run(_STUDY, {"name": "bowl"}).rows == []
            with psycopg.connect(migrated_postgres_url, autocommit=True) as other:
                other.execute(END_OTHERS)
            tx.run(_STUDY, {"name": "bowl"})

    with pytest.raises(Unavailable):
        lose()
    with database.writing() as tx:
        assert tx.run(_STUDY, {"name": "bowl"}).rows == []
    database.dispose()
