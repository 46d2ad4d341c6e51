"""Leases that run out: the trial waits again, and after too many attempts without a report it has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.background import Duties
from sturgeon.errors import LeaseLost
from sturgeon.messages import Lease
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer


def run_out(server: RunningServer, *, reporting: bool = False) -> Lease:
    """Ask for a trial, let its lease run out, and have the server see it."""
    [lease] = server.client.ask("bowl", lease_s=10, worker="ada").leases
    if reporting:
        server.client.report("bowl", lease.number, lease.fence, [{"step": 1, "metrics": {"loss": 1.0}}])
    server.advance(seconds=10.001)
    server.expire_leases()
    return lease


@pytest.mark.usefixtures("bowl")
def test_a_trial_whose_lease_ran_out_waits_again_with_the_same_params_and_seed(server: RunningServer) -> None:
    lease = run_out(server)
    trial = server.client.trial("bowl", 0)

    assert (trial.state, trial.attempt, trial.params, trial.seed) == ("queued", 1, lease.params, lease.seed)
    [again] = server.client.ask("bowl").leases
    assert (again.number, again.fence, again.attempt, again.params, again.seed) == (0, 2, 1, lease.params, lease.seed)


@pytest.mark.usefixtures("bowl")
def test_a_lease_holds_to_its_last_moment(server: RunningServer) -> None:
    server.client.ask("bowl", lease_s=10)
    server.advance(seconds=10)
    server.expire_leases()

    assert server.client.trial("bowl", 0).state == "running"


@pytest.mark.usefixtures("bowl")
def test_an_expiry_without_a_report_spends_an_attempt_and_the_third_fails_the_trial(server: RunningServer) -> None:
    attempts = []
    for _ in range(3):
        run_out(server)
        trial = server.client.trial("bowl", 0)
        attempts.append((trial.state, trial.attempt))

    assert attempts == [("queued", 1), ("queued", 2), ("failed", 3)]
    assert trial.error == "The lease ran out 3 times without a report."
    assert trial.finished_at is not None
    assert server.client.ask("bowl").leases[0].number == 1


@pytest.mark.usefixtures("bowl")
def test_an_expiry_after_a_report_spends_none(server: RunningServer) -> None:
    for _ in range(4):
        run_out(server, reporting=True)

    assert (server.client.trial("bowl", 0).state, server.client.trial("bowl", 0).attempt) == ("queued", 0)


@pytest.mark.usefixtures("bowl")
def test_a_report_counts_for_the_run_that_it_came_from(server: RunningServer) -> None:
    run_out(server, reporting=True)
    run_out(server)

    assert server.client.trial("bowl", 0).attempt == 1


def test_the_last_expiry_completes_a_study(server: RunningServer) -> None:
    server.client.create_study(BOWL | {"budget": {"max_trials": 1}})
    for _ in range(3):
        run_out(server)

    assert server.client.study("bowl").state == "completed"


@pytest.mark.usefixtures("bowl")
def test_expiries_are_told_in_events(server: RunningServer) -> None:
    for _ in range(3):
        run_out(server)

    assert [(event.kind, event.number, event.detail) for event in server.client.events("bowl").items] == [
        ("lease_expired", 0, {"worker": "ada", "then": "queued"}),
        ("lease_expired", 0, {"worker": "ada", "then": "queued"}),
        ("failed", 0, {"attempts": 3, "reason": "The lease ran out 3 times without a report."}),
        ("lease_expired", 0, {"worker": "ada", "then": "failed"}),
    ]


@pytest.mark.usefixtures("bowl")
def test_a_failed_trials_holder_may_not_come_back(server: RunningServer) -> None:
    for _ in range(3):
        lease = run_out(server)

    with pytest.raises(LeaseLost):
        server.client.tell("bowl", 0, lease.fence, {"loss": 1.0})
    assert server.client.trial("bowl", 0).state == "failed"


@pytest.mark.usefixtures("bowl")
def test_a_run_that_says_it_failed_after_its_lease_ran_out_spends_an_attempt(server: RunningServer) -> None:
    lease = run_out(server, reporting=True)

    told = server.client.tell("bowl", 0, lease.fence, state="failed")

    assert (told.state, told.attempt) == ("queued", 1)


@pytest.mark.usefixtures("bowl")
def test_a_starting_server_expires_nothing_for_one_lease_length(server: RunningServer) -> None:
    server.client.ask("bowl", lease_s=10)
    server.advance(seconds=40)  # while no server ran
    state = server.app.state
    duties = Duties(state.transactions, state.blobs, lease_s=30, max_attempts=3)

    duties()
    server.advance(seconds=29)
    duties()
    assert server.client.trial("bowl", 0).state == "running"

    server.advance(seconds=1)
    duties()
    assert server.client.trial("bowl", 0).state == "queued"
