"""Servers that ask for one study at once: a draw that does not take long is not overtaken, so none becomes random."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa

from server.services import idempotency, lookup
from server.services.idempotency import IdempotencyKey
from server.services.leases import ask
from sturgeon.messages import AskRequest, Leases
from sturgeon.search.samplers import History, Sample
from sturgeon.space import Space
from tests.processes import DEADLINE_S, wait_until
from tests.races.test_three_steps import STUDY, depends_on_all, plant

if TYPE_CHECKING:
    from server.settings import Settings
    from tests.running import RunningServer

SERVERS_OF = 2
ASKERS = 8
FIRST, DRAWS = 10, 150
MODELLED: dict[str, Any] = STUDY | {
    "search": {"sampler": "coarse_to_fine", "seed": 5},
    "budget": {"max_trials": FIRST + DRAWS},
}


@pytest.fixture
def two_servers(settings: Settings, serve: Callable[[Settings], RunningServer]) -> list[RunningServer]:
    """Two servers on one database. Once on each kind of database."""
    return [serve(settings) for _ in range(SERVERS_OF)]


def test_of_150_draws_of_eight_askers_none_is_random(two_servers: list[RunningServer]) -> None:
    for server in two_servers:
        server.app.state.asks.sampler_pool.draw_within_s = 60  # however busy the machine is
    client = two_servers[0].client
    client.create_study(MODELLED)
    first = client.ask("raced", count=FIRST).leases
    told = [{"number": one.number, "fence": one.fence, "metrics": {"loss": one.params["x"]}} for one in first]
    client.tell_many("raced", told)

    def ask_until_spent(asker: int) -> int:
        client = two_servers[asker % SERVERS_OF].client
        return sum(1 for asked in iter(lambda: client.ask("raced").leases, []) for _ in asked)

    with ThreadPoolExecutor(ASKERS) as threads:
        assert sum(threads.map(ask_until_spent, range(ASKERS))) == DRAWS

    drawn = Counter(trial.drawn.fallback for trial in client.all_trials("raced"))
    assert drawn[None] > 0.99 * (FIRST + DRAWS), drawn
    assert drawn.total() == FIRST + DRAWS


def test_who_comes_during_a_quick_draw_waits_until_it_is_written(
    two_servers: list[RunningServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take the number that the draw is for, and the draw would have to be made again, up to eight times."""
    monkeypatch.setattr(ask, "DRAW_WITHIN_S", DEADLINE_S)  # however busy the machine is
    came, is_drawing, enqueued = [], threading.Event(), threading.Event()

    def is_overtaken(space: Space, seed: int, number: int, history: History) -> Sample:
        is_drawing.set()
        came.append(enqueued.wait(timeout=0.03))
        return depends_on_all(space, seed, number, history)

    plant(two_servers[0], is_overtaken)
    two_servers[0].client.create_study(STUDY)

    def overtake() -> None:
        assert is_drawing.wait(timeout=DEADLINE_S)
        two_servers[1].client.enqueue("raced", {"x": 0.5, "y": 0.5})
        enqueued.set()

    with ThreadPoolExecutor(1) as threads:
        overtakes = threads.submit(overtake)
        [lease] = two_servers[0].client.ask("raced").leases
        overtakes.result(timeout=DEADLINE_S)

    assert (came, lease.number) == ([False], 0)
    assert two_servers[0].client.trial("raced", 0).drawn.fallback is None
    assert two_servers[0].client.trial("raced", 1).drawn.fallback is None


WAITS = sa.text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'WITH locked%'"
)


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
def test_an_ask_that_waited_beside_its_double_gets_the_double_s_answer(two_servers: list[RunningServer]) -> None:
    """It has looked for its key before the other one was written: it must find that out, and draw nothing."""
    server, database = two_servers[0], two_servers[1].app.state.database
    server.client.create_study(STUDY)
    request = AskRequest(worker="ada")
    key = IdempotencyKey.of("sent-twice", "POST /studies/raced/trials:ask", request)

    def ask_again() -> Any:
        sent = {"Idempotency-Key": "sent-twice"}
        url = f"{server.url}/v1/studies/raced/trials:ask"
        return httpx.post(url, json=request.model_dump(mode="json"), headers=sent, timeout=DEADLINE_S).json()

    def somebody_waits() -> bool:
        with database.reading() as tx:
            return bool(tx.execute(WAITS).scalar_one())

    with ThreadPoolExecutor(1) as threads:
        with database.writing() as tx:
            study = lookup.lock_study(tx, "raced")
            second = threads.submit(ask_again)
            wait_until(somebody_waits, "the second one waits for the study")
            idempotency.claim_answered(tx, key, Leases(leases=[], reason="paused"), study)
        assert second.result(timeout=DEADLINE_S) == {"leases": [], "reason": "paused"}

    assert list(server.client.all_trials("raced")) == []
