"""`sturgeon serve | worker | migrate | backup`."""

from __future__ import annotations

import gc
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from server.settings import Settings
from sturgeon.cli.garbage import collect_seldom
from tests.cli.command import BOWL, Command
from tests.processes import DEADLINE_S
from worker.options import WorkerOptions

if TYPE_CHECKING:
    from tests.processes import ServerProcess
    from tests.running import RunningServer


def test_a_server_collects_its_garbage_as_usual_after_imports_that_did_not(
    sturgeon: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_usual, running = gc.get_threshold(), []
    monkeypatch.setattr("server.serving.serve", lambda _settings: running.append((gc.get_threshold(), gc.isenabled())))
    collect_seldom()
    seldom = gc.get_threshold()
    sturgeon("serve")
    assert seldom > as_usual
    assert running == [(as_usual, True)]


def test_serve_makes_its_database_and_answers(sturgeon: Command, server_process: Callable[..., ServerProcess]) -> None:
    server = server_process(empty=True)
    assert (server.folder / "sturgeon.db").is_file()
    assert sturgeon("study", "list", "--server", server.url, "-o", "json").json == []


def test_options_of_serve_win_over_the_environment_which_wins_over_defaults(
    sturgeon: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served: list[Settings] = []
    monkeypatch.setattr("server.serving.serve", served.append)
    monkeypatch.setenv("STURGEON_PORT", "1")
    monkeypatch.setenv("STURGEON_HOST", "::1")
    token = tmp_path / "token"
    token.write_text("sesame")
    monkeypatch.setenv("STURGEON_LOG_LEVEL", "error")
    options = ("--port", "9", "--lease-s", "5", "--database-url", "sqlite:///x.db", "--checkpoints", tmp_path)
    logged = ("--log-level", "debug", "--log-format", "console", "--request-log", "--traces")
    assert sturgeon("--token-file", token, "serve", *options, *logged).code == 0
    wanted = {"port": 9, "lease_s": 5, "database_url": "sqlite:///x.db", "checkpoints": tmp_path, "token_file": token}
    wanted |= {"log_level": "debug", "log_format": "console", "request_log": True, "traces": True}
    assert served == [Settings(host="::1", **wanted)]
    assert served[0].reap_every_s == Settings().reap_every_s


def test_serve_beyond_loopback_without_a_token_is_refused_in_a_sentence(sturgeon: Command) -> None:
    ran = sturgeon("serve", "--host", "0.0.0.0", "--port", "0")
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert "needs a token" in ran.err


def test_migrate_tells_the_revision_and_may_be_repeated(sturgeon: Command, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    first = sturgeon("migrate", "--database-url", url, "-o", "json").json
    with closing(sqlite3.connect(tmp_path / "new.db")) as database:
        (found,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
    assert first == {"revision": found}
    assert sturgeon("migrate", "--database-url", url).out == f"The database is at revision {found}.\n"


def test_migrate_refuses_a_database_of_another_kind_in_a_sentence(sturgeon: Command) -> None:
    ran = sturgeon("migrate", "--database-url", "mysql://localhost/x")
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert "SQLite or PostgreSQL" in ran.err


def test_backup_copies_the_database_of_a_running_server(
    sturgeon: Command, server: RunningServer, tmp_path: Path
) -> None:
    server.client.create_study(BOWL)
    copy, url = tmp_path / "copy.db", server.settings.database_url
    ran = sturgeon("backup", copy, "--database-url", url, "-o", "json")
    assert ran.json == {"file": str(copy), "size": copy.stat().st_size}
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("SELECT name FROM studies").fetchall() == [("bowl",)]
    again = sturgeon("backup", copy, "--database-url", url)
    assert (again.code, len(again.err.splitlines())) == (1, 1)


def test_a_backup_and_what_it_restores_are_as_closed_as_the_database(
    sturgeon: Command, migrated_sqlite_url: str, tmp_path: Path
) -> None:
    copy, restored = tmp_path / "copy.db", tmp_path / "restored.db"
    Path(migrated_sqlite_url.removeprefix("sqlite:///")).chmod(0o600)
    assert sturgeon("backup", copy, "--database-url", migrated_sqlite_url).code == 0
    assert sturgeon("restore", copy, "--database-url", f"sqlite:///{restored}").code == 0
    assert [file.stat().st_mode & 0o777 for file in (copy, restored)] == [0o600, 0o600]


def test_backup_of_postgresql_says_pg_dump(sturgeon: Command, tmp_path: Path) -> None:
    ran = sturgeon("backup", tmp_path / "copy", "--database-url", "postgresql://nobody@localhost/none")
    assert ran.code == 1
    assert "pg_dump" in ran.err


def test_worker_hands_its_options_to_the_daemon_and_ends_with_its_exit_code(
    sturgeon: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options: list[WorkerOptions] = []

    def run(given: WorkerOptions) -> int:
        options.append(given)
        return 7

    monkeypatch.setattr("worker.daemon.run", run)
    monkeypatch.setenv("STURGEON_TOKEN", "sesame")
    monkeypatch.setenv("STURGEON_LOG_FORMAT", "json")
    given = ("--server", "http://there:1", "--slots", "3", "--data", tmp_path, "--name", "rig", "--drain-s", "2.5")
    assert sturgeon("worker", *given, "--log-level", "debug", "--log-format", "console").code == 7
    assert sturgeon("worker").code == 7
    assert options == [
        WorkerOptions(
            "http://there:1",
            "sesame",
            slots=3,
            data_dirs=(tmp_path,),
            name="rig",
            drain_s=2.5,
            spool=Path("sturgeon-spool"),
            log_level="debug",
            log_format="console",
        ),
        WorkerOptions("http://127.0.0.1:8000", "sesame", spool=Path("sturgeon-spool"), log_format="json"),
    ]


def test_a_worker_with_a_wrong_token_ends_with_a_sentence(secured: RunningServer, tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("sturgeon")
    command = [script, "worker", "--server", secured.url]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S)
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert ran.stderr.splitlines()[-1].startswith("sturgeon: ")
