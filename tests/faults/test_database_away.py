"""A database that goes away and comes back: 503 meanwhile, and nothing that was acknowledged is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
from tests.processes import DEADLINE_S, ServerProcess, wait_until

if TYPE_CHECKING:
    from tests.running import RunningServer

TRIALS = 60
STUDY = {
    "name": "bowl",
    "metric": "loss",
    "space": {"x": {"type": "float", "low": 0, "high": 1}},
    "budget": {"max_trials": 1000},
}


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL of these tests alone, which each may kill, and starts again."""
    server = Postgres()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def template(own_postgres: Postgres) -> str:
    schema.migrate(own_postgres.create_database("migrated"))
    return "migrated"


@pytest.fixture
def url(own_postgres: Postgres, template: str, request: pytest.FixtureRequest) -> str:
    return own_postgres.create_database(request.node.name, template)


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


@pytest.mark.tolerates_errors("503 answered", '"status": 503', "background step failed")
def test_a_power_cut_under_load_loses_nothing_that_was_acknowledged(
    own_postgres: Postgres, url: str, server_process: Callable[..., ServerProcess]
) -> None:
    server = server_process(STURGEON_DATABASE_URL=url, STURGEON_REAP_EVERY_S="0.1")
    told: dict[int, float] = {}

    def work() -> None:
        """Ask, report and tell, again and again, through the power cuts."""
        with Client(server.url, patience_s=DEADLINE_S) as client:
            while leases := client.ask("bowl", lease_s=600).leases:
                for lease in leases:
                    loss = lease.params["x"]
                    client.report("bowl", lease.number, lease.fence, [{"step": 1, "metrics": {"loss": loss}}])
                    client.tell("bowl", lease.number, lease.fence, {"loss": loss})
                    told[lease.number] = loss

    with Client(server.url, patience_s=DEADLINE_S) as client, ThreadPoolExecutor() as threads:
        client.create_study(STUDY | {"budget": {"max_trials": TRIALS}, "search": {"sampler": "random"}})
        workers = [threads.submit(work) for _ in range(3)]
        for share in (0.3, 0.6):
            wait_until(lambda least=share * TRIALS: len(told) >= least, "enough were told")  # type: ignore[misc]
            before = dict(told)
            own_postgres.kill()
            own_postgres.start()
            kept = {trial.number: trial.value for trial in client.all_trials("bowl", state="complete")}
            assert before.items() <= kept.items()
        for worker in workers:
            worker.result(timeout=DEADLINE_S)
        assert {trial.number: trial.value for trial in client.all_trials("bowl")} == told
        assert sorted(told) == list(range(TRIALS))


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
