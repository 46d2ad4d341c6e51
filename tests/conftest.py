"""What tests stand on: both databases, servers and workers.

The server is imported by the fixtures that need it, so that tests of the trainer do not wait for it.
"""

from __future__ import annotations

import gc
import itertools
import os

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each process that a test starts compiles what it imports

import logging
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests import leftovers
from tests.errors import WATCH, NotingHandler, judged, log_to_watch

if TYPE_CHECKING:
    from server.settings import Settings
    from tests.postgres import Postgres
    from tests.processes import ServerProcess, WorkerProcess
    from tests.running import RunningServer

hypothesis.settings.register_profile("sturgeon", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("sturgeon")

leftovers.mark_this_run()
gc.disable()  # until the tests are collected: that leaves a million objects, and no garbage to look for
# Later too: to look as often as Python does by itself takes a tenth of the time of the tests in this process. Here, so
# that sturgeon.cli.garbage takes it for the usual. Processes that tests start do as they always do.
gc.set_threshold(20_000, 20, 50)
_numbers = itertools.count()
LONGEST_FIRST = ("system", "faults", "races", "worker", "cli")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of real processes first, so that at the end no process of the run waits for the other's last one."""
    items.sort(key=lambda item: item.path.parent.name not in LONGEST_FIRST)


def pytest_collection_finish() -> None:
    """What is there by now stays: it is never looked at again."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """At the very end, when the processes of pytest-xdist have ended too: nothing of this run may be left."""
    yield
    if "tests.processes" in sys.modules:
        sys.modules["tests.processes"].end_zygote()
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    if found := leftovers.left_behind(os.environ[leftovers.MARK]):
        leftovers.end(found)
        print("\nThis run left processes behind:", *(f"  {one.pid} {one.command}" for one in found), sep="\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("STURGEON_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_unexpected_errors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which a server answered 5xx, a server or worker logged an error or a traceback, or PostgreSQL saw
    a deadlock, unless it expects that: see tests/errors.py. It is torn down last, when all processes have ended."""
    log_to_watch()
    handler = NotingHandler()
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)
    expected, tolerated = (
        [str(pattern) for mark in request.node.iter_markers(name) for pattern in mark.args]
        for name in ("expects_errors", "tolerates_errors")
    )
    if wrong := judged(WATCH.collect(), expected, tolerated):
        pytest.fail(wrong, pytrace=False)


# --- databases ---


