"""Pause, resume, stop, checkpoint. At the server's door; the test itself is the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sturgeon import errors
from tests.server.panda.manual_worker import PANDA, ManualWorker

if TYPE_CHECKING:
    from tests.running import RunningServer


def test_a_paused_trial_holds_no_slot_and_goes_on_from_its_checkpoint(worker: ManualWorker) -> None:
    worker.client.set_params("bear", 0, {"l2": 0.1})
    worker.apply(1, 15)
    worker.client.pause("bear", 0, reason="lunch")
    assert worker.report(3, 0.4).run == "pause"
    worker.apply(2, 37)
    worker.upload(37)
    worker.client.release("bear", 0, 1)

    assert worker.client.release("bear", 0, 1).state == "paused"
    assert worker.client.lease("bob", 10, 0).leases == []
    assert worker.client.study("bear").counts == {"paused": 1}

    worker.client.resume("bear", 0)
    resume = worker.take().resume
    assert resume is not None
    assert (resume.number, resume.step, resume.version, resume.leg, resume.timeline) == (0, 37, 2, 0, [])
    assert (worker.lease.desired.version, worker.lease.desired.run) == (3, "run")


def test_a_waiting_trial_is_paused_at_once_and_one_whose_worker_died_at_expiry(
    server: RunningServer, worker: ManualWorker
) -> None:
    worker.client.pause("bear", 0)
    server.advance(seconds=31)
    server.expire_leases()
    assert worker.client.trial("bear", 0).state == "paused"

    worker.client.resume("bear", 0)
    assert worker.client.pause("bear", 0).state == "paused"
    with pytest.raises(errors.WrongState, match="is paused"):
        worker.client.pause("bear", 0)


def test_a_pause_that_was_not_obeyed_yet_is_taken_back(worker: ManualWorker) -> None:
    worker.client.pause("bear", 0)
    worker.client.resume("bear", 0)
    worker.apply(2, 12)

    assert [(verb, state) for _, verb, _, _, state in worker.entries()] == [
        ("pause", "superseded"),
        ("resume", "applied"),
    ]
    with pytest.raises(errors.WrongState, match="nothing to resume"):
        worker.client.resume("bear", 0)


def test_a_stop_is_a_wish_while_it_runs_and_an_end_where_nobody_runs_it(
    server: RunningServer, worker: ManualWorker
) -> None:
    worker.report(1, 0.5)
    assert worker.client.stop("bear", 0, reason="good enough").state == "running"
    assert worker.report(2, 0.4).run == "stop"
    assert worker.client.tell("bear", 0, 1, {"dev_error": 0.4}).state == "complete"

    server.client.create_study(PANDA | {"name": "other"})
    assert server.client.stop("other", 0).state == "cancelled"
    assert server.client.study("other").state == "completed"


def test_a_stopped_panda_whose_worker_died_has_what_it_reported_last(
    server: RunningServer, worker: ManualWorker
) -> None:
    worker.report(1, 0.5)
    worker.client.stop("bear", 0)
    server.advance(seconds=31)
    server.expire_leases()

    trial = worker.client.trial("bear", 0)
    assert (trial.state, trial.value, trial.step) == ("complete", 0.5, 10)


def test_a_checkpoint_that_was_asked_for_is_kept_whatever_the_rule(worker: ManualWorker) -> None:
    worker.client.keep_checkpoint("bear", 0, reason="before the storm")
    worker.upload(13, version=0, wanted=1)
    worker.apply(1, 13)
    for epoch in range(2, 8):
        worker.upload(10 * epoch, value=0.5 - epoch / 100)

    assert worker.steps() == [13, 60, 70]
    assert [one.checkpoint for one in worker.client.timeline("bear", 0).items] == [13]
    assert [one.pinned for one in worker.client.checkpoints("bear", 0).items] == [True, False, False]


def test_a_checkpoint_with_a_change_in_it_that_nobody_acknowledged_is_refused(worker: ManualWorker) -> None:
    worker.client.set_params("bear", 0, {"l2": 0.1})

    with pytest.raises(errors.Invalid, match="has not acknowledged version 1"):
        worker.upload(20, version=1)
