"""Policies propose, or act. At the server's door; the test itself is the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sturgeon import errors
from tests.server.panda.manual_worker import GUARD, ManualWorker, policed

if TYPE_CHECKING:
    from tests.running import RunningServer


def test_a_plateau_is_answered_by_a_proposal_that_a_person_accepts_with_one_call(server: RunningServer) -> None:
    worker = policed(server, policy="plateau", patience_epochs=2, factor=0.5)

    worker.report(5, 0.42)
    [proposal] = worker.client.proposals("bear", 0)
    assert (proposal.policy, proposal.state, proposal.params) == ("plateau", "open", {"learning_rate": 0.05})
    assert proposal.reason == "dev_error has not fallen below 0.4 for 2 epochs: learning_rate 0.1 -> 0.05."
    assert worker.entries() == []

    steered = worker.client.accept("bear", 0, proposal.id)
    assert steered.desired.params == {"learning_rate": 0.05}
    [done] = worker.client.proposals("bear", 0)
    assert (done.state, done.version) == ("accepted", 1)
    assert worker.client.timeline("bear", 0).items[0].actor == "policy:plateau, accepted by local"
    with pytest.raises(errors.WrongState, match="is accepted"):
        worker.client.accept("bear", 0, proposal.id)


def test_a_policy_that_may_acts_by_itself_and_then_waits_again(server: RunningServer) -> None:
    worker = policed(server, policy="plateau", patience_epochs=2, factor=0.5, auto=True)
    desired = worker.report(5, 0.42)
    assert (desired.params, desired.why) == ({"learning_rate": 0.05}, "policy")

    worker.apply(1, 50)
    versions = [worker.report(epoch, 0.42).version for epoch in (6, 7, 8)]

    assert versions == [1, 2, 2]
    assert [one.state for one in worker.client.proposals("bear", 0)] == ["accepted", "accepted"]
    assert worker.client.trial("bear", 0).desired.params == {"learning_rate": 0.025}  # type: ignore[union-attr]


def test_a_dismissed_proposal_waits_and_a_change_by_hand_outdates_one(
    server: RunningServer,
) -> None:
    worker = policed(server, policy="plateau", patience_epochs=2)
    [proposal] = worker.client.proposals("bear", 0)
    assert worker.client.dismiss("bear", 0, proposal.id).state == "dismissed"
    assert worker.client.dismiss("bear", 0, proposal.id).state == "dismissed"

    worker.report(5, 0.42)
    assert len(worker.client.proposals("bear", 0)) == 1
    worker.report(6, 0.42)
    assert [one.state for one in worker.client.proposals("bear", 0)] == ["dismissed", "open"]
    worker.client.set_params("bear", 0, {"l2": 0.1})
    assert [one.state for one in worker.client.proposals("bear", 0)] == ["dismissed", "outdated"]


def test_a_run_that_diverges_goes_back_with_a_lower_rate_until_the_policy_gives_up(server: RunningServer) -> None:
    worker = ManualWorker(server, policies=[{"policy": "divergence", "factor": 0.5, "give_up_after": 2, "auto": True}])
    worker.report(1, 0.5)
    worker.upload(10, 0.5)

    for rate, version in ((0.05, 1), (0.025, 2)):
        told = worker.client.tell("bear", 0, worker.lease.fence, {}, state="diverged", step=17, where="layer 2")
        assert told.state == "queued"
        resume = worker.take().resume
        assert resume is not None
        assert (resume.step, worker.lease.desired.params, worker.lease.desired.leg) == (
            10,
            {"learning_rate": rate},
            version,
        )
        worker.apply(version, 10)

    told = worker.client.tell("bear", 0, worker.lease.fence, {}, state="diverged", step=12)
    assert told.state == "diverged"


def test_a_run_that_diverged_waits_where_a_person_is_to_decide(server: RunningServer) -> None:
    worker = ManualWorker(server, policies=[{"policy": "divergence"}])
    worker.upload(10, 0.5)

    told = worker.client.tell("bear", 0, 1, {}, state="diverged", step=17, where="layer 2")

    assert told.state == "paused"
    [proposal] = worker.client.proposals("bear", 0)
    assert (proposal.state, proposal.restore, proposal.params) == ("open", 10, {"learning_rate": 0.05})
    assert worker.client.accept("bear", 0, proposal.id).state == "queued"
    worker.take()
    assert (worker.lease.resume and worker.lease.resume.step, worker.lease.desired.run) == (10, "run")


def test_a_schedule_makes_its_changes_at_their_epochs_and_does_not_insist(server: RunningServer) -> None:
    plan = [{"epoch": 2, "params": {"l2": 0.1}}, {"epoch": 4, "params": {"learning_rate": 0.01}}]
    worker = ManualWorker(server, policies=[{"policy": "schedule", "at": plan, "auto": True}])

    assert worker.report(1, 0.5).version == 0
    assert worker.report(2, 0.5).params == {"l2": 0.1}
    worker.apply(1, 20)
    worker.client.set_params("bear", 0, {"l2": 0.2})
    worker.apply(2, 25)
    assert worker.report(3, 0.5).version == 2
    assert worker.report(4, 0.5).params == {"l2": 0.2, "learning_rate": 0.01}


def test_a_guard_policy_proposes_to_take_back_a_change_that_does_harm(server: RunningServer) -> None:
    worker = ManualWorker(server, policies=[GUARD | {"policy": "guard"}])
    worker.report(2, 0.4)
    assert worker.client.set_params("bear", 0, {"learning_rate": 1.0}).desired.checkpoint == 1
    worker.upload(20, 0.4, version=0, wanted=1)
    worker.apply(1, 20)
    worker.report(3, 0.9)

    [proposal] = worker.client.proposals("bear", 0)
    assert (proposal.policy, proposal.restore) == ("guard", 20)
    assert worker.client.accept("bear", 0, proposal.id).desired.leg == 2


def test_policies_may_be_changed_while_a_panda_runs(worker: ManualWorker) -> None:
    policies = [{"policy": "plateau", "patience_epochs": 1}]
    assert worker.client.patch_study("bear", {"policies": policies}).policies[0].policy == "plateau"
    for epoch in (1, 2):
        worker.report(epoch, 0.5)

    assert [one.policy for one in worker.client.proposals("bear", 0)] == ["plateau"]
