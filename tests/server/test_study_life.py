"""A study's life: active, paused, stopped, cancelled, completed, and active again by a raised budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sturgeon.errors import BudgetSpent, LeaseLost, WrongState
from sturgeon.messages import Lease, Trial
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer


def tell_all(server: RunningServer) -> None:
    """Ask and tell until the study gives nothing."""
    while leases := server.client.ask("bowl").leases:
        for lease in leases:
            server.client.tell("bowl", lease.number, lease.fence, {"loss": 1.0})


def test_a_paused_study_hands_nothing_out_and_goes_on_when_resumed(server: RunningServer, queued_trial: Trial) -> None:
    assert server.client.patch_study("bowl", {"state": "paused"}).state == "paused"
    paused = server.client.ask("bowl")
    assert (paused.leases, paused.reason) == ([], "paused")

    assert server.client.patch_study("bowl", {"state": "active"}).state == "active"
    assert [lease.number for lease in server.client.ask("bowl").leases] == [queued_trial.number]


def test_a_paused_study_takes_results_and_given_trials(server: RunningServer, leased_trial: Lease) -> None:
    server.client.patch_study("bowl", {"state": "paused"})

    assert server.client.tell("bowl", 0, leased_trial.fence, {"loss": 1.0}).state == "complete"
    assert server.client.enqueue("bowl", {"x": 0, "n": 1}).state == "queued"


def test_in_a_stopped_study_running_trials_finish_and_nothing_starts(
    server: RunningServer, leased_trial: Lease
) -> None:
    assert server.client.patch_study("bowl", {"state": "stopped"}).state == "stopped"

    stopped = server.client.ask("bowl")
    assert (stopped.leases, stopped.reason) == ([], "finished")
    with pytest.raises(WrongState, match="The study bowl is stopped; it takes no more trials"):
        server.client.enqueue("bowl", {"x": 0, "n": 1})
    assert server.client.tell("bowl", 0, leased_trial.fence, {"loss": 1.0}).state == "complete"


@pytest.mark.usefixtures("bowl")
def test_a_stopped_study_can_be_resumed(server: RunningServer) -> None:
    server.client.patch_study("bowl", {"state": "stopped"})
    server.client.patch_study("bowl", {"state": "active"})

    assert len(server.client.ask("bowl").leases) == 1


def test_a_cancelled_study_cancels_its_trials_for_good(server: RunningServer, leased_trial: Lease) -> None:
    server.client.enqueue("bowl", {"x": 0, "n": 1})
    cancelled = server.client.patch_study("bowl", {"state": "cancelled"})

    assert (cancelled.state, cancelled.counts) == ("cancelled", {"cancelled": 2})
    with pytest.raises(LeaseLost):
        server.client.tell("bowl", 0, leased_trial.fence, {"loss": 1.0})
    with pytest.raises(WrongState, match="The study is cancelled; from there it can become: none"):
        server.client.patch_study("bowl", {"state": "active"})
    with pytest.raises(WrongState, match="The study bowl is cancelled; its trials do not run again"):
        server.client.requeue("bowl", 0)
    assert server.client.trial("bowl", 0).state == "cancelled"


@pytest.mark.usefixtures("bowl")
def test_a_study_is_completed_by_its_last_result(server: RunningServer) -> None:
    leases = server.client.ask("bowl", count=4).leases
    for lease in leases[:3]:
        server.client.tell("bowl", lease.number, lease.fence, {"loss": 1.0})
    assert server.client.study("bowl").state == "active"

    server.client.tell("bowl", leases[3].number, leases[3].fence, state="diverged")

    assert server.client.study("bowl").state == "completed"
    assert server.client.ask("bowl").reason == "finished"


def test_a_study_is_completed_by_cancelling_its_last_trial(server: RunningServer) -> None:
    server.client.create_study(BOWL | {"budget": {"max_trials": 1}})
    server.client.ask("bowl")

    server.client.cancel("bowl", 0)

    assert server.client.study("bowl").state == "completed"


@pytest.mark.usefixtures("finished_trial")
def test_a_study_is_completed_by_a_budget_lowered_to_what_has_finished(server: RunningServer) -> None:
    assert server.client.patch_study("bowl", {"budget": {"max_trials": 1}}).state == "completed"


@pytest.mark.usefixtures("bowl")
def test_a_raised_budget_makes_a_completed_study_active(server: RunningServer) -> None:
    tell_all(server)
    assert server.client.study("bowl").state == "completed"
    with pytest.raises(WrongState, match="raise its budget to go on"):
        server.client.patch_study("bowl", {"state": "active"})
    with pytest.raises(BudgetSpent, match="The study bowl is completed; raise its budget first"):
        server.client.enqueue("bowl", {"x": 0, "n": 1})

    assert server.client.patch_study("bowl", {"budget": {"max_trials": 6}}).state == "active"

    tell_all(server)
    assert server.client.study("bowl").counts == {"complete": 6}


@pytest.mark.usefixtures("bowl")
def test_a_requeued_trial_makes_a_completed_study_active(server: RunningServer) -> None:
    server.client.ask("bowl")
    server.client.cancel("bowl", 0)
    tell_all(server)
    assert server.client.study("bowl").state == "completed"

    server.client.requeue("bowl", 0)

    assert server.client.study("bowl").state == "active"
    tell_all(server)
    assert server.client.study("bowl").state == "completed"


@pytest.mark.usefixtures("bowl")
def test_what_people_did_is_told_in_events(server: RunningServer) -> None:
    server.client.enqueue("bowl", {"x": 0, "n": 1})
    server.client.patch_study("bowl", {"state": "paused"})
    server.client.patch_study("bowl", {"state": "active"})
    server.client.cancel("bowl", 0)
    server.client.requeue("bowl", 0)
    server.client.patch_study("bowl", {"budget": {"max_trials": 1}})
    tell_all(server)

    assert [(event.kind, event.number, event.detail) for event in server.client.events("bowl").items] == [
        ("enqueued", 0, {}),
        ("state", None, {"state": "paused", "was": "active"}),
        ("state", None, {"state": "active", "was": "paused"}),
        ("cancelled", 0, {"was": "queued"}),
        ("requeued", 0, {"was": "cancelled"}),
        ("budget", None, {"max_trials": 1}),
        ("state", None, {"state": "completed", "was": "active", "why": "max_trials"}),
    ]
