"""A server's doors, and trials in the states that the fixtures are named by."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from sturgeon.messages import Lease, Study, Trial
from tests.processes import DEADLINE_S
from tests.server.shared_servers import SharedServers, forget_all
from tests.server.studies import BOWL, FROM_NO_PAGE
from tests.server.tokens import guarded_server

if TYPE_CHECKING:
    from server.settings import Settings
    from tests.postgres import Postgres
    from tests.running import RunningServer

LEASE_S = 60


@pytest.fixture(scope="session")
def make_shared_servers(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], SharedServers]]:
    """Servers that outlast a test, by a name of their own."""
    made: dict[str, SharedServers] = {}

    def make(name: str) -> SharedServers:
        folder = tmp_path_factory.mktemp(name)

        def sqlite() -> str:
            file: Path = request.getfixturevalue("migrated_sqlite_file")
            return f"sqlite:///{shutil.copy(file, folder / 'sturgeon.db')}"

        def postgres() -> str:
            server: Postgres = request.getfixturevalue("postgres")
            return server.create_database(name, template=request.getfixturevalue("migrated_postgres_template"))

        return made.setdefault(name, SharedServers(folder, {"sqlite": sqlite, "postgres": postgres}))

    yield make
    for servers in made.values():
        servers.stop()


@pytest.fixture(scope="session")
def shared_servers(make_shared_servers: Callable[[str], SharedServers]) -> SharedServers:
    """The servers that `server` is one of."""
    return make_shared_servers("shared_servers")


@pytest.fixture
def server(database_kind: str, shared_servers: SharedServers) -> RunningServer:
    """A server that listens, has no studies, and whose clock stands still. Once on each kind of database.

    It is the same for all tests here. A test that changes what `forget_all` does not bring back makes `fresh_server`
    its server.
    """
    server = shared_servers.on(database_kind)
    forget_all(server)
    return server


@pytest.fixture
def fresh_server(settings: Settings, serve: Callable[[Settings], RunningServer]) -> RunningServer:
    """A server that nobody has used, and nobody will use after this test."""
    return serve(settings)


@pytest.fixture
def guarded(migrated_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]) -> RunningServer:
    """A server that wants a token, once on each kind of database."""
    return guarded_server(migrated_url, tmp_path, serve)


@pytest.fixture
def guarded_sqlite(
    migrated_sqlite_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]
) -> RunningServer:
    """A server that wants a token, for what does not depend on the kind of database."""
    return guarded_server(migrated_sqlite_url, tmp_path, serve)


@pytest.fixture
def http(server: RunningServer) -> Iterator[httpx.Client]:
    """The server as curl sees it."""
    with httpx.Client(
        base_url=server.url, headers=FROM_NO_PAGE, trust_env=False, verify=False, timeout=DEADLINE_S
    ) as client:
        yield client


@pytest.fixture
def bowl(server: RunningServer) -> Study:
    """An active study of one's own code, with 4 trials to give out."""
    return server.client.create_study(BOWL)


@pytest.fixture
def queued_trial(server: RunningServer, bowl: Study) -> Trial:
    """A trial with given parameters that nobody has taken."""
    return server.client.enqueue(bowl.name, {"x": 0.5, "n": 2})


@pytest.fixture
def leased_trial(server: RunningServer, bowl: Study) -> Lease:
    """A drawn trial that `ada` holds for a minute."""
    [lease] = server.client.ask(bowl.name, worker="ada", lease_s=LEASE_S).leases
    return lease


@pytest.fixture
def expired_trial(server: RunningServer, leased_trial: Lease) -> Lease:
    """The lease of `ada`, which has run out; the trial is queued again, and nobody has taken it."""
    server.advance(seconds=LEASE_S + 1)
    server.expire_leases()
    return leased_trial


@pytest.fixture
def taken_trial(server: RunningServer, expired_trial: Lease) -> Lease:
    """The lease of `ada`, which ran out, and whose trial `bob` holds now."""
    assert [lease.number for lease in server.client.ask("bowl", worker="bob").leases] == [expired_trial.number]
    return expired_trial


@pytest.fixture
def finished_trial(server: RunningServer, leased_trial: Lease) -> Lease:
    """The lease under which the trial was told complete, with a loss of 0.25."""
    server.client.tell("bowl", leased_trial.number, leased_trial.fence, {"loss": 0.25})
    return leased_trial


@pytest.fixture(scope="session")
def both_kinds(
    make_shared_servers: Callable[[str], SharedServers],
) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """One server on each kind of database, for all tests that only ask for the impossible. Each has the study bowl,
    whose trial 0 is leased under fence 1."""
    servers = [make_shared_servers("impossible").on(kind) for kind in ("sqlite", "postgres")]
    for server in servers:
        server.client.create_study(BOWL | {"budget": {"max_trials": 1000}})
        server.client.ask("bowl")
    on_sqlite, on_postgres = (
        httpx.Client(base_url=server.url, headers=FROM_NO_PAGE, trust_env=False, verify=False, timeout=DEADLINE_S)
        for server in servers
    )
    yield on_sqlite, on_postgres
    on_sqlite.close()
    on_postgres.close()
