"""Everything that the routes do, at once on the same trials: no deadlock, nothing lost, and the record adds up."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from sturgeon.cli.paging import every_item
from sturgeon.errors import Conflict, NotFound
from tests.processes import DEADLINE_S

if TYPE_CHECKING:
    from server.settings import Settings
    from sturgeon.client import Client
    from tests.running import RunningServer

STUDY: dict[str, Any] = {
    "name": "busy",
    "metric": "dev_error",
    "reduce": "last",
    "space": {"learning_rate": {"type": "float", "low": 0.001, "high": 1}},
    "budget": {"max_trials": 60, "max_epochs": 100_000},
    "pruning": {"rule": "asha", "eta": 2, "grace": 1},
    "task": {"kind": "train", "dataset": "digits"},
}
STEPS = 60


@pytest.fixture
def two_servers(settings: Settings, serve: Callable[[Settings], RunningServer]) -> list[RunningServer]:
    """Two servers on one database with two studies for workers. Once on each kind of database."""
    servers = [serve(settings), serve(settings)]
    for name in ("busy", "gone"):
        servers[0].client.create_study(STUDY | {"name": name})
    return servers


def act(server: RunningServer, client: Client, chance: random.Random, held: list[dict[str, Any]]) -> None:
    """One thing that a worker, a person or the server may do; what is refused since others were faster is fine."""
    match chance.randrange(11):
        case 0 | 1:
            leases = client.lease(f"worker{chance.randrange(3)}", slots=3).leases
            held += [{"study": one.study, "number": one.number, "fence": one.fence} for one in leases]
        case 2:
            client.renew("worker0", held[-50:])
        case 3:
            server.advance(seconds=20)
            server.expire_leases()
        case 4:
            client.cancel("busy", chance.randrange(60))
        case 5:
            client.requeue("busy", chance.randrange(60))
        case 6 if held:
            one = chance.choice(held)
            score = 0.3 / (1 + one["number"] % 5)
            client.report(**one, reports=[{"step": chance.randrange(5), "metrics": {"dev_error": score}}])
        case 7 if held:
            client.put_checkpoint(**chance.choice(held), step=chance.randrange(5), data=b"state")
        case 8 if held:
            one = held.pop(chance.randrange(len(held)))
            client.tell_many(one.pop("study"), [one | {"metrics": {"dev_error": 0.5}}])
        case 9:
            client.invalidate("busy", chance.randrange(60), "no use")
        case 10:
            low = chance.choice([0.001, 0.002])
            client.patch_study("busy", {"space": {"learning_rate": STUDY["space"]["learning_rate"] | {"low": low}}})


def test_nothing_stands_in_the_way_of_anything(two_servers: list[RunningServer]) -> None:
    def run(thread: int) -> None:
        server = two_servers[thread % 2]
        client = server.client.with_patience(0)  # a deadlock would be a 503
        chance = random.Random(thread)
        held: list[dict[str, Any]] = []
        for step in range(STEPS):
            if (thread, step) == (0, STEPS // 2):
                client.delete_study("gone", force=True)
            with suppress(Conflict, NotFound):
                act(server, client, chance, held)

    with ThreadPoolExecutor(8) as threads:
        for one in [threads.submit(run, thread) for thread in range(8)]:
            one.result(timeout=DEADLINE_S)

    client = two_servers[0].client
    trials = list(client.all_trials("busy"))
    assert len(trials) > 10, "much happened"
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert client.study("busy").counts == Counter(trial.state for trial in trials)
    assert all((trial.value == 0.5) == (trial.state == "complete") for trial in trials)
    assert all((trial.finished_at is None) == (trial.state in ("queued", "running")) for trial in trials)
    stopped = {event.number for event in every_item(partial(client.events, "busy")) if event.kind == "stop"}
    assert {trial.number for trial in trials if trial.state == "pruned"} <= stopped
    assert all((trial.guess is None) == (trial.state != "pruned") for trial in trials)
    revisions = client.revisions("busy").items
    assert [one.revision for one in revisions] == list(range(client.study("busy").revision + 1))
    lows = {one.revision: one.space["learning_rate"].low for one in revisions}  # type: ignore[union-attr]
    assert all(trial.params["learning_rate"] >= lows[trial.drawn.revision] for trial in trials)
    with pytest.raises(NotFound):
        client.study("gone")
