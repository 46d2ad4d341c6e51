"""A study that four searched through two server processes, edited meanwhile, is drawn again from its record."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sturgeon.client import Client
from sturgeon.messages import Replay, Trial
from tests.processes import DEADLINE_S, ServerProcess

TRIALS = 100
ASKERS = 4
SPACE: dict[str, Any] = {
    "rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"},
    "beta": {"type": "float", "low": 0.9, "high": 0.999, "scale": "one_minus_log"},
    "units": {"type": "int", "low": 16, "high": 128, "step": 16, "scale": "log"},
    "optimizer": {"type": "choice", "values": ["adam", "momentum"]},
    "momentum": {"type": "float", "low": 0.8, "high": 0.99, "when": {"optimizer": ["momentum"]}},
}
STUDY: dict[str, Any] = {
    "name": "raced",
    "metric": "accuracy",
    "direction": "maximize",
    "space": SPACE,
    "search": {"seed": 11},
    "budget": {"max_trials": TRIALS},
}
EDITED = SPACE | {
    "rate": SPACE["rate"] | {"high": 0.1},
    "keep": {"type": "float", "low": 0.5, "high": 1.0},
}


@pytest.fixture
def two_servers(migrated_url: str, server_process: Callable[..., ServerProcess]) -> list[ServerProcess]:
    """Two processes on one database. Once on each kind of database."""
    return [server_process(STURGEON_DATABASE_URL=migrated_url) for _ in range(2)]


def accuracy(params: dict[str, Any]) -> float:
    return -((math.log10(params["rate"]) + 2) ** 2) - abs(params["units"] - 64) / 100 - params.get("momentum", 0.9)


def work_until_spent(client: Client, worker: int) -> None:
    """Two trials at a time: what others have out is part of what a sampler sees."""
    while leases := client.ask("raced", count=2).leases:
        for lease in reversed(leases):
            if (lease.number + worker) % 13 == 0:
                client.tell("raced", lease.number, lease.fence, state="diverged")
            else:
                told = {"accuracy": accuracy(lease.params), "seconds": 1.0 + lease.number % 7}
                client.tell("raced", lease.number, lease.fence, told)
        finished = [trial.number for trial in client.trials("raced", state="complete", page_size=1000).items]
        if leases[0].number in (24, 25, 62, 63):
            client.invalidate("raced", finished[len(finished) // 2], reason="the wrong data")
        if leases[0].number in (40, 41):
            client.patch_study("raced", {"space": EDITED, "added": {"keep": 1.0}})


def test_a_replay_is_exact_after_races_invalidations_and_an_edited_space(two_servers: list[ServerProcess]) -> None:
    clients = [Client(server.url, patience_s=DEADLINE_S, timeout=DEADLINE_S) for server in two_servers]
    clients[0].create_study(STUDY)
    clients[0].enqueue("raced", {"rate": 0.5, "beta": 0.9, "units": 16, "optimizer": "adam"})
    with ThreadPoolExecutor(ASKERS) as threads:
        list(threads.map(lambda worker: work_until_spent(clients[worker % 2], worker), range(ASKERS)))

    trials = list(clients[0].all_trials("raced"))
    told = [client.replay("raced") for client in clients]
    for client in clients:
        client.close()

    assert_that_much_happened(trials)
    for one in told:
        assert (one.verdict, one.exact) == ("exact: all 99 samples come out again bit for bit", True)
        assert (one.trials, one.given, one.mismatches) == (TRIALS - 1, 1, [])
    assert_same_numerics(told)


def assert_that_much_happened(trials: list[Trial]) -> None:
    assert len(trials) == TRIALS
    assert {trial.drawn.revision for trial in trials} == {0, 1}
    assert sum(trial.invalid is not None for trial in trials) >= 2
    assert sum(trial.state == "diverged" for trial in trials) >= 2
    thought = [trial.drawn for trial in trials if trial.drawn.model == "gp"]
    assert len(thought) > TRIALS / 2
    # Asks that stand in line one after the other see the same results, but none by who has told two meanwhile.
    assert max(Counter(one.basis for one in thought).values()) <= 2 * ASKERS


def assert_same_numerics(told: list[Replay]) -> None:
    [used] = {(one.fingerprint, one.same) for replay in told for one in replay.numerics}
    assert used[1]