@pytest.fixture(params=["sqlite", "postgres"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """The kind of database; tests that use it, or what stands on it, run once on each."""
    return str(request.param)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL for all tests of this process."""
    from tests.postgres import Postgres

    server = Postgres()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def at_end() -> Iterator[ExitStack]:
    """What the test's end stops and drops: the last that was begun first, so a database outlives its servers."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def postgres_url(postgres: Postgres, at_end: ExitStack) -> str:
    """A fresh, empty PostgreSQL database."""
    name = f"empty{next(_numbers)}"
    url = postgres.create_database(name)
    at_end.callback(postgres.drop_database, name)
    return url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A fresh SQLite file, which does not exist yet."""
    return f"sqlite:///{tmp_path / 'empty.db'}"


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest) -> str:
    """A fresh, empty database of either kind."""
    return str(request.getfixturevalue(f"{database_kind}_url"))


@pytest.fixture(scope="session")
def migrated_postgres_template(postgres: Postgres) -> str:
    from server.store import schema

    schema.migrate(postgres.create_database("migrated"))
    return "migrated"


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from server.store import schema

    file = tmp_path_factory.mktemp("template") / "migrated.db"
    schema.migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def migrated_postgres_url(postgres: Postgres, migrated_postgres_template: str, at_end: ExitStack) -> str:
    name = postgres.lend_database(migrated_postgres_template)
    at_end.callback(postgres.take_back, name)
    return f"{postgres.url}/{name}"


@pytest.fixture
def migrated_sqlite_url(tmp_path: Path, migrated_sqlite_file: Path) -> str:
    return f"sqlite:///{shutil.copy(migrated_sqlite_file, tmp_path / 'sturgeon.db')}"


@pytest.fixture
def migrated_url(database_kind: str, request: pytest.FixtureRequest) -> str:
    """A database of either kind with this version's schema and no studies."""
    return str(request.getfixturevalue(f"migrated_{database_kind}_url"))


# --- servers and workers ---


@pytest.fixture
def settings(migrated_url: str, tmp_path: Path) -> Settings:
    from server.settings import Settings

    # The server expires no lease by itself: a test says when, with `server.expire_leases()`.
    return Settings(database_url=migrated_url, checkpoints=tmp_path / "checkpoints", reap_every_s=600)


@pytest.fixture
def serve(at_end: ExitStack) -> Callable[[Settings], RunningServer]:
    """Start servers with settings of the test's own; several may share a database."""
    from tests.running import RunningServer

    def start(settings: Settings) -> RunningServer:
        server = RunningServer(settings)
        server.start()
        at_end.callback(server.stop)
        return server

    return start


@pytest.fixture
def server(settings: Settings, serve: Callable[[Settings], RunningServer]) -> RunningServer:
    """A server that listens, has no studies, and whose clock stands still. Once on each kind of database."""
    return serve(settings)


@pytest.fixture(scope="session")
def shared_server(
    migrated_sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., RunningServer]]:
    """The server with these settings, which outlasts a test, without studies; one kind of database is enough here."""
    from tests.server.shared_servers import SharedServers, forget_all

    made: dict[str, SharedServers] = {}

    def on(name: str, **options: Any) -> RunningServer:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            file = folder / "sturgeon.db"
            made[name] = SharedServers(
                folder, {"sqlite": lambda: f"sqlite:///{shutil.copy(migrated_sqlite_file, file)}"}, **options
            )
        server = made[name].on("sqlite")
        forget_all(server)
        return server

    yield on
    for servers in made.values():
        servers.stop()


@pytest.fixture
def server_process(tmp_path: Path, at_end: ExitStack, request: pytest.FixtureRequest) -> Callable[..., ServerProcess]:
    """Start `sturgeon serve`, or another program that is one, with these options and environment, and wait until it is
    ready.

    Its folder is the test's; without a STURGEON_DATABASE_URL its database is sturgeon.db there, which has no studies.
    Most of a server's start would go into that file; with `empty` it makes it.
    """
    from tests.processes import STURGEON, ServerProcess

    def start(
        *options: str, program: Sequence[str | Path] = (STURGEON,), empty: bool = False, **env: str
    ) -> ServerProcess:
        file = tmp_path / "sturgeon.db"
        if not (empty or "STURGEON_DATABASE_URL" in env or file.exists()):
            shutil.copy(request.getfixturevalue("migrated_sqlite_file"), file)
        process = ServerProcess(tmp_path, options, env, program)
        at_end.callback(process.kill)
        process.start()
        return process

    return start


@pytest.fixture(scope="session")
def forked_commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A folder for the PATH of scripts: its `sturgeon` has been imported already, once for all of them."""
    from tests.processes import STURGEON
    from tests.stand_ins import stand_ins

    imported = ["sturgeon.ours_first", "sturgeon.cli.app", "sturgeon.client"]
    folder = tmp_path_factory.mktemp("commands")
    with stand_ins(folder, Path(sys.executable), imported, {}, {"sturgeon": STURGEON}) as found:
        yield str(found)


@pytest.fixture
def worker_process(tmp_path: Path, at_end: ExitStack) -> Callable[..., WorkerProcess]:
    """Start `sturgeon worker`, or another program that is one, for the server at this address, with these options and
    environment."""
    from tests.processes import STURGEON, WorkerProcess

    numbers = itertools.count()

    def start(
        server: str, *options: str, name: str | None = None, program: Sequence[str | Path] = (STURGEON,), **env: str
    ) -> WorkerProcess:
        process = WorkerProcess(server, name or f"worker{next(numbers)}", tmp_path, options, env, program)
        at_end.callback(process.kill)
        process.start()
        return process

    return start
