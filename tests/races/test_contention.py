"""Servers that ask for one study at once: a draw that does not take long is not overtaken, so none becomes random."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from sturgeon.search.samplers import History, Sample
from sturgeon.space import Space
from tests.processes import DEADLINE_S
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


def test_who_comes_during_a_quick_draw_waits_until_it_is_written(two_servers: list[RunningServer]) -> None:
    """It would take the number that the draw is for, and the draw would have to be made again, up to eight times."""
    came, others = [], threading.Barrier(2)

    def is_overtaken(space: Space, seed: int, number: int, history: History) -> Sample:
        others.wait(timeout=DEADLINE_S)
        came.append(enqueued.wait(timeout=0.03))
        return depends_on_all(space, seed, number, history)

    enqueued = threading.Event()
    plant(two_servers[0], is_overtaken)
    two_servers[0].client.create_study(STUDY)

    def overtake() -> None:
        others.wait(timeout=DEADLINE_S)
        two_servers[1].client.enqueue("raced", {"x": 0.5, "y": 0.5})
        enqueued.set()

    with ThreadPoolExecutor(1) as threads:
        overtakes = threads.submit(overtake)
        [lease] = two_servers[0].client.ask("raced").leases
        overtakes.result(timeout=DEADLINE_S)

    assert (came, lease.number) == ([False], 0)
    assert two_servers[0].client.trial("raced", 0).drawn.fallback is None
    assert two_servers[0].client.trial("raced", 1).drawn.fallback is None
