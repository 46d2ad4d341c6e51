"""Locks are taken in one order: the study, then its trials by id. Nobody waits in a circle, and nobody gets a 503."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from sturgeon.errors import LeaseLost, ServerUnreachable, TrialFinished, Unavailable

if TYPE_CHECKING:
    from server.settings import Settings
    from sturgeon.client import Client
    from tests.running import RunningServer

ROUNDS = 30
TRIALS = 12
LONGEST_S = 120
STUDY: dict[str, Any] = {
    "metric": "loss",
    "space": {"x": {"type": "float", "low": 0, "high": 1}},
    "search": {"sampler": "random", "seed": 1},
    "budget": {"max_trials": TRIALS},
}
POLICY: dict[str, Any] = {"policy": "drift", "auto": True, "challengers": [{"learning_rate": 0.5}], "after_portions": 1}
RIVER: dict[str, Any] = {
    "metric": "dev_error",
    "mode": "panda",
    "params": {"learning_rate": 0.01},
    "space": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"}},
    "task": {"kind": "train", "dataset": "stream:incoming", "epochs": 1000},
    "budget": {"max_trials": 50},
    "policies": [POLICY],
}


@pytest.fixture
def clients(settings: Settings, serve: Callable[[Settings], RunningServer]) -> list[Client]:
    """Clients of two servers on one database, that do not try a 503 again. Once on each kind of database."""
    return [serve(settings).client.with_patience(0) for _ in range(2)]


def refused_as_busy(*calls: Callable[[], Any]) -> int:
    """Begin all calls at once; how many were answered with a 503. A lost lease is no mistake here."""
    together = threading.Barrier(len(calls))

    def one(call: Callable[[], Any]) -> bool:
        together.wait(LONGEST_S)
        try:
            call()
        except (ServerUnreachable, Unavailable):  # the client says so of a 503 that stays
            return True
        except (LeaseLost, TrialFinished):
            pass
        return False

    with ThreadPoolExecutor(len(calls)) as threads:
        return sum(threads.map(one, calls))


def test_many_tells_in_any_order_do_not_stand_in_the_way_of_a_renewal(clients: list[Client]) -> None:
    busy = 0
    for turn in range(ROUNDS):
        name = f"told-{turn}"
        clients[0].create_study(STUDY | {"name": name})
        leases = clients[0].ask(name, count=TRIALS, worker="ada").leases
        held = [{"study": name, "number": lease.number, "fence": lease.fence} for lease in leases]
        tells = [{"number": lease.number, "fence": lease.fence, "metrics": {"loss": 0.5}} for lease in leases[::-1]]
        busy += refused_as_busy(
            lambda name=name, tells=tells: clients[0].tell_many(name, tells),
            lambda held=held: clients[1].renew("ada", held),
        )
        assert {trial.state for trial in clients[0].trials(name).items} == {"complete"}

    assert busy == 0


def test_challengers_are_judged_while_a_heartbeat_renews_all_of_them(clients: list[Client]) -> None:
    busy = 0
    for turn in range(ROUNDS // 2):
        name = f"river-{turn}"
        clients[0].create_study(RIVER | {"name": name})
        [incumbent] = clients[0].ask(name, worker="ada").leases
        clients[0].put_checkpoint(name, 0, 40, b"weights", incumbent.fence, 4.0, None)
        report(clients[0], name, 0, incumbent.fence, 5, drift=1.0)
        [challenger] = clients[0].ask(name, worker="ada").leases
        report(clients[0], name, 0, incumbent.fence, 6)
        held = [{"study": name, "number": lease.number, "fence": lease.fence} for lease in (incumbent, challenger)]
        busy += refused_as_busy(
            lambda name=name, lease=challenger: report(clients[0], name, lease.number, lease.fence, 6),
            lambda held=held: clients[1].renew("ada", held),
            lambda held=held: clients[1].renew("ada", held[::-1]),
        )
        assert "challenge_decided" in {event.kind for event in clients[0].events(name).items}

    assert busy == 0


def test_a_report_that_challengers_hear_of_and_a_cancel_wait_for_each_other(clients: list[Client]) -> None:
    busy = 0
    for turn in range(ROUNDS // 2):
        name = f"river-{turn}"
        caviar = {key: value for key, value in RIVER.items() if key not in ("mode", "params")}
        clients[0].create_study(caviar | {"name": name})
        [lease] = clients[0].ask(name, worker="ada").leases
        busy += refused_as_busy(
            lambda name=name, lease=lease: report(clients[0], name, 0, lease.fence, 1),
            lambda name=name: clients[1].cancel(name, 0),
        )
        assert clients[0].trial(name, 0).state == "cancelled"

    assert busy == 0


def report(client: Client, name: str, number: int, fence: int, portion: int, drift: float = 0.0) -> object:
    metrics = {"dev_error": 0.1, "fresh_error": 0.1, "portion": float(portion), "drift": drift}
    return client.report(name, number, fence, [{"step": 10 * portion, "epoch": portion, "metrics": metrics}])


def test_a_renewal_locks_no_trial_of_another_worker(migrated_postgres_url: str) -> None:
    """A worker that holds (a, 0) and (b, 1) must not wait for (a, 1) and (b, 0)."""
    from server.services import lookup
    from server.services.transactions import Transactions
    from server.settings import Settings
    from server.store import locks
    from server.store.engine import Database
    from tests.running import RunningServer

    server = RunningServer(Settings(database_url=migrated_postgres_url, reap_every_s=600))
    server.start()
    try:
        client = server.client.with_patience(0)
        for name in ("a", "b"):
            client.create_study(STUDY | {"name": name})
            client.ask(name, count=2, worker="ada")
        database: Database = server.app.state.database
        transactions: Transactions = server.app.state.transactions
        with transactions.on_study("a") as scope:
            lookup.lock_trial(scope.tx, scope.study, 1)
            with database.writing() as other:
                other.execute(sa.text("SET LOCAL lock_timeout = '20s'"))  # to fail, instead of waiting for ever
                found = locks.named(other, [("a", 0), ("b", 1)])
            assert sorted(found) == [("a", 0), ("b", 1)]
    finally:
        server.stop()
