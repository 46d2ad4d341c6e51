"""The schema: brought by `migrate`, once or twice or by two at once; a server refuses another one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import migrations
from server.serving import serve
from server.settings import Settings
from server.store import schema, space_revisions, studies
from server.store.engine import Database
from server.store.tables import metadata
from sturgeon.errors import SturgeonError
from tests.processes import DEADLINE_S


def tables(database_url: str) -> set[str]:
    database = Database(database_url, connections=1)
    with database.reading() as tx:
        found = set(sa.inspect(tx.connection).get_table_names())
    database.dispose()
    return found


def test_migrating_brings_the_newest_schema_and_again_changes_nothing(database_url: str) -> None:
    assert schema.migrate(database_url) == schema.newest()
    before = tables(database_url)
    assert schema.migrate(database_url) == schema.newest()

    assert tables(database_url) == before == {*metadata.tables, "alembic_version"}


def test_many_may_migrate_at_once(database_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(schema.migrate, [database_url] * 4)) == {schema.newest()}

    assert tables(database_url) == {*metadata.tables, "alembic_version"}


def test_the_migrations_bring_exactly_the_tables_that_the_code_knows(migrated_url: str) -> None:
    database = Database(migrated_url, connections=1)
    with database.reading() as tx:
        context = MigrationContext.configure(tx.connection, opts={"compare_type": True})
        difference = compare_metadata(context, metadata)
    database.dispose()

    assert difference == []


def test_a_server_refuses_an_empty_postgresql(postgres_url: str) -> None:
    with pytest.raises(SturgeonError, match="is empty; run `sturgeon migrate` first"):
        serve(Settings(database_url=postgres_url))

    assert tables(postgres_url) == set()


def test_a_database_without_tables_is_read_as_empty(database_url: str) -> None:
    """Though each transaction of SQLite reads a change number first."""
    database = Database(database_url, connections=1)
    with pytest.raises(SturgeonError, match="is empty; run `sturgeon migrate` first"):
        schema.require_newest(database)
    database.dispose()


@pytest.mark.parametrize(
    "bring", [schema.migrate, lambda url: serve(Settings(database_url=url))], ids=["migrate", "serve"]
)
def test_a_newer_schema_is_refused(migrated_url: str, bring: Callable[[str], object]) -> None:
    database = Database(migrated_url, connections=1)
    with database.writing() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = 'zzz'"))
    database.dispose()

    with pytest.raises(SturgeonError, match=r"has a newer schema \(zzz\) than this Sturgeon; upgrade Sturgeon"):
        bring(migrated_url)


def test_a_refusal_does_not_tell_the_databases_password(postgres_url: str) -> None:
    with_password = postgres_url.replace("postgres@", "postgres:hunter2@")

    with pytest.raises(SturgeonError) as refused:
        serve(Settings(database_url=with_password))

    assert "hunter2" not in refused.value.message


def test_a_database_that_is_away_is_told_in_a_sentence() -> None:
    nowhere = "postgresql://postgres:hunter2@127.0.0.1:1/none"

    with pytest.raises(SturgeonError, match="The database cannot do this just now") as refused:
        serve(Settings(database_url=nowhere))

    assert "hunter2" not in refused.value.message


def test_studies_of_the_first_schema_survive_the_upgrade(database_url: str) -> None:
    database = Database(database_url, connections=1)
    columns = {
        "name": "old", "title": "", "state": "active", "mode": "caviar", "metric": "loss", "direction": "minimize",
        "reduce": "last", "space": '{"x": {"type": "float", "low": 0, "high": 1}}', "revision": 0, "sampler": "random",
        "seed": 1, "pruning": "{}", "max_trials": 3, "seq": 2, "next_number": 1, "created_at": 77,
    }  # fmt: skip
    names = ", ".join(columns)
    values = ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for value in columns.values())
    with database.migrating() as tx:
        schema.upgrade(tx, "20261122_0001")
        tx.execute(sa.text(f"INSERT INTO studies ({names}) VALUES ({values})".replace(":", r"\:")))
    schema.migrate(database_url)

    with database.reading() as tx:
        study = studies.find(tx, "old")
        assert study is not None
        [revision] = space_revisions.until(tx, study.id, study.seq)
    database.dispose()
    assert (study.replicates, study.seq) == (1, 2)
    assert (revision.revision, revision.space, revision.added, revision.seq) == (0, study.space, {}, 0)
    assert revision.created_at == 77


def test_the_names_of_the_migrations_tell_their_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())

    assert [script.revision for script in reversed(scripts)] == list(schema.revisions())


def test_a_server_with_nothing_to_migrate_does_not_import_alembic(migrated_url: str) -> None:
    script = (
        "import sys\nfrom server.store import schema\n"
        f"schema.migrate({migrated_url!r})\nprint('alembic' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=DEADLINE_S
    )
    assert told.stdout == "False\n"


@pytest.mark.fault("W10")
def test_studies_from_before_say_what_their_tasks_tell(database_url: str) -> None:
    tasks = {
        "own-code": None,
        "best": {"dataset": "digits", "checkpoints": {"best": 1, "last": 1}},
        "no-best": {"dataset": "digits", "checkpoints": {"best": 0, "last": 1}},
        "none": {"dataset": "digits", "checkpoints": None},
        "stream": {"dataset": "stream:clicks", "checkpoints": {"best": 1, "last": 1}},
    }
    columns = ("title", "state", "mode", "metric", "direction", "reduce", "space", "revision", "sampler", "seed")
    database = Database(database_url, connections=1)
    with database.migrating() as tx:
        schema.upgrade(tx, "20261127_0004")
        for name, task in tasks.items():
            statement = sa.text(
                f"INSERT INTO studies (name, task, {', '.join(columns)}, sampler_options, pruning, max_trials, seq, "
                "next_number, created_at, replicates, policies) VALUES (:name, :task, '', 'active', 'caviar', "
                "'dev_error', 'minimize', 'last', '{}', 0, 'random', 1, '{}', '{}', 3, 0, 0, 7, 1, '[]')"
            )
            tx.execute(statement, {"name": name, "task": None if task is None else json.dumps(task)})
    schema.migrate(database_url)

    with database.reading() as tx:
        reduce = {name: study.reduce for name in tasks if (study := studies.find(tx, name)) is not None}
    database.dispose()
    assert reduce == {"own-code": "last", "best": "best", "no-best": "last", "none": "last", "stream": "last"}
