"""Policies propose, or act. At the server's door; the test itself is the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sturgeon import errors
from tests.server.panda.hand import GUARD, Hand, policed

if TYPE_CHECKING:
    from tests.running import RunningServer


def test_a_plateau_is_answered_by_a_proposal_that_a_person_accepts_with_one_call(server: RunningServer) -> None:
    hand = policed(server, policy="plateau", patience_epochs=2, factor=0.5)

    hand.report(5, 0.42)
    [proposal] = hand.client.proposals("bear", 0)
    assert (proposal.policy, proposal.state, proposal.params) == ("plateau", "open", {"learning_rate": 0.05})
    assert proposal.reason == "dev_error has not fallen below 0.4 for 2 epochs: learning_rate 0.1 -> 0.05."
    assert hand.entries() == []

    steered = hand.client.accept("bear", 0, proposal.id)
    assert steered.desired.params == {"learning_rate": 0.05}
    [done] = hand.client.proposals("bear", 0)
    assert (done.state, done.version) == ("accepted", 1)
    assert hand.client.timeline("bear", 0).items[0].actor == "policy:plateau, accepted"
    with pytest.raises(errors.WrongState, match="is accepted"):
        hand.client.accept("bear", 0, proposal.id)


def test_a_policy_that_may_acts_by_itself_and_then_waits_again(server: RunningServer) -> None:
    hand = policed(server, policy="plateau", patience_epochs=2, factor=0.5, auto=True)
    desired = hand.report(5, 0.42)
    assert (desired.params, desired.why) == ({"learning_rate": 0.05}, "policy")

    hand.apply(1, 50)
    versions = [hand.report(epoch, 0.42).version for epoch in (6, 7, 8)]

    assert versions == [1, 2, 2]
    assert [one.state for one in hand.client.proposals("bear", 0)] == ["accepted", "accepted"]
    assert hand.client.trial("bear", 0).desired.params == {"learning_rate": 0.025}  # type: ignore[union-attr]


def test_a_dismissed_proposal_is_not_made_again_at_once_and_a_change_by_hand_outdates_one(
    server: RunningServer,
) -> None:
    hand = policed(server, policy="plateau", patience_epochs=2)
    [proposal] = hand.client.proposals("bear", 0)
    assert hand.client.dismiss("bear", 0, proposal.id).state == "dismissed"
    assert hand.client.dismiss("bear", 0, proposal.id).state == "dismissed"

    hand.report(5, 0.42)
    assert len(hand.client.proposals("bear", 0)) == 1
    hand.report(6, 0.42)
    assert [one.state for one in hand.client.proposals("bear", 0)] == ["dismissed", "open"]
    hand.client.set_params("bear", 0, {"l2": 0.1})
    assert [one.state for one in hand.client.proposals("bear", 0)] == ["dismissed", "outdated"]


def test_a_run_that_diverges_goes_back_with_a_lower_rate_until_the_policy_gives_up(server: RunningServer) -> None:
    hand = Hand(server, policies=[{"policy": "divergence", "factor": 0.5, "give_up_after": 2, "auto": True}])
    hand.report(1, 0.5)
    hand.upload(10, 0.5)

    for rate, version in ((0.05, 1), (0.025, 2)):
        told = hand.client.tell("bear", 0, hand.lease.fence, {}, state="diverged", step=17, where="layer 2")
        assert told.state == "queued"
        resume = hand.take().resume
        assert resume is not None
        assert (resume.step, hand.lease.desired.params, hand.lease.desired.leg) == (
            10,
            {"learning_rate": rate},
            version,
        )
        hand.apply(version, 10)

    told = hand.client.tell("bear", 0, hand.lease.fence, {}, state="diverged", step=12)
    assert told.state == "diverged"


def test_a_run_that_diverged_waits_where_a_person_is_to_decide(server: RunningServer) -> None:
    hand = Hand(server, policies=[{"policy": "divergence"}])
    hand.upload(10, 0.5)

    told = hand.client.tell("bear", 0, 1, {}, state="diverged", step=17, where="layer 2")

    assert told.state == "paused"
    [proposal] = hand.client.proposals("bear", 0)
    assert (proposal.state, proposal.restore, proposal.params) == ("open", 10, {"learning_rate": 0.05})
    assert hand.client.accept("bear", 0, proposal.id).state == "queued"
    hand.take()
    assert (hand.lease.resume and hand.lease.resume.step, hand.lease.desired.run) == (10, "run")


def test_a_schedule_makes_its_changes_at_their_epochs_and_does_not_insist(server: RunningServer) -> None:
    plan = [{"epoch": 2, "params": {"l2": 0.1}}, {"epoch": 4, "params": {"learning_rate": 0.01}}]
    hand = Hand(server, policies=[{"policy": "schedule", "at": plan, "auto": True}])

    assert hand.report(1, 0.5).version == 0
    assert hand.report(2, 0.5).params == {"l2": 0.1}
    hand.apply(1, 20)
    hand.client.set_params("bear", 0, {"l2": 0.2})
    hand.apply(2, 25)
    assert hand.report(3, 0.5).version == 2
    assert hand.report(4, 0.5).params == {"l2": 0.2, "learning_rate": 0.01}


def test_a_guard_policy_proposes_to_take_back_a_change_that_does_harm(server: RunningServer) -> None:
    hand = Hand(server, policies=[GUARD | {"policy": "guard"}])
    hand.report(2, 0.4)
    assert hand.client.set_params("bear", 0, {"learning_rate": 1.0}).desired.checkpoint == 1
    hand.upload(20, 0.4, version=0, wanted=1)
    hand.apply(1, 20)
    hand.report(3, 0.9)

    [proposal] = hand.client.proposals("bear", 0)
    assert (proposal.policy, proposal.restore) == ("guard", 20)
    assert hand.client.accept("bear", 0, proposal.id).desired.leg == 2


def test_policies_may_be_changed_while_a_panda_runs(hand: Hand) -> None:
    policies = [{"policy": "plateau", "patience_epochs": 1}]
    assert hand.client.patch_study("bear", {"policies": policies}).policies[0].policy == "plateau"
    for epoch in (1, 2):
        hand.report(epoch, 0.5)

    assert [one.policy for one in hand.client.proposals("bear", 0)] == ["plateau"]
