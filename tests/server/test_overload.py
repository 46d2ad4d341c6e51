"""More requests than a server can answer: they are refused early and in turns, and what must not wait does not."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.routes.lanes import Places
from server.services.sampling import replay
from server.settings import Settings
from server.store import room
from sturgeon.errors import Overloaded
from tests.processes import DEADLINE_S, wait_until
from tests.server.studies import BOWL, FROM_NO_PAGE, refusal

if TYPE_CHECKING:
    from tests.running import RunningServer

pytestmark = pytest.mark.fault("L8")


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), DEADLINE_S))


class Requests:
    """Requests of clients that want a place, each held until it is let go."""

    def __init__(self, places: int, most_waiting: int, most_each: int | None = None) -> None:
        self.places = Places(places, most_waiting, most_each)
        self.began: list[str] = []
        self.refused: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def come(self, *names: str) -> None:
        """Requests arrive; the first letter of a name is its client's."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self._tasks.append(asyncio.create_task(self._work(name)))
            await settle()

    async def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
            await settle()

    async def cancel(self, number: int) -> None:
        self._tasks[number].cancel()
        await settle()

    async def _work(self, name: str) -> None:
        try:
            async with self.places.place(name[0]):
                self.began.append(name)
                await self._ends[name].wait()
        except Overloaded:
            self.refused.append(name)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_clients_that_wait_are_served_in_turns() -> None:
    async def test() -> None:
        requests = Requests(places=1, most_waiting=10)
        await requests.come("a1", "a2", "a3", "a4", "b1", "b2", "c1")
        for _ in range(6):
            await requests.end(requests.began[-1])
        assert requests.began == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]
        assert requests.refused == []

    run(test)


def test_a_client_has_a_share_of_the_places_also_where_nobody_waits() -> None:
    async def test() -> None:
        requests = Requests(places=4, most_waiting=9, most_each=2)
        await requests.come("a1", "a2", "a3", "a4", "b1")
        assert requests.began == ["a1", "a2", "b1"]
        await requests.end("a2")
        await requests.come("c1", "b2")
        assert requests.began[3:] == ["a3", "c1"]
        await requests.end("a1")
        assert requests.began[5:] == ["a4"], "b2 came later"
        await requests.end("b1", "a3")
        await requests.come("d1", "d2", "a5")
        assert requests.began[6:] == ["b2", "d1"]
        await requests.cancel(6)
        await requests.end("c1", "a4", "d1")
        assert requests.began[8:] == ["d2", "a5"]

    run(test)


def test_a_client_with_too_many_requests_is_the_one_that_is_refused() -> None:
    async def test() -> None:
        requests = Requests(places=1, most_waiting=3)
        await requests.come("a1", "a2", "a3", "a4", "a5", "a6")
        assert requests.refused == ["a5", "a6"]
        await requests.come("b1", "c1")
        assert requests.refused == ["a5", "a6", "a4", "a3"]
        await requests.come("d1")
        assert requests.refused[-1] == "d1", "all have one each: the last to come is refused"
        for name in ("a1", "a2", "b1"):
            await requests.end(name)
        assert requests.began == ["a1", "a2", "b1", "c1"]

    run(test)


def test_a_place_is_lost_neither_by_who_gives_up_nor_by_who_fails() -> None:
    async def test() -> None:
        requests = Requests(places=2, most_waiting=9)
        await requests.come("a1", "a2", "a3", "b1")
        await requests.cancel(2)
        await requests.cancel(0)
        assert requests.began == ["a1", "a2", "b1"]
        await requests.cancel(1)
        await requests.cancel(3)
        await requests.come("c1", "c2", "c3")
        assert requests.began[3:] == ["c1", "c2"]
        assert requests.places.waiting == 1

    run(test)


def test_a_place_that_comes_too_late_goes_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.routes.lanes.LONGEST_WAIT_S", 0.01)

    async def test() -> None:
        requests = Requests(places=1, most_waiting=9)
        await requests.come("a1", "b1")
        while not requests.refused:
            await asyncio.sleep(0.001)
        await requests.end("a1")
        await requests.come("c1")
        assert (requests.began, requests.refused) == (["a1", "c1"], ["b1"])

    run(test)


