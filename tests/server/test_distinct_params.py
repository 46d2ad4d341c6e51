"""A finished set of parameters is not drawn again while unseen ones are left, whatever happens meanwhile."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from sturgeon.search.samplers import Sample, Sampler, uniform_point
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sturgeon.messages import Lease
    from tests.running import RunningServer

pytestmark = pytest.mark.fault("W7")

SMALL: dict[str, Any] = {
    "kind": {"type": "choice", "values": ["none", "deep", "wide"]},
    "depth": {"type": "int", "low": 1, "high": 4, "when": {"kind": ["deep"]}},
    "units": {"type": "int", "low": 16, "high": 96, "scale": "log", "step": 16, "when": {"kind": ["wide"]}},
}
SIZE = 1 + 4 + 6
SAMPLERS = ["random", "sobol", "grid", "coarse_to_fine"]


def create(server: RunningServer, sampler: str, trials: int, **search: Any) -> None:
    study = BOWL | {"space": SMALL, "search": {"sampler": sampler, "seed": 5, **search}}
    server.client.create_study(study | {"budget": {"max_trials": trials}})


def key(params: dict[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)


def loss(params: dict[str, Any]) -> float:
    return abs(params.get("depth", 4) - 4) + abs(params.get("units", 96) - 96) / 16


def tell(server: RunningServer, leases: Iterable[Lease]) -> None:
    tells = [{"number": one.number, "fence": one.fence, "metrics": {"loss": loss(one.params)}} for one in leases]
    server.client.tell_many("bowl", tells)


def assert_replayed(server: RunningServer) -> None:
    replayed = server.client.replay("bowl")
    assert (replayed.exact, replayed.verdict) == (True, replayed.verdict)
    assert replayed.trials == server.client.study("bowl").spent.trials - replayed.given


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_study_of_a_small_space_draws_all_of_it_with_asks_in_flight(server: RunningServer, sampler: str) -> None:
    """A person gave one set; some trials fail, are cancelled or turn out invalid."""
    create(server, sampler, trials=SIZE, **({"points": 10_000} if sampler == "grid" else {}))
    given = server.client.enqueue("bowl", {"kind": "deep", "depth": 3})
    drawn = []
    held: list[Lease] = []
    for turn in range(SIZE):
        [lease] = server.client.ask("bowl").leases
        drawn.append(key(lease.params))
        held.append(lease)
        if len(held) < 4:
            continue
        ended = held.pop(0)
        if turn % 5 == 0:
            server.client.cancel("bowl", ended.number)
            continue
        tell(server, [ended])
        if turn % 5 == 1:
            server.client.invalidate("bowl", ended.number, "no use")

    assert (drawn[0], len(set(drawn))) == (key(given.params), SIZE)
    assert_replayed(server)


@pytest.mark.parametrize("sampler", ["grid", "coarse_to_fine"])
def test_one_ask_for_many_draws_nothing_twice_and_replicates_share_their_sample(
    server: RunningServer, sampler: str
) -> None:
    points = {"points": 10_000} if sampler == "grid" else {}
    create(server, sampler, trials=2 * SIZE, replicates=2, **points)

    leases = server.client.ask("bowl", count=2 * SIZE).leases

    drawn = [key(lease.params) for lease in leases]
    assert len(drawn) == 2 * SIZE
    assert drawn[::2] == drawn[1::2]
    assert len(set(drawn)) == SIZE
    assert_replayed(server)


@pytest.mark.parametrize("sampler", ["random", "coarse_to_fine"])
def test_asks_at_once_draw_nothing_twice(server: RunningServer, sampler: str) -> None:
    create(server, sampler, trials=SIZE)

    with ThreadPoolExecutor(4) as threads:
        asked = list(threads.map(lambda _: server.client.ask("bowl").leases, range(SIZE)))

    assert len({key(lease.params) for leases in asked for lease in leases}) == SIZE
    assert_replayed(server)


@pytest.mark.expects_errors("thread failed")
def test_draws_that_fall_back_repeat_nothing(server: RunningServer) -> None:
    def fails(*_: object) -> Sample:
        raise ArithmeticError("a planted mistake")

    create(server, "coarse_to_fine", trials=SIZE)
    pool = server.app.state.asks.sampler_pool
    build = pool.samplers["coarse_to_fine"]
    pool.samplers["coarse_to_fine"] = lambda *built: Sampler("coarse_to_fine", build(*built).version, fails)
    leases = [lease for _ in range(SIZE) for lease in server.client.ask("bowl").leases]
    pool.samplers["coarse_to_fine"] = build

    assert len({key(lease.params) for lease in leases}) == SIZE
    assert server.client.replay("bowl").fallbacks == {"error": SIZE}
    assert_replayed(server)


@pytest.mark.parametrize("sampler", ["sobol", "coarse_to_fine"])
def test_what_was_drawn_before_an_edit_is_not_drawn_after_it(server: RunningServer, sampler: str) -> None:
    space = {"n": {"type": "int", "low": 1, "high": 8}, "c": {"type": "choice", "values": ["a", "b"]}}
    study = BOWL | {"space": space, "search": {"sampler": sampler, "seed": 5}, "budget": {"max_trials": 40}}
    server.client.create_study(study)
    before = server.client.ask("bowl", count=12).leases
    wider = {"c": {"type": "choice", "values": ["b", "a", "z"]}, "n": {"type": "int", "low": 1, "high": 10}}
    server.client.patch_study("bowl", {"space": wider})

    after = server.client.ask("bowl", count=18).leases

    assert len({key(lease.params) for lease in (*before, *after)}) == 30
    assert_replayed(server)


def test_a_grid_ends_when_it_is_exhausted(server: RunningServer) -> None:
    create(server, "grid", trials=100)
    leases = server.client.ask("bowl", count=100).leases
    assert len({key(lease.params) for lease in leases}) == len(leases) < 100

    assert server.client.ask("bowl").reason == "waiting"  # a point that is held may come back
    assert server.client.study("bowl").state == "active"
    tell(server, leases)

    assert server.client.study("bowl").state == "completed"
    assert server.client.ask("bowl").reason == "finished"
    [end] = [event for event in server.client.events("bowl").items if event.kind == "state"]
    assert (end.detail["state"], end.detail["why"]) == ("completed", "exhausted")
    assert_replayed(server)


def test_what_a_person_gave_is_part_of_a_grid_and_a_failed_point_is_tried_again(server: RunningServer) -> None:
    create(server, "grid", trials=50, points=10_000)
    server.client.enqueue("bowl", {"kind": "none"})
    leases = server.client.ask("bowl", count=1).leases
    while more := server.client.ask("bowl", count=7).leases:
        leases += more
    assert len({key(lease.params) for lease in leases}) == len(leases) == SIZE
    failed, *others = leases
    tell(server, others)
    server.client.tell("bowl", failed.number, failed.fence, state="failed", error="no memory")

    assert server.client.study("bowl").state == "active"
    tell(server, server.client.ask("bowl").leases)

    assert server.client.study("bowl").state == "completed"


def test_a_grid_of_a_space_that_is_widened_goes_on(server: RunningServer) -> None:
    space = {"n": {"type": "int", "low": 1, "high": 3}, "c": {"type": "choice", "values": ["a", "b"]}}
    study = BOWL | {
        "space": space,
        "search": {"sampler": "grid", "seed": 5, "points": 100},
        "budget": {"max_trials": 40},
    }
    server.client.create_study(study)
    tell(server, server.client.ask("bowl", count=40).leases)
    assert server.client.study("bowl").state == "completed"

    wider = {"n": {"type": "int", "low": 1, "high": 5}, "c": {"type": "choice", "values": ["a", "b"]}}
    assert server.client.patch_study("bowl", {"space": wider}).state == "active"
    leases = server.client.ask("bowl", count=40).leases
    assert {lease.params["n"] for lease in leases} == {4, 5}
    tell(server, leases)

    assert server.client.study("bowl").spent.trials == 10
    assert server.client.study("bowl").state == "completed"
    assert_replayed(server)


def test_spaces_that_cannot_repeat_are_drawn_as_before(server: RunningServer) -> None:
    """Not even a history is read for them."""
    server.client.create_study(BOWL)

    leases = server.client.ask("bowl", count=4).leases

    points = [server.client.trial("bowl", lease.number).params["x"] for lease in leases]
    assert points == [2 * uniform_point(7, number, 2)[0] - 1 for number in range(4)]
