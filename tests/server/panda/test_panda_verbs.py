"""Pause, resume, stop, checkpoint. At the server's door; the test itself is the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sturgeon import errors
from tests.server.panda.hand import PANDA, Hand

if TYPE_CHECKING:
    from tests.running import RunningServer


def test_a_paused_trial_holds_no_slot_and_goes_on_from_its_checkpoint(hand: Hand) -> None:
    hand.client.set_params("bear", 0, {"l2": 0.1})
    hand.apply(1, 15)
    hand.client.pause("bear", 0, reason="lunch")
    assert hand.report(3, 0.4).run == "pause"
    hand.apply(2, 37)
    hand.upload(37)
    hand.client.release("bear", 0, 1)

    assert hand.client.release("bear", 0, 1).state == "paused"
    assert hand.client.lease("bob", 10, 0).leases == []
    assert hand.client.study("bear").counts == {"paused": 1}

    hand.client.resume("bear", 0)
    resume = hand.take().resume
    assert resume is not None
    assert (resume.number, resume.step, resume.version, resume.leg, resume.timeline) == (0, 37, 2, 0, [])
    assert (hand.lease.desired.version, hand.lease.desired.run) == (3, "run")


def test_a_trial_that_waits_is_paused_at_once_and_one_whose_worker_died_when_it_is_missed(
    server: RunningServer, hand: Hand
) -> None:
    hand.client.pause("bear", 0)
    server.advance(seconds=31)
    server.reap()
    assert hand.client.trial("bear", 0).state == "paused"

    hand.client.resume("bear", 0)
    assert hand.client.pause("bear", 0).state == "paused"
    with pytest.raises(errors.WrongState, match="is paused"):
        hand.client.pause("bear", 0)


def test_a_pause_that_was_not_obeyed_yet_is_taken_back(hand: Hand) -> None:
    hand.client.pause("bear", 0)
    hand.client.resume("bear", 0)
    hand.apply(2, 12)

    assert [(verb, state) for _, verb, _, _, state in hand.entries()] == [
        ("pause", "superseded"),
        ("resume", "applied"),
    ]
    with pytest.raises(errors.WrongState, match="nothing to resume"):
        hand.client.resume("bear", 0)


def test_a_stop_is_a_wish_while_it_runs_and_an_end_where_nobody_runs_it(server: RunningServer, hand: Hand) -> None:
    hand.report(1, 0.5)
    assert hand.client.stop("bear", 0, reason="good enough").state == "running"
    assert hand.report(2, 0.4).run == "stop"
    assert hand.client.tell("bear", 0, 1, {"dev_error": 0.4}).state == "complete"

    server.client.create_study(PANDA | {"name": "other"})
    assert server.client.stop("other", 0).state == "cancelled"
    assert server.client.study("other").state == "completed"


def test_a_stopped_panda_whose_worker_died_has_what_it_reported_last(server: RunningServer, hand: Hand) -> None:
    hand.report(1, 0.5)
    hand.client.stop("bear", 0)
    server.advance(seconds=31)
    server.reap()

    trial = hand.client.trial("bear", 0)
    assert (trial.state, trial.value, trial.step) == ("complete", 0.5, 10)


def test_a_checkpoint_that_was_asked_for_is_kept_whatever_the_rule(hand: Hand) -> None:
    hand.client.keep_checkpoint("bear", 0, reason="before the storm")
    hand.upload(13, version=0, wanted=1)
    hand.apply(1, 13)
    for epoch in range(2, 8):
        hand.upload(10 * epoch, value=0.5 - epoch / 100)

    assert hand.steps() == [13, 60, 70]
    assert [one.checkpoint for one in hand.client.timeline("bear", 0).items] == [13]
    assert [one.pinned for one in hand.client.checkpoints("bear", 0).items] == [True, False, False]


def test_a_checkpoint_with_a_change_in_it_that_nobody_acknowledged_is_refused(hand: Hand) -> None:
    hand.client.set_params("bear", 0, {"l2": 0.1})

    with pytest.raises(errors.Invalid, match="version 1 is not acknowledged"):
        hand.upload(20, version=1)