# --- a server whose every place is taken ---


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set, it ends the replays of this test, which take their time until then."""
    end = threading.Event()
    original = replay.replay

    def wait_and_replay(*args: Any) -> Any:
        assert end.wait(DEADLINE_S)
        return original(*args)

    monkeypatch.setattr(replay, "replay", wait_and_replay)
    yield end
    end.set()


@pytest.fixture
def full(
    migrated_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer], slow: threading.Event
) -> Iterator[tuple[RunningServer, list[int]]]:
    """A server with two places, both taken by slow requests of one client, which has as many waiting as may; and the
    statuses of those that have been answered."""
    server = serve(
        Settings(database_url=migrated_url, checkpoints=tmp_path / "blobs", reap_every_s=600, threads=2, lease_s=60)
    )
    server.client.create_study(BOWL)
    server.client.ask("bowl", worker="ada")
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=server.url, headers=FROM_NO_PAGE, trust_env=False, timeout=DEADLINE_S) as http:
            statuses.append(http.get("/v1/studies/bowl/replay").status_code)

    with ThreadPoolExecutor(10) as threads:
        for _ in range(10):
            threads.submit(ask)
        wait_until(lambda: server.app.state.lanes.work.waiting == 8, "the queue was full")
        yield server, statuses
        slow.set()


def test_health_readiness_and_renewals_do_not_wait_for_slow_requests(
    full: tuple[RunningServer, list[int]], http_of: Callable[[RunningServer], httpx.Client]
) -> None:
    server, statuses = full
    http = http_of(server)

    assert http.get("/healthz").status_code == 200
    assert http.get("/readyz").status_code == 200
    renewed = http.post(
        "/v1/leases:renew", json={"worker": "ada", "held": [{"study": "bowl", "number": 0, "fence": 1}]}
    )

    assert [held["number"] for held in renewed.json()["held"]] == [0]
    assert statuses == []


@pytest.mark.expects_errors("503 answered to GET /v1/studies/bowl$", "503 answered to GET /v1/studies/bowl/replay")
def test_more_than_can_wait_is_refused_at_once_and_other_clients_are_served(
    full: tuple[RunningServer, list[int]], slow: threading.Event, http_of: Callable[[RunningServer], httpx.Client]
) -> None:
    server, statuses = full
    same, other = http_of(server), http_of(server)
    other.headers["X-Requested-With"] = "another"

    refused = same.get("/v1/studies/bowl")

    assert refusal(refused) == (503, "overloaded")
    assert int(refused.headers["retry-after"]) > 0
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(other.get, "/v1/studies/bowl")
        wait_until(lambda: 503 in statuses, "the greedy client had to make room")
        slow.set()
        assert answer.result(DEADLINE_S).status_code == 200
    wait_until(lambda: len(statuses) == 10, "all were answered")
    assert sorted(statuses) == [200] * 9 + [503]


@pytest.fixture
def http_of() -> Iterator[Callable[[RunningServer], httpx.Client]]:
    """Clients that are no page."""
    clients: list[httpx.Client] = []

    def make(server: RunningServer) -> httpx.Client:
        clients.append(httpx.Client(base_url=server.url, headers=FROM_NO_PAGE, trust_env=False, timeout=DEADLINE_S))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


# --- readiness ---


@pytest.mark.expects_errors("503 answered to GET /readyz")
def test_a_server_whose_checkpoints_have_no_room_is_not_ready(
    fresh_server: RunningServer, http_of: Callable[[RunningServer], httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    http = http_of(fresh_server)
    assert http.get("/readyz").status_code == 200
    fresh_server.settings.checkpoints.rmdir()
    fresh_server.settings.checkpoints.write_text("no folder")
    assert refusal(http.get("/readyz")) == (503, "unavailable")
    fresh_server.settings.checkpoints.unlink()
    assert http.get("/readyz").status_code == 200

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room.os, "fsync", full)
    answer = http.get("/readyz")
    assert refusal(answer) == (503, "unavailable")
    assert "No space left on device" in answer.json()["detail"]
    assert http.get("/healthz").status_code == 200


FULL_DISK = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE 'disk full' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER no_room BEFORE INSERT ON numerics FOR EACH ROW EXECUTE FUNCTION no_room();
"""


@pytest.mark.expects_errors("503 answered to GET /readyz")
def test_a_database_that_takes_nothing_is_not_ready(
    fresh_server: RunningServer, http_of: Callable[[RunningServer], httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    http = http_of(fresh_server)
    database = fresh_server.app.state.database
    if database.engine.dialect.name == "sqlite":
        allowed = os.access  # root may write everywhere but on a read-only disk, which a test cannot mount
        monkeypatch.setattr(room.os, "access", lambda path, mode: not str(path).endswith(".db") and allowed(path, mode))
    else:
        with database.writing() as tx:
            tx.connection.exec_driver_sql(FULL_DISK)

    answer = http.get("/readyz")

    assert refusal(answer) == (503, "unavailable")
    assert "cannot be written to" in answer.json()["detail"] or "disk full" in answer.json()["detail"]
    assert http.get("/v1/studies").status_code == 200


def test_the_proof_that_a_disk_takes_something_leaves_nothing(
    fresh_server: RunningServer, http_of: Callable[[RunningServer], httpx.Client]
) -> None:
    http = http_of(fresh_server)
    folder = fresh_server.settings.checkpoints
    before = sorted(folder.parent.iterdir())

    assert http.get("/readyz").status_code == 200

    assert sorted(folder.parent.iterdir()) == sorted({*before, folder})
    assert list(folder.iterdir()) == []
    with fresh_server.app.state.database.reading() as tx:
        assert tx.connection.exec_driver_sql("SELECT count(*) FROM numerics").scalar_one() == 0
