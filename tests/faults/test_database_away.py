"""A database that goes away and comes back: 503 meanwhile, and nothing that was acknowledged is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from server.routes.lanes import KEPT
from server.settings import Settings
from server.store import schema
from sturgeon.client import Client
from tests.postgres import Postgres
from tests.processes import DEADLINE_S

if TYPE_CHECKING:
    from tests.running import RunningServer

STUDY = {
    "name": "bowl",
    "metric": "loss",
    "space": {"x": {"type": "float", "low": 0, "high": 1}},
    "budget": {"max_trials": 1000},
}


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL of this test alone, which it may kill."""
    server = Postgres()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def url(own_postgres: Postgres) -> str:
    url = own_postgres.create_database("sturgeon")
    schema.migrate(url)
    return url


def tell_some(client: Client, count: int) -> list[int]:
    """Ask and tell; the numbers whose results were acknowledged."""
    leases = client.ask("bowl", count=count).leases
    for lease in leases:
        client.tell("bowl", lease.number, lease.fence, {"loss": float(lease.number)})
    return [lease.number for lease in leases]


@pytest.mark.expects_errors("503 answered to (GET|POST) /")
def test_a_server_outlives_a_power_cut_of_its_database(
    own_postgres: Postgres, url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]
) -> None:
    server = serve(Settings(database_url=url, checkpoints=tmp_path, reap_every_s=0.05, threads=5))
    server.client.create_study(STUDY)
    told = tell_some(server.client, 20)
    own_postgres.kill()

    with httpx.Client(base_url=server.url, trust_env=False, timeout=DEADLINE_S) as http:
        for method, path in (("GET", "/readyz"), ("GET", "/v1/studies"), ("POST", "/v1/studies/bowl/trials:ask")):
            answer = http.request(method, path, json={} if method == "POST" else None)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
            assert "the database" in answer.json()["detail"].lower()
        assert http.get("/healthz").is_success

        own_postgres.start()

        for path in ("/readyz", "/v1/studies"):
            assert http.get(path).is_success  # at once: dead connections are replaced when they are taken
    assert {trial.number: trial.value for trial in server.client.trials("bowl", state="complete").items} == {
        number: float(number) for number in told
    }
    assert tell_some(server.client, 5) == [20, 21, 22, 23, 24]


def test_a_restart_that_nobody_saw_is_seen_by_nobody(
    own_postgres: Postgres, url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]
) -> None:
    server = serve(Settings(database_url=url, checkpoints=tmp_path, reap_every_s=600))
    server.client.create_study(STUDY)
    own_postgres.kill()
    own_postgres.start()

    assert tell_some(server.client.with_patience(0), 1) == [0]


@pytest.mark.expects_errors("503 answered to POST /v1/studies/bowl/trials:ask")
def test_a_client_waits_for_a_database_that_comes_back(
    own_postgres: Postgres, url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]
) -> None:
    server = serve(Settings(database_url=url, checkpoints=tmp_path, reap_every_s=600))
    server.client.create_study(STUDY)
    own_postgres.kill()
    waits = 0

    def come_back(_seconds: float) -> None:
        nonlocal waits
        waits += 1
        if waits == 2:
            own_postgres.start()

    leases = server.client.with_patience(1000, sleep=come_back).ask("bowl").leases

    assert (waits, [lease.number for lease in leases]) == (2, [0])


@pytest.mark.expects_errors("503 answered to GET /v1/studies")
def test_a_full_pool_is_a_503_and_not_an_error(
    migrated_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]
) -> None:
    """Only when more connections are taken than there are threads, which the server itself never does."""
    server = serve(Settings(database_url=migrated_url, checkpoints=tmp_path, reap_every_s=600, threads=1))
    server.app.state.database.reader.pool._timeout = 0.05
    with ExitStack() as stack:
        http = stack.enter_context(httpx.Client(base_url=server.url, trust_env=False))
        for _ in range(1 + KEPT):
            stack.enter_context(server.app.state.database.reading())
        answer = http.get("/v1/studies")

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
