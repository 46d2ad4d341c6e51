"""What a server does by itself: an unexpected error in one duty, study or thread does not end the others."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server import background
from server.background import Background, Duties
from server.services import lookup
from server.services.sampling import refit
from server.services.studies import budgets
from server.services.transactions import Scope
from server.store.engine import Transaction
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.errors import Unavailable
from tests.processes import DEADLINE_S
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer

FAILS = pytest.mark.expects_errors("thread failed(.|\n)*no luck")


@pytest.fixture
def server(fresh_server: RunningServer) -> RunningServer:
    """A server that has counted nothing."""
    return fresh_server


def failures_of(http: httpx.Client, thread: str) -> int:
    """What /metrics says of a thread: 0 for one that it does not name."""
    prefix = f'sturgeon_thread_failures_total{{thread="{thread}"}} '
    lines = [line for line in http.get("/metrics").text.splitlines() if line.startswith(prefix)]
    return round(float(lines[0].removeprefix(prefix))) if lines else 0


def raises(*_: object, **__: object) -> Any:
    raise KeyError("no luck")


@pytest.fixture
def poisoned_study(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies aaa and zzz, each with a trial whose lease has run out; that of aaa cannot be dealt with."""
    for name in ("aaa", "zzz"):
        server.client.create_study(BOWL | {"name": name, "budget": {"max_trials": 4, "max_seconds": 5}})
        server.client.ask(name, worker="ada", lease_s=10)
    server.advance(seconds=11)
    poison(monkeypatch, KeyError("no luck"))


def poison(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    lock_expired, settle = lookup.lock_expired, budgets.settle

    def lock_expired_but_aaa(tx: Transaction, study: StudyRow) -> list[TrialRow]:
        if study.name == "aaa":
            raise error
        return lock_expired(tx, study)

    def settle_but_aaa(scope: Scope) -> StudyRow:
        if scope.study.name == "aaa":
            raise error
        return settle(scope)

    monkeypatch.setattr(lookup, "lock_expired", lock_expired_but_aaa)
    monkeypatch.setattr(budgets, "settle", settle_but_aaa)


@FAILS
@pytest.mark.usefixtures("poisoned_study")
def test_a_study_whose_expiry_fails_does_not_hold_up_later_studies(server: RunningServer, http: httpx.Client) -> None:
    server.expire_leases()

    assert [server.client.trial(name, 0).state for name in ("aaa", "zzz")] == ["running", "queued"]
    assert failures_of(http, "lease expiry") == 1


@FAILS
@pytest.mark.usefixtures("poisoned_study")
def test_a_study_whose_budget_fails_does_not_hold_up_later_ones(server: RunningServer, http: httpx.Client) -> None:
    server.client.renew("ada", [{"study": name, "number": 0, "fence": 1} for name in ("aaa", "zzz")])

    budgets.watch(server.app.state.transactions)

    assert [server.client.study(name).spent.limit for name in ("aaa", "zzz")] == [None, "max_seconds"]
    assert failures_of(http, "budget watch") == 1


def test_a_database_that_is_away_for_one_study_is_no_failure(
    server: RunningServer, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("aaa", "zzz"):
        server.client.create_study(BOWL | {"name": name})
        server.client.ask(name, lease_s=10)
    server.advance(seconds=11)
    poison(monkeypatch, Unavailable("The database is locked."))

    server.expire_leases()

    assert server.client.trial("zzz", 0).state == "queued"
    assert failures_of(http, "lease expiry") == 0


@FAILS
@pytest.mark.parametrize(
    ("failing", "thread"), [("expire_leases", "lease expiry"), ("watch", "budget watch"), ("forget", "clean-up")]
)
def test_a_duty_that_fails_does_not_end_the_others(
    server: RunningServer, http: httpx.Client, monkeypatch: pytest.MonkeyPatch, failing: str, thread: str
) -> None:
    modules = {
        "expire_leases": background.expiry,
        "watch": background.budgets,
        "forget": background.housekeeping.idempotency,
        "sweep": background.housekeeping.blob_sweep,
    }
    done: list[str] = []
    for name, module in modules.items():
        monkeypatch.setattr(module, name, raises if name == failing else noting(done, name))
    state = server.app.state
    duties = Duties(state.transactions, state.blobs, lease_s=0, max_attempts=3)

    duties()

    assert done == [name for name in modules if name != failing]
    assert failures_of(http, thread) == 1


def noting(done: list[str], name: str) -> Callable[..., None]:
    return lambda *_, **__: done.append(name)


@FAILS
@pytest.mark.parametrize("error", [KeyError("no luck"), SystemExit("no luck")], ids=["exception", "no-exception"])
def test_a_thread_whose_step_fails_is_counted_and_goes_on(http: httpx.Client, error: BaseException) -> None:
    turns: SimpleQueue[int] = SimpleQueue()
    steps = iter(range(1000000))

    def step() -> None:
        turns.put(turn := next(steps))
        if turn == 0:
            raise error

    threads = Background()
    threads.every(0.01, "some duty", step)
    try:
        assert [turns.get(timeout=DEADLINE_S) for _ in range(2)] == [0, 1]
    finally:
        threads.stop()

    assert failures_of(http, "some duty") == 1


@FAILS
@pytest.mark.parametrize("error", [KeyError("no luck"), SystemExit("no luck")], ids=["exception", "no-exception"])
def test_a_refit_that_fails_leaves_the_next_study_its_own(
    server: RunningServer, http: httpx.Client, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    names: SimpleQueue[str] = SimpleQueue()

    def refit_but_aaa(_database: object, _sampler_pool: object, name: str) -> None:
        names.put(name)
        if name == "aaa":
            raise error

    monkeypatch.setattr(refit, "refit", refit_but_aaa)
    for name in ("aaa", "zzz"):
        server.client.create_study(BOWL | {"name": name, "search": {"sampler": "coarse_to_fine"}})
        [lease] = server.client.ask(name).leases
        server.client.tell(name, lease.number, lease.fence, {"loss": 1.0})
        assert names.get(timeout=DEADLINE_S) == name

    assert failures_of(http, "refit") == 1
