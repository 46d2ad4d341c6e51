"""The budget counts every number ever given, and is never exceeded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.services.studies import budgets
from server.store import studies as study_rows
from sturgeon.errors import BudgetSpent
from sturgeon.messages import Lease, Trial
from tests.server.studies import BOWL, DIGITS, NOT_VALID, refusal

if TYPE_CHECKING:
    from server.store.engine import Database
    from tests.running import RunningServer


def numbers(leases: list[Lease]) -> list[int]:
    return [lease.number for lease in leases]


@pytest.mark.usefixtures("bowl")
def test_an_ask_for_more_than_is_left_gets_what_is_left(server: RunningServer) -> None:
    assert numbers(server.client.ask("bowl", count=3).leases) == [0, 1, 2]
    assert numbers(server.client.ask("bowl", count=1000).leases) == [3]


@pytest.mark.usefixtures("bowl")
def test_beyond_the_budget_an_ask_gets_nothing_and_is_told_why(server: RunningServer) -> None:
    server.client.ask("bowl", count=4)

    spent = server.client.ask("bowl")

    assert (spent.leases, spent.reason) == ([], "waiting")  # one of the four may come back


@pytest.mark.usefixtures("bowl")
def test_given_trials_count_and_beyond_the_budget_none_is_taken(server: RunningServer) -> None:
    server.client.ask("bowl", count=2)
    assert [server.client.enqueue("bowl", {"x": 0, "n": n}).number for n in (1, 2)] == [2, 3]

    with pytest.raises(BudgetSpent, match="All 4 trials of bowl were given out; raise max_trials to go on"):
        server.client.enqueue("bowl", {"x": 0, "n": 3})

    assert server.client.study("bowl").counts == {"running": 2, "queued": 2}


@pytest.mark.usefixtures("bowl")
def test_failed_and_cancelled_trials_count_and_a_requeue_takes_no_number(server: RunningServer) -> None:
    server.client.ask("bowl", count=3)
    server.client.cancel("bowl", 0)
    server.client.requeue("bowl", 0)
    server.client.cancel("bowl", 1)

    assert numbers(server.client.ask("bowl", count=4).leases) == [0]
    assert numbers(server.client.ask("bowl", count=4).leases) == [3]
    assert server.client.ask("bowl").reason == "waiting"


def test_queued_trials_go_out_before_new_ones_are_drawn_and_the_oldest_first(
    server: RunningServer, queued_trial: Trial
) -> None:
    later = server.client.enqueue("bowl", {"x": -0.5, "n": 1})

    first = server.client.ask("bowl", count=1).leases
    second = server.client.ask("bowl", count=4).leases
    third = server.client.ask("bowl", count=4).leases

    assert [(lease.number, lease.params) for lease in first] == [(queued_trial.number, {"x": 0.5, "n": 2})]
    assert [(lease.number, lease.params) for lease in second] == [(later.number, {"x": -0.5, "n": 1})]
    assert numbers(third) == [2, 3]


def create(server: RunningServer, **limits: Any) -> None:
    server.client.create_study(BOWL | {"budget": {"max_trials": 10} | limits})


def report(server: RunningServer, number: int, *epochs: int, fence: int = 1) -> None:
    server.client.report("bowl", number, fence, [{"step": epoch, "metrics": {"loss": 0.5}} for epoch in epochs])


def states(server: RunningServer) -> list[tuple[str, str | None]]:
    """What the study came to by itself, and why."""
    events = server.client.events("bowl").items
    return [(event.detail["state"], event.detail.get("why")) for event in events if event.kind == "state"]


def test_beyond_max_epochs_what_runs_finishes_and_the_study_is_completed(
    server: RunningServer,
) -> None:
    create(server, max_epochs=10)
    server.client.ask("bowl", count=2)
    report(server, 0, 1, 2, 3)
    report(server, 1, 1, 2, 3, 4, 5, 6)
    assert server.client.enqueue("bowl", {"x": 0, "n": 1}).number == 2

    report(server, 0, 4)
    spent = server.client.ask("bowl")

    assert (spent.leases, spent.reason) == ([], "budget")
    with pytest.raises(BudgetSpent, match=r"The budget of bowl is spent \(max_epochs\); raise it to go on"):
        server.client.enqueue("bowl", {"x": 0, "n": 1})
    report(server, 0, 5, 6)
    server.client.tell("bowl", 0, 1, {"loss": 0.5})
    assert server.client.study("bowl").state == "active"
    server.client.tell("bowl", 1, 1, {"loss": 0.5})
    study = server.client.study("bowl")
    assert (study.state, study.counts) == ("completed", {"queued": 1, "complete": 2})
    assert study.spent.model_dump() == {"trials": 3, "epochs": 12.0, "seconds": 0.0, "limit": "max_epochs"}
    assert states(server) == [("completed", "max_epochs")]


def test_a_raised_budget_makes_a_completed_study_active_and_its_queue_goes_out(server: RunningServer) -> None:
    create(server, max_epochs=3)
    server.client.ask("bowl")
    server.client.enqueue("bowl", {"x": 0, "n": 1})
    report(server, 0, 1, 2, 3)
    server.client.tell("bowl", 0, 1, {"loss": 0.5})
    assert server.client.study("bowl").state == "completed"

    raised = server.client.patch_study("bowl", {"budget": {"max_epochs": 4}})

    assert (raised.state, raised.budget.max_trials, raised.budget.max_epochs) == ("active", 10, 4)
    assert numbers(server.client.ask("bowl", count=2).leases) == [1]
    unlimited = server.client.patch_study("bowl", {"budget": {"max_epochs": None}})
    assert (unlimited.budget.max_epochs, unlimited.spent.limit) == (None, None)


def test_what_is_reported_again_costs_nothing_and_a_run_that_begins_again_does(server: RunningServer) -> None:
    create(server)
    server.client.ask("bowl")
    for _ in range(2):
        report(server, 0, 1, 2, 3)
    server.client.release("bowl", 0, 1)
    server.client.ask("bowl")
    report(server, 0, 2, fence=2)
    report(server, 0, 1, fence=2)

    assert server.client.study("bowl").spent.epochs == 5


def test_seconds_are_those_that_trials_were_held(server: RunningServer) -> None:
    create(server, max_seconds=100)
    [lease, _] = server.client.ask("bowl", count=2, worker="ada", lease_s=60).leases
    server.advance(seconds=40)
    server.client.renew("ada", [{"study": "bowl", "number": 0, "fence": 1}])
    assert server.client.study("bowl").spent.seconds == 40
    server.client.tell("bowl", 1, 1, {"loss": 0.5})
    assert server.client.study("bowl").spent.seconds == 80

    server.advance(seconds=20)
    report(server, lease.number, 1)

    assert server.client.ask("bowl").reason == "budget"
    assert server.client.study("bowl").spent.limit == "max_seconds"


def test_seconds_pass_without_a_report(server: RunningServer) -> None:
    create(server, max_seconds=100)
    server.client.ask("bowl", worker="ada", lease_s=600)
    server.advance(seconds=100)
    server.client.renew("ada", [{"study": "bowl", "number": 0, "fence": 1}])

    budgets.watch(server.app.state.transactions)

    assert server.client.study("bowl").spent.limit == "max_seconds"


@pytest.mark.parametrize("is_seen_before", [False, True], ids=["nobody looked", "spent before"])
def test_a_trial_that_is_given_back_after_the_last_second_ends_the_study(
    server: RunningServer, *, is_seen_before: bool
) -> None:
    create(server, max_seconds=100)
    [lease] = server.client.ask("bowl", worker="ada", lease_s=600).leases
    server.advance(seconds=100)
    if is_seen_before:
        server.client.renew("ada", [{"study": "bowl", "number": 0, "fence": 1}])
        budgets.watch(server.app.state.transactions)

    server.client.release("bowl", lease.number, lease.fence)

    study = server.client.study("bowl")
    assert (study.state, study.spent.limit, study.counts) == ("completed", "max_seconds", {"queued": 1})
    assert server.client.ask("bowl").leases == []


def test_a_trial_that_goes_back_after_the_last_second_ends_the_study(server: RunningServer) -> None:
    server.client.create_study(DIGITS | {"budget": {"max_trials": 4, "max_seconds": 100}})
    [lease] = server.client.ask("digits", worker="ada", lease_s=600).leases
    reported = {"step": 10, "epoch": 1, "metrics": {"dev_error": 0.5}}
    server.client.report("digits", lease.number, lease.fence, [reported])
    server.client.rollback("digits", lease.number, step=0)
    server.advance(seconds=100)

    told = server.client.tell("digits", lease.number, lease.fence, {"dev_error": 0.5})

    study = server.client.study("digits")
    assert told.state == "queued"
    assert (study.state, study.spent.limit) == ("completed", "max_seconds")


def test_only_studies_in_which_a_trial_runs_are_watched(server: RunningServer) -> None:
    for name in ("idle", "bowl", "unlimited"):
        limits = {} if name == "unlimited" else {"max_seconds": 100}
        server.client.create_study(BOWL | {"name": name, "budget": {"max_trials": 4} | limits})
    leases = {name: server.client.ask(name).leases[0] for name in ("bowl", "unlimited")}
    assert watched(server) == ["bowl"]

    server.client.tell("bowl", leases["bowl"].number, leases["bowl"].fence, {"loss": 0.5})
    assert watched(server) == []


def watched(server: RunningServer) -> list[str]:
    database: Database = server.app.state.database
    with database.reading() as tx:
        return [study.name for study in study_rows.limited(tx)]


@pytest.mark.parametrize(
    ("direction", "goal", "reached"),
    [
        ("minimize", {"below": 0.2}, {"loss": 0.1, "accuracy": 0.1}),
        ("maximize", {"above": 0.2}, {"loss": 0.3, "accuracy": 0.1}),
        ("minimize", {"metric": "accuracy", "above": 0.9}, {"loss": 0.5, "accuracy": 0.95}),
    ],
)
def test_a_study_ends_when_a_trial_is_good_enough(
    server: RunningServer, direction: str, goal: dict[str, Any], reached: dict[str, float]
) -> None:
    server.client.create_study(BOWL | {"direction": direction, "budget": {"max_trials": 10, "stop_when": goal}})
    server.client.ask("bowl", count=3)
    server.client.tell("bowl", 0, 1, {"loss": 0.2, "accuracy": None})
    assert server.client.study("bowl").spent.limit is None

    server.client.tell("bowl", 1, 1, reached)

    assert server.client.ask("bowl").reason == "budget"
    server.client.tell("bowl", 2, 1, {"loss": 0.2})
    assert states(server) == [("completed", "stop_when")]
    server.client.invalidate("bowl", 1, "the labels were shifted")
    assert server.client.study("bowl").state == "active"


@pytest.mark.parametrize(
    ("budget", "pointer"),
    [
        ({"max_trials": 1, "stop_when": {"above": 0.5}}, "/budget/stop_when"),
        ({"max_trials": 1, "stop_when": {}}, "/budget/stop_when"),
        ({"max_trials": 1, "max_epochs": 0}, "/budget/max_epochs"),
        ({"max_trials": 1, "max_seconds": 0}, "/budget/max_seconds"),
    ],
)
def test_limits_that_mean_nothing_are_refused(http: httpx.Client, budget: dict[str, Any], pointer: str) -> None:
    http.post("/v1/studies", json=BOWL)
    for answer in (
        http.post("/v1/studies", json=BOWL | {"name": "other", "budget": budget}),
        http.patch("/v1/studies/bowl", json={"budget": budget}),
    ):
        assert refusal(answer) in NOT_VALID
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
