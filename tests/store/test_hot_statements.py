"""Statements that the driver runs give what SQLAlchemy gives, and fail as it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


PID: Final = sa.select(sa.func.pg_backend_pid())


def test_with_a_lost_connection_those_in_the_pool_are_given_up(migrated_postgres_url: str) -> None:
    """As SQLAlchemy does it: a server that ends one connection ends them all."""
    database = Database(migrated_postgres_url, connections=2)

    def pids() -> set[int]:
        with database.writing() as one, database.writing() as two:
            return {pid for tx in (one, two) for [pid] in tx.run(PID, {}).rows}

    def lose() -> None:
        with database.writing() as tx:
            tx.run(sa.select(sa.func.pg_terminate_backend(sa.func.pg_backend_pid())), {})

    before = pids()
    with pytest.raises(Unavailable):
        lose()

    assert before.isdisjoint(pids())
    database.dispose()


def test_a_transaction_that_is_over_runs_nothing(database: Database) -> None:

    def go_on() -> None:
        with database.writing() as tx:
            tx.connection.get_transaction().rollback()  # type: ignore[union-attr]
            tx.run(_KEY, KEY)

    with pytest.raises(sa.exc.InvalidRequestError):
        go_on()
    assert keys(database) == 0


def keys(database: Database) -> int:
    with database.reading() as tx:
        return int(tx.execute(sa.select(sa.func.count()).select_from(idempotency_keys)).scalar_one())


_STATES: Final = sa.select(trial_table).where(trial_table.c.state.in_(sa.bindparam("states", expanding=True)))
_WITH_DEFAULT: Final = sa.Table("t", sa.MetaData(), sa.Column("a", sa.Text), sa.Column("b", sa.Text, default="b"))


@pytest.mark.parametrize(
    ("statement", "parameters"), [(_STATES, {"states": ["running"]}), (_WITH_DEFAULT.insert(), {"a": "a"})]
)
def test_what_the_driver_cannot_run_is_refused(
    database: Database, statement: sa.Executable, parameters: dict[str, object]
) -> None:
    """A default that Python gives would be a NULL."""
    with pytest.raises(AssertionError, match="no lists of parameters"), database.writing() as tx:
        tx.run(statement, parameters)


FAILS: Final = {
    "unique": (_KEY, KEY),
    "foreign key": (_KEY, KEY | {"key": "2", "study_id": 99}),
    "not null": (_KEY, KEY | {"key": "2", "request_sha256": None}),
    "check": (sa.update(trial_table).values(fence=-1), {}),
    "no such table": (sa.text("SELECT * FROM nowhere"), {}),
    "too large": (_KEY, KEY | {"key": "2", "at": 2**63}),
    "no Unicode": (_KEY, KEY | {"key": "\ud800"}),
}


@pytest.mark.parametrize("name", FAILS)
def test_a_statement_fails_as_with_sqlalchemy_and_a_savepoint_holds(database: Database, name: str) -> None:
    statement, parameters = FAILS[name]
    failed: list[list[object]] = []
    with database.writing() as tx:
        tx.run(_KEY, KEY)
        for run in (tx.execute, tx.run):
            error = failure(tx, lambda run=run: run(statement, parameters))  # type: ignore[misc]
            failed.append([type(error), type(getattr(error, "orig", None)), type(error.__cause__)])
    assert failed[0] == failed[1]
    assert keys(database) == 1


def failure(tx: Transaction, run: Callable[[], object]) -> Exception:
    """Of a savepoint in which this runs after a statement that succeeds."""
    try:
        with tx.savepoint():
            tx.run(_KEY, KEY | {"key": "undone"})
            run()
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03", "57014", "53100", "57P01"])
def test_what_postgres_cannot_do_just_now_is_unavailable(migrated_postgres_url: str, state: str) -> None:
    """A serialization failure, a deadlock, a lock's and a statement's timeout, a full disk and a shutdown."""
    database = Database(migrated_postgres_url, connections=1)

    def fail() -> None:
        with database.writing() as tx:
            tx.run(_KEY, KEY)
            tx.run(sa.text(f"DO $$BEGIN RAISE SQLSTATE '{state}'; END$$"), {})

    with pytest.raises(Unavailable):
        fail()
    assert keys(database) == 0
    database.dispose()


TEXTS: Final = ("", "ä😀", "%(key)s :key ? %% %s", "'; \\' --", '{"a": 1}')
JSONS: Final = ({}, [], None, "", 0, True, {"%s": ":a ?", "ä": None}, [5e-324, 1.7e308, -0.0, 2**70], "\ud800", [[[]]])


def test_any_text_and_any_json_is_stored_as_by_sqlalchemy(database: Database) -> None:
    rows = [KEY | {"key": f"{n}{text}", "answer": KEY["answer"]} for n, text in enumerate(TEXTS)]
    rows += [KEY | {"key": f"json {n}", "answer": value} for n, value in enumerate(JSONS)]
    statement = sa.select(idempotency_keys, sa.cast(idempotency_keys.c.answer, sa.Text)).order_by("key")
    stored: list[list[tuple[object, ...]]] = []
    for runs in (False, True):
        with database.writing() as tx:
            for row in rows:
                (tx.run if runs else tx.execute)(_KEY, row)
            read = [tuple(row) for row in tx.execute(statement)]
            assert repr(tx.run(statement, {}).rows) == repr(read)
            stored.append(read)
            tx.execute(idempotency_keys.delete())
    assert len(stored[0]) == len(rows)
    assert repr(stored[0]) == repr(stored[1])


def test_a_connection_that_is_lost_at_the_commit_is_unavailable(migrated_postgres_url: str) -> None:
    database = Database(migrated_postgres_url, connections=1)

    def lose() -> None:
        with database.writing() as tx, psycopg.connect(migrated_postgres_url, autocommit=True) as other:
            tx.run(_KEY, KEY)
            [[pid]] = tx.run(PID, {}).rows
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    with pytest.raises(Unavailable):
        lose()
    assert keys(database) == 0
    database.dispose()


def test_a_full_disk_of_sqlite_is_unavailable_and_keeps_nothing(migrated_sqlite_url: str) -> None:
    database = Database(migrated_sqlite_url, connections=1)

    def fill() -> None:
        with database.writing() as tx:
            tx.execute(sa.text("PRAGMA max_page_count = 1"))  # SQLite takes the present number of pages
            for number in range(100):
                tx.run(_KEY, KEY | {"key": str(number), "answer": "x" * 20_000})

    with pytest.raises(Unavailable, match="full"):
        fill()
    assert keys(database) == 0
    database.dispose()
