"""A trial ends once, whoever tells, cancels, renews or expires it at the same time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from sturgeon.errors import LeaseLost, Problem, TrialFinished

if TYPE_CHECKING:
    from server.settings import Settings
    from tests.running import RunningServer

TRIALS = 10
STUDY: dict[str, Any] = {
    "name": "raced",
    "metric": "loss",
    "space": {"x": {"type": "float", "low": 0, "high": 1}},
    "budget": {"max_trials": TRIALS},
}


@pytest.fixture
def two_servers(settings: Settings, serve: Callable[[Settings], RunningServer]) -> list[RunningServer]:
    """Two servers on one database, with ten trials leased for a minute. Once on each kind of database."""
    servers = [serve(settings), serve(settings)]
    servers[0].client.create_study(STUDY)
    servers[0].client.ask("raced", count=TRIALS, lease_s=60)
    return servers


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """What each gives, or the problem that it raises, when all begin together."""
    together = threading.Barrier(len(calls))

    def one(call: Callable[[], Any]) -> Any:
        together.wait()
        try:
            return call()
        except Problem as problem:
            return problem

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(one, calls))


def test_of_many_different_tells_one_counts(two_servers: list[RunningServer]) -> None:
    clients = [server.client for server in two_servers]
    for number in range(TRIALS):
        told = at_once(
            [lambda i=i, n=number: clients[i % 2].tell("raced", n, 1, {"loss": float(i)}) for i in range(8)]  # type: ignore[misc]
        )

        [won] = [outcome for outcome in told if not isinstance(outcome, Problem)]
        assert sum(isinstance(outcome, TrialFinished) for outcome in told) == 7
        assert clients[0].trial("raced", number) == won

    assert clients[0].study("raced").state == "completed"


def test_a_tell_and_a_cancel_do_not_both_happen(two_servers: list[RunningServer]) -> None:
    telling, cancelling = (server.client for server in two_servers)
    for number in range(TRIALS):
        told, cancelled = at_once(
            [
                lambda n=number: telling.tell("raced", n, 1, {"loss": 1.0}),  # type: ignore[misc]
                lambda n=number: cancelling.cancel("raced", n),  # type: ignore[misc]
            ]
        )

        state = telling.trial("raced", number).state
        if state == "complete":
            assert isinstance(cancelled, TrialFinished)
        else:
            assert (state, type(told)) == ("cancelled", LeaseLost)


def test_two_servers_that_expire_a_lease_spend_one_attempt(two_servers: list[RunningServer]) -> None:
    for server in two_servers:
        server.advance(seconds=61)

    at_once([server.expire_leases for server in two_servers] * 2)

    client = two_servers[0].client
    assert {(trial.state, trial.attempt) for trial in client.trials("raced").items} == {("queued", 1)}
    events = Counter((event.kind, event.number) for event in client.events("raced").items)
    assert events == {("lease_expired", number): 1 for number in range(TRIALS)}


def test_a_lease_is_either_revived_or_taken(two_servers: list[RunningServer]) -> None:
    renewing, taking = (server.client for server in two_servers)
    for server in two_servers:
        server.advance(seconds=61)
    two_servers[0].expire_leases()
    held = [{"study": "raced", "number": number, "fence": 1} for number in range(TRIALS)]

    renewed, taken = at_once([lambda: renewing.renew("ada", held), lambda: taking.ask("raced", count=TRIALS)])

    revived = {one.number for one in renewed.held}
    assert revived | {lease.number for lease in taken.leases} == set(range(TRIALS))
    assert revived & {lease.number for lease in taken.leases} == set()
    assert {lease.fence for lease in taken.leases} <= {2}
    assert {one.reason for one in renewed.lost} <= {"taken"}
