"""The desired state: every answer carries it, and what was applied of it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.services import lookup
from server.services.runs import desired_state
from sturgeon.errors import Conflict, LeaseLost
from sturgeon.messages import Lease

if TYPE_CHECKING:
    from tests.running import RunningServer

REPORTED = {"step": 1, "metrics": {"loss": 0.5, "odd": 7.0}}


def request_change(server: RunningServer, why: Any = "person", **changes: Any) -> None:
    """As a person, or a rule, does it."""
    with server.app.state.database.writing() as tx:
        study = lookup.lock_study(tx, "bowl")
        desired_state.request_change(tx, lookup.lock_trial(tx, study, 0), why, **changes)


def held(lease: Lease, **applied: int) -> dict[str, Any]:
    return {"study": lease.study, "number": lease.number, "fence": lease.fence} | applied


def test_a_trial_that_nobody_steers_is_to_run(server: RunningServer, leased_trial: Lease) -> None:
    assert leased_trial.desired.model_dump() == {
        "version": 0,
        "params": {},
        "run": "run",
        "restore": None,
        "leg": 0,
        "checkpoint": 0,
        "why": None,
    }
    trial = server.client.trial("bowl", 0)
    assert (trial.desired, trial.applied_version, trial.applied_step) == (None, None, None)


def test_reports_renewals_and_the_next_lease_carry_what_is_desired(server: RunningServer, leased_trial: Lease) -> None:
    request_change(server, params={"learning_rate": 0.01})

    reported = server.client.report("bowl", 0, 1, [REPORTED]).desired
    [renewed] = server.client.renew("ada", [held(leased_trial)]).held
    server.client.release("bowl", 0, 1)
    [again] = server.client.ask("bowl").leases

    assert reported.model_dump() == {
        "version": 1,
        "params": {"learning_rate": 0.01},
        "run": "run",
        "restore": None,
        "leg": 0,
        "checkpoint": 0,
        "why": "person",
    }
    assert reported == renewed.desired == again.desired == server.client.trial("bowl", 0).desired


@pytest.mark.usefixtures("leased_trial")
def test_each_wish_raises_the_version_and_what_it_leaves_out_stays(server: RunningServer) -> None:
    request_change(server, params={"learning_rate": 0.01})
    request_change(server, why="policy", back=desired_state.RollbackTarget(20, 0, {"learning_rate": 0.5}))
    request_change(server, run="pause")

    desired = server.client.report("bowl", 0, 1, []).desired

    assert (desired.version, desired.params, desired.run) == (3, {"learning_rate": 0.5}, "pause")
    assert (desired.restore, desired.leg, desired.why) == (20, 2, "person")


def test_what_was_applied_is_kept_and_never_goes_back(server: RunningServer, leased_trial: Lease) -> None:
    for rate in (0.3, 0.1, 0.03):
        request_change(server, params={"learning_rate": rate})
    seen = []

    server.client.report("bowl", 0, 1, [REPORTED], applied_version=1, applied_step=40)
    for version, step in ((2, 55), (1, 40), (2, 60)):
        server.client.renew("ada", [held(leased_trial, applied_version=version, applied_step=step)])
        trial = server.client.trial("bowl", 0)
        seen.append((trial.applied_version, trial.applied_step))

    assert seen == [(2, 55)] * 3


def test_a_version_that_nobody_desired_cannot_have_been_applied(server: RunningServer, leased_trial: Lease) -> None:
    request_change(server, params={"learning_rate": 0.3})

    with pytest.raises(Conflict, match="nobody has requested version 2, the newest is 1") as refused:
        server.client.report("bowl", 0, 1, [REPORTED], applied_version=2, applied_step=40)
    renewed = server.client.renew("ada", [held(leased_trial, applied_version=2, applied_step=40)])

    assert [error.pointer for error in refused.value.errors] == ["/applied_version"]
    assert len(renewed.held) == 1
    assert server.client.trial("bowl", 0).applied_version is None
    assert server.client.trial_metrics("bowl", 0).items == []


@pytest.mark.parametrize(
    ("why", "reports", "state", "value"),
    [("pruned", [REPORTED], "pruned", 0.5), ("person", [REPORTED], "complete", 0.5), ("study", [], "cancelled", None)],
)
@pytest.mark.parametrize("end", ["lease ran out", "released"])
@pytest.mark.usefixtures("leased_trial")
def test_a_trial_that_was_to_stop_has_ended_when_its_worker_is_gone(
    server: RunningServer, why: str, reports: list[Any], state: str, value: float | None, end: str
) -> None:
    server.client.report("bowl", 0, 1, reports)
    request_change(server, why, run="stop")

    if end == "released":
        server.client.release("bowl", 0, 1)
        server.client.release("bowl", 0, 1)
    else:
        server.advance(seconds=61)
        server.expire_leases()

    trial = server.client.trial("bowl", 0)
    assert (trial.state, trial.value, trial.attempt) == (state, value, 0)
    assert trial.metrics == (reports[0]["metrics"] if reports else {})
    assert trial.finished_at is not None
    assert server.client.ask("bowl").leases[0].number == 1
    with pytest.raises(LeaseLost):
        server.client.report("bowl", 0, 1, [{"step": 2, "metrics": {}}])


def test_a_study_is_completed_by_the_last_trial_that_was_to_stop(server: RunningServer, leased_trial: Lease) -> None:
    server.client.patch_study("bowl", {"budget": {"max_trials": 1}})
    request_change(server, "study", run="stop")

    server.client.release("bowl", leased_trial.number, leased_trial.fence)

    assert server.client.study("bowl").state == "completed"


@pytest.mark.usefixtures("leased_trial")
def test_a_trial_that_is_requeued_is_to_run_again(server: RunningServer) -> None:
    request_change(server, "study", run="stop", params={"learning_rate": 0.3})
    server.client.release("bowl", 0, 1)

    server.client.requeue("bowl", 0)

    desired = server.client.ask("bowl").leases[0].desired
    assert (desired.version, desired.run, desired.params) == (2, "run", {"learning_rate": 0.3})
