"""Reports that stop trials and spend the budget, from many threads and through two servers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from server.settings import Settings
    from tests.running import RunningServer

MAX_EPOCHS = 60
EPOCHS = 8
STUDY: dict[str, Any] = {
    "name": "busy",
    "metric": "loss",
    "space": {"x": {"type": "float", "low": 0, "high": 1}},
    "search": {"sampler": "random", "seed": 7},
    "pruning": {"rule": "asha", "eta": 2, "grace": 2},
    "budget": {"max_trials": 1000, "max_epochs": MAX_EPOCHS},
}


@pytest.fixture
def two_servers(settings: Settings, serve: Callable[[Settings], RunningServer]) -> list[RunningServer]:
    return [serve(settings), serve(settings)]


def work(server: RunningServer) -> dict[int, tuple[int, bool]]:
    """As a worker does it until the budget is spent: by trial, the epochs that it had and whether it was stopped."""
    client, had = server.client.with_patience(0), {}  # a deadlock would be a 503
    while leases := client.ask("busy").leases:
        [lease] = leases
        stop, epoch = False, 0
        while epoch < EPOCHS and not stop:
            epoch += 1
            report = {"step": 10 * epoch, "epoch": epoch, "metrics": {"loss": lease.params["x"]}}
            stop = client.report("busy", lease.number, lease.fence, [report]).desired.run == "stop"
        state: Any = "pruned" if stop else "complete"
        client.tell("busy", lease.number, lease.fence, {"loss": lease.params["x"]}, state)
        had[lease.number] = epoch, stop
    return had


def test_each_stop_is_written_once_and_only_what_was_in_flight_exceeds_the_budget(
    two_servers: list[RunningServer],
) -> None:
    client = two_servers[0].client
    client.create_study(STUDY)

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(work, [two_servers[thread % 2] for thread in range(6)]))

    had = {number: one for worked in found for number, one in worked.items()}
    study = client.study("busy")
    epochs = sum(epochs for epochs, _ in had.values())
    assert (study.state, study.spent.epochs, study.spent.limit) == ("completed", epochs, "max_epochs")
    assert MAX_EPOCHS <= epochs <= MAX_EPOCHS + 6 * EPOCHS
    events = client.events("busy", page_size=1000).items
    assert sorted(event.number for event in events if event.kind == "stop" and event.number is not None) == sorted(
        number for number, (_, stopped) in had.items() if stopped
    )
    assert [event.detail for event in events if event.kind == "budget_spent"] == [{"limit": "max_epochs"}]
    assert {trial.number: trial.state == "pruned" for trial in client.all_trials("busy")} == {
        number: stopped for number, (_, stopped) in had.items()
    }
