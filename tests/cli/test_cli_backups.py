"""`sturgeon backup | restore`."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from server.settings import Settings
from tests.cli.command import BOWL, Command

if TYPE_CHECKING:
    from tests.running import RunningServer


@pytest.fixture
def settings(tmp_path: Path, migrated_sqlite_url: str) -> Settings:
    return Settings(database_url=migrated_sqlite_url, checkpoints=tmp_path / "checkpoints", reap_every_s=600)


@pytest.fixture
def copy(sturgeon: Command, settings: Settings, serve: Callable[[Settings], RunningServer], tmp_path: Path) -> Path:
    """A backup of a database whose server was stopped after it had another study."""
    server, file = serve(settings), tmp_path / "copy.db"
    server.client.create_study(BOWL)
    assert sturgeon("backup", file, "--database-url", settings.database_url).code == 0
    server.client.create_study(BOWL | {"name": "later"})
    server.stop()
    return file


def studies(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as database:
        return [name for (name,) in database.execute("SELECT name FROM studies ORDER BY name")]


def file_of(settings: Settings) -> Path:
    return Path(settings.database_url.removeprefix("sqlite:///"))


def test_a_backup_takes_the_place_of_a_database_that_may_be_lost(
    sturgeon: Command, settings: Settings, copy: Path, serve: Callable[[Settings], RunningServer]
) -> None:
    kept = sturgeon("restore", copy, "--database-url", settings.database_url)
    assert (kept.code, kept.err.count("--replace")) == (1, 1)
    assert studies(file_of(settings)) == ["bowl", "later"]

    ran = sturgeon("restore", copy, "--replace", "--database-url", settings.database_url, "-o", "json")

    assert ran.json == sturgeon("migrate", "--database-url", settings.database_url, "-o", "json").json
    assert [study.name for study in serve(settings).client.studies().items] == ["bowl"]


def test_a_log_that_a_killed_server_left_is_not_read_into_the_backup(
    sturgeon: Command, settings: Settings, copy: Path, tmp_path: Path
) -> None:
    """As it would be if one put the file there by hand."""
    database, crashed = file_of(settings), tmp_path / "crashed.db"
    with closing(sqlite3.connect(database)) as live:
        live.execute("UPDATE studies SET name = 'from-the-log' WHERE name = 'later'")
        live.commit()
        for end in ("", "-wal"):
            shutil.copy(f"{database}{end}", f"{crashed}{end}")
    assert Path(f"{crashed}-wal").stat().st_size

    assert sturgeon("restore", copy, "--replace", "--database-url", f"sqlite:///{crashed}").code == 0

    assert studies(crashed) == ["bowl"]
    with closing(sqlite3.connect(crashed)) as restored:
        assert restored.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_lost_database_is_made_again_of_a_copy_on_a_full_disk(
    sturgeon: Command, settings: Settings, copy: Path, tmp_path: Path
) -> None:
    file_of(settings).unlink()
    before = sorted(tmp_path.iterdir())

    assert sturgeon("restore", copy, "--database-url", settings.database_url).code == 0

    assert studies(file_of(settings)) == ["bowl"]
    assert sorted(tmp_path.iterdir()) == sorted([*before, file_of(settings)]), "nothing beside the copy"


def test_no_database_is_restored_that_a_server_uses(
    sturgeon: Command, settings: Settings, copy: Path, serve: Callable[[Settings], RunningServer]
) -> None:
    server = serve(settings)
    ran = sturgeon("restore", copy, "--replace", "--database-url", settings.database_url)
    assert (ran.code, "stop the server first" in ran.err) == (1, True)
    assert server.client.study("later").name == "later"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda file: file.write_bytes(b"no database, whatever its name says" * 99), "is not a copy"),
        (lambda file: file.write_bytes(file.read_bytes()[:-8192]), "is "),
        (lambda file: change(file, "UPDATE alembic_version SET version_num = 'zzz'"), "has a newer schema (zzz)"),
        (lambda file: change(file, "DROP TABLE alembic_version"), "is not a copy"),
        (lambda file: change(file, "DELETE FROM alembic_version"), "is damaged: it has no schema revision."),
    ],
    ids=["another file", "half a file", "a newer one", "another database", "one that was never whole"],
)
def test_what_is_no_whole_backup_is_refused_and_changes_nothing(
    sturgeon: Command, settings: Settings, copy: Path, spoil: Callable[[Path], object], sentence: str
) -> None:
    spoil(copy)
    ran = sturgeon("restore", copy, "--replace", "--database-url", settings.database_url)
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert f"{copy} {sentence}" in ran.err
    assert studies(file_of(settings)) == ["bowl", "later"]


def change(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute(statement)
        database.commit()


def test_restore_of_postgresql_says_pg_restore(sturgeon: Command, tmp_path: Path) -> None:
    (tmp_path / "copy").touch()
    ran = sturgeon("restore", tmp_path / "copy", "--database-url", "postgresql://nobody@localhost/none")
    assert ran.code == 1
    assert "pg_restore" in ran.err
