"""Stacks: trials of one shape go out together, and budget, numbers and fences stay exact."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from server.services.leases.stacks import DispatchRequest, stacks_of
from sturgeon.errors import IdempotencyMismatch, LeaseLost
from sturgeon.messages import Lease
from sturgeon.search.samplers import History, Sample, Sampler
from sturgeon.space import Space
from tests.server.studies import DIGITS, refusal

if TYPE_CHECKING:
    import httpx

    from tests.running import RunningServer

SIZES = {"type": "choice", "values": [16, 32]}
RATE = DIGITS["space"]["learning_rate"]


def study(trials: int, **space: Any) -> dict[str, Any]:
    return DIGITS | {"space": {"learning_rate": RATE} | space, "budget": {"max_trials": trials}}


def stacks(leases: list[Lease]) -> dict[int | None, list[int]]:
    found: dict[int | None, list[int]] = {}
    for lease in leases:
        found.setdefault(lease.stack, []).append(lease.number)
    return found


def states(server: RunningServer) -> Counter[str]:
    return Counter(trial.state for trial in server.client.all_trials("digits"))


def enqueue(server: RunningServer, *sizes: int) -> None:
    for one in sizes:
        server.client.enqueue("digits", {"learning_rate": 0.01, "batch_size": one})


@pytest.mark.parametrize(
    ("shapes", "slots", "stack", "placed"),
    [
        ("aaaa", 1, 3, [0, 0, 0, None]),
        ("abab", 1, 3, [0, None, 0, None]),
        ("abab", 2, 3, [0, 1, 0, 1]),
        ("aaab", 2, 2, [0, 0, 1, None]),
        ("abc", 2, 1, [0, 1, None]),
    ],
)
def test_the_first_of_a_shape_begins_a_stack_and_its_peers_join(
    shapes: str, slots: int, stack: int, placed: list[int | None]
) -> None:
    assert stacks_of(shapes, DispatchRequest(slots, "ada", 1, stack)) == placed


def test_a_trial_without_a_shape_has_no_peers() -> None:
    assert stacks_of([None, None, "a", "a"], DispatchRequest(3, "ada", 1, 4)) == [0, 1, 2, 2]


def test_a_slot_leases_a_stack_of_one_shape(server: RunningServer) -> None:
    server.client.create_study(study(20))

    got = server.client.lease("ada", slots=2, stack=4).leases

    assert stacks(got) == {0: [0, 1, 2, 3], 1: [4, 5, 6, 7]}
    assert [lease.fence for lease in got] == [1] * 8
    assert states(server) == {"running": 8}


def test_without_stacks_leases_have_no_stack(server: RunningServer) -> None:
    server.client.create_study(study(20))

    assert stacks(server.client.lease("ada", slots=3).leases) == {None: [0, 1, 2]}
    assert states(server) == {"running": 3}


def test_of_new_trials_those_without_peers_wait_for_the_next_hand_out(server: RunningServer) -> None:
    server.client.create_study(study(8, batch_size=SIZES))

    first = server.client.lease("ada", stack=8).leases
    second = server.client.lease("bob", stack=8).leases

    assert {lease.params["batch_size"] for lease in first} != {lease.params["batch_size"] for lease in second}
    for leases in (first, second):
        assert len({lease.params["batch_size"] for lease in leases}) == len({lease.stack for lease in leases}) == 1
    assert sorted(lease.number for lease in first + second) == list(range(8))
    assert [lease.fence for lease in first + second] == [1] * 8
    assert server.client.lease("cleo", stack=8).leases == []


def test_trials_are_the_same_with_and_without_stacks(server: RunningServer) -> None:
    server.client.create_study(study(8, batch_size=SIZES))
    server.client.create_study(study(8, batch_size=SIZES) | {"name": "one"})
    for _ in range(2):
        server.client.lease("ada", stack=8)

    server.client.ask("one", count=8)

    drawn = [[(t.params, t.seed, t.drawn) for t in server.client.all_trials(name)] for name in ("digits", "one")]
    assert drawn[0] == drawn[1]


def test_a_queued_trial_goes_first_with_its_peers(server: RunningServer) -> None:
    server.client.create_study(study(20, batch_size=SIZES))
    enqueue(server, 16, 32, 16, 32, 32)

    assert stacks(server.client.lease("ada", slots=1, stack=8).leases) == {0: [0, 2]}
    assert stacks(server.client.lease("ada", slots=2, stack=2).leases) == {0: [1, 3], 1: [4]}


def test_trials_of_two_studies_never_share_a_stack(server: RunningServer) -> None:
    for name in ("digits", "other"):
        server.client.create_study(study(4) | {"name": name})
        server.client.enqueue(name, {"learning_rate": 0.01})

    got = server.client.lease("ada", slots=2, stack=8).leases

    assert [(lease.study, lease.stack) for lease in got] == [("digits", 0), ("other", 1)]


def test_a_trial_released_alone_has_no_peers_any_more(server: RunningServer) -> None:
    server.client.create_study(study(3))
    lease = server.client.lease("ada", stack=3).leases[1]
    for one in server.client.all_trials("digits"):
        server.client.release("digits", one.number, lease.fence, alone=one.number == lease.number)

    got = server.client.lease("ada", slots=3, stack=8).leases

    assert stacks(got) == {0: [0, 2], 1: [1]}
    assert [(lease.fence, lease.attempt) for lease in got] == [(2, 0)] * 3


def test_a_release_under_an_old_fence_leaves_the_trial_its_peers(server: RunningServer) -> None:
    server.client.create_study(study(2))
    for one in server.client.lease("ada", stack=2).leases:
        server.client.release("digits", one.number, one.fence)
    held = server.client.lease("bob", stack=2).leases

    with pytest.raises(LeaseLost):
        server.client.release("digits", 0, 1, alone=True)

    for one in held:
        server.client.release("digits", one.number, one.fence)
    assert stacks(server.client.lease("ada", stack=2).leases) == {0: [0, 1]}


def test_stacks_never_exceed_the_budget(server: RunningServer) -> None:
    server.client.create_study(study(5))

    assert stacks(server.client.lease("ada", slots=4, stack=32).leases) == {0: [0, 1, 2, 3, 4]}
    assert server.client.lease("ada", slots=4, stack=32).leases == []


def test_at_most_a_thousand_leases_go_out_at_once(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # A busy machine may not draw a thousand samples within the time that a sampler has: then fewer go out.
    monkeypatch.setattr(server.app.state.asks.sampler_pool, "draw_within_s", 60)
    server.client.create_study(study(5000))

    assert len(server.client.lease("ada", slots=1000, stack=32).leases) == 1000
    assert states(server) == {"running": 1000}


def test_the_same_key_answers_the_same_stacks(server: RunningServer, http: httpx.Client) -> None:
    server.client.create_study(study(20))
    body = {"worker": "ada", "slots": 1, "stack": 4}

    first, again = (http.post("/v1/leases", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2))
    other = http.post("/v1/leases", json=body | {"stack": 5}, headers={"Idempotency-Key": "k"})

    assert first.json() == again.json()
    assert refusal(other) == (409, IdempotencyMismatch.code)
    assert states(server) == {"running": 4}


@pytest.mark.parametrize("stack", [0, 33, True, "4", None])
def test_a_stack_is_a_number_from_1_to_32(http: httpx.Client, stack: Any) -> None:
    assert refusal(http.post("/v1/leases", json={"worker": "ada", "stack": stack})) == (422, "invalid")


def test_workers_that_ask_at_once_share_the_budget_and_no_trial(server: RunningServer) -> None:
    """Two shapes, so that each draw leaves some queued, and the next workers take new and queued ones at once."""
    server.client.create_study(study(60, batch_size=SIZES))

    def until_nothing(worker: str) -> list[Lease]:
        got: list[Lease] = []
        while found := server.client.lease(worker, slots=1, stack=5).leases:
            assert len(found) <= 5
            assert len({lease.params["batch_size"] for lease in found}) == 1
            got += found
        return got

    with ThreadPoolExecutor(4) as pool:
        leases = [lease for some in pool.map(until_nothing, ["ada", "bob", "cleo", "dora"]) for lease in some]
    while left := server.client.lease("eve", slots=4, stack=5).leases:  # others held them when somebody looked
        leases += left

    assert sorted(lease.number for lease in leases) == list(range(60))
    assert {lease.fence for lease in leases} == {1}


def test_a_sampler_that_sees_results_draws_for_stacks_too(server: RunningServer) -> None:
    """Each draw of a stack sees those before it as running, as it does without stacks."""
    seen: list[tuple[int, int]] = []

    def draw(_space: Space, _seed: int, number: int, history: History) -> Sample:
        seen.append((number, len(history.running)))
        return Sample((0.25, number % 2 / 2))

    server.app.state.asks.sampler_pool.samplers["random"] = lambda *_: Sampler("random", 1, draw)
    server.client.create_study(study(7, batch_size=SIZES))

    assert stacks(server.client.lease("ada", stack=4).leases) == {0: [0, 2]}
    assert stacks(server.client.lease("ada", stack=4).leases) == {0: [1, 3]}
    assert stacks(server.client.lease("ada", slots=2, stack=4).leases) == {0: [4, 6], 1: [5]}
    assert seen == [(number, number) for number in range(7)]
