"""A database that is restored from a backup: what was said after the backup is gone, so no worker from then may write
for a trial as it is now, and no fence is given twice."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from server.store.backup import backup
from sturgeon.client import Client
from sturgeon.errors import LeaseLost, NotFound
from tests.postgres import Postgres
from tests.processes import DEADLINE_S, ServerProcess, wait_until
from tests.server.studies import BOWL

ROOT = Path(__file__).parents[2]
HOUR_S = 3600
LEASE_S = 600


class SqliteFile:
    """What an operator does with a database of SQLite."""

    def __init__(self, folder: Path) -> None:
        self._file, self._copy = folder / "sturgeon.db", folder / "copy.db"
        self.url = f"sqlite:///{self._file}"

    def back_up(self) -> None:
        backup(self.url, self._copy)

    def restore(self) -> None:
        for file in self._file.parent.glob(f"{self._file.name}*"):
            file.unlink()
        self._copy.rename(self._file)


class PostgresDatabase:
    """What an operator does with a database of PostgreSQL: its own pg_dump and pg_restore."""

    def __init__(self, server: Postgres, folder: Path, template: str) -> None:
        self._server, self._copy = server, folder / "copy.dump"
        self.url = server.create_database("restored", template)

    def back_up(self) -> None:
        self._run("pg_dump", "--format=custom", "--file", self._copy, self.url)

    def restore(self) -> None:
        self.drop()
        self._run("pg_restore", "--exit-on-error", "--dbname", self._server.create_database("restored"), self._copy)

    def drop(self) -> None:
        self._server.drop_database("restored")

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run([self._server.binaries / program, *arguments], check=True, timeout=DEADLINE_S)


@pytest.fixture
def database(
    database_kind: str, tmp_path: Path, at_end: ExitStack, request: pytest.FixtureRequest
) -> SqliteFile | PostgresDatabase:
    if database_kind == "sqlite":
        request.getfixturevalue("migrated_sqlite_url")
        return SqliteFile(tmp_path)
    template = request.getfixturevalue("migrated_postgres_template")
    one = PostgresDatabase(request.getfixturevalue("postgres"), tmp_path, template)
    at_end.callback(one.drop)
    return one


def test_who_was_given_a_trial_after_the_backup_cannot_write_for_it_now(
    database: SqliteFile | PostgresDatabase, server_process: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    """The restored server starts an hour later, as it would: from then on it gives fences that nobody has."""
    ahead = tmp_path / "ahead"
    ahead.write_text("0")
    server = server_process(
        program=(sys.executable, "-m", "tests.faults.false_clock"),
        PYTHONPATH=str(ROOT),
        AHEAD=str(ahead),
        STURGEON_DATABASE_URL=database.url,
        STURGEON_REAP_EVERY_S="0.1",
        STURGEON_LEASE_S="0.5",
    )
    with Client(server.url, patience_s=DEADLINE_S) as client:
        client.create_study(BOWL)
        [first] = client.ask("bowl", worker="ada", lease_s=LEASE_S).leases
        database.back_up()
        client.release("bowl", 0, first.fence)
        second, third = (client.ask("bowl", worker="bob", lease_s=LEASE_S).leases[0] for _ in range(2))
        assert (second.number, third.number) == (0, 1)
        client.report("bowl", 1, third.fence, [{"step": 1, "metrics": {"loss": 0.5}}])
        given = {first.fence, second.fence, third.fence}

        server.kill()
        database.restore()
        ahead.write_text(str(HOUR_S))
        server.start()

        assert [(trial.number, trial.worker) for trial in client.trials("bowl").items] == [(0, "ada")]
        with pytest.raises(LeaseLost):
            client.tell("bowl", 0, second.fence, {"loss": 0.0})
        with pytest.raises(NotFound):
            client.tell("bowl", 1, third.fence, {"loss": 0.0})
        wait_until(lambda: client.trial("bowl", 0).state == "queued", "ada, who is gone, lost her lease")
        again = [client.ask("bowl", worker="eve", lease_s=LEASE_S).leases[0] for _ in range(2)]
        assert [lease.number for lease in again] == [0, 1]
        assert given.isdisjoint(lease.fence for lease in again)
        for lost in (first, second, third):
            with pytest.raises(LeaseLost):
                client.report("bowl", lost.number, lost.fence, [{"step": 9, "metrics": {"loss": 0.0}}])
            with pytest.raises(LeaseLost):
                client.tell("bowl", lost.number, lost.fence, {"loss": 0.0})
        for lease in again:
            assert client.tell("bowl", lease.number, lease.fence, {"loss": 1.0}).value == 1.0
            assert client.trial_metrics("bowl", lease.number).items == []
