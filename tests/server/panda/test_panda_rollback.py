"""Back to a checkpoint, and on from there. At the server's door; the test itself is the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sturgeon import errors
from tests.server.panda.manual_worker import PANDA, ManualWorker, curve, lost

if TYPE_CHECKING:
    from tests.running import RunningServer


def test_a_rollback_undoes_what_came_after_its_checkpoint_and_begins_a_new_leg(trained: ManualWorker) -> None:
    trained.upload(60, 0.6)
    steered = trained.client.rollback("bear", 0, step=20, reason="too wild")
    desired = steered.desired
    assert (desired.version, desired.leg, desired.restore, desired.params) == (3, 3, 20, {})
    assert curve(trained) == [(10 * n, 0) for n in range(1, 7)], "not done yet"

    trained.apply(3, 20)
    trained.report(3, 0.35)

    assert [(verb, state, step) for _, verb, _, step, state in trained.entries()] == [
        ("params", "reverted", 30),
        ("params", "reverted", 50),
        ("rollback", "applied", 20),
    ]
    assert curve(trained) == [(10, 0), (20, 0), (30, 3)]
    left = [one.step for one in trained.client.trial_metrics("bear", 0, left=True).items if one.left]
    assert left == [30, 40, 50, 60]
    assert trained.steps() == [20], "those behind it are gone"
    assert trained.client.trial("bear", 0).params == PANDA["params"]
    assert trained.client.timeline("bear", 0).schedule == []


def test_a_rollback_keeps_what_was_in_force_in_its_checkpoint_and_may_change_more(trained: ManualWorker) -> None:
    steered = trained.client.rollback("bear", 0, step=40, params={"keep_prob": 0.7})
    assert steered.desired.params == {"l2": 0.1, "keep_prob": 0.7}

    trained.apply(3, 40)

    schedule = [(one.step, one.params) for one in trained.client.timeline("bear", 0).schedule]
    assert schedule == [(30, {"l2": 0.1}), (40, {"keep_prob": 0.7})]


def test_a_change_at_the_very_step_of_a_checkpoint_is_undone_if_it_is_not_in_it(worker: ManualWorker) -> None:
    worker.upload(20, 0.4)
    worker.client.set_params("bear", 0, {"l2": 0.1})
    worker.apply(1, 20)

    worker.client.rollback("bear", 0)
    worker.apply(2, 20)

    assert [state for *_, state in worker.entries()] == ["reverted", "applied"]
    assert worker.client.trial("bear", 0).params == PANDA["params"]


def test_a_rollback_to_the_start_needs_no_checkpoint_and_to_another_step_it_does(trained: ManualWorker) -> None:
    with pytest.raises(errors.NotFound, match=r"no checkpoint of step 33 to go back to; it has: 20, 40"):
        trained.client.rollback("bear", 0, step=33)

    trained.client.rollback("bear", 0, step=0)
    trained.apply(3, 0)

    assert curve(trained) == []
    assert trained.client.timeline("bear", 0).schedule == []


def test_a_rollback_that_nobody_applied_is_applied_by_the_next_worker(
    server: RunningServer, trained: ManualWorker
) -> None:
    trained.client.rollback("bear", 0, step=40)
    trained.client.set_params("bear", 0, {"l2": 0.3})
    server.advance(seconds=31)
    server.expire_leases()

    resume = trained.take().resume
    assert resume is not None
    assert (resume.step, resume.version, resume.leg, resume.timeline) == (40, 2, 3, [])
    assert trained.lease.desired.params == {"l2": 0.3}
    trained.apply(4, 40)
    assert [(verb, state) for _, verb, _, _, state in trained.entries()] == [
        ("params", "applied"),
        ("params", "reverted"),
        ("rollback", "applied"),
        ("params", "applied"),
    ]


def test_a_checkpoint_that_arrives_after_its_run_went_back_behind_it_is_refused(trained: ManualWorker) -> None:
    trained.client.rollback("bear", 0, step=20)
    trained.apply(3, 20)

    with pytest.raises(errors.WrongState, match="has gone back to step 20; its checkpoint of step 60"):
        trained.upload(60, 0.6, version=2)
    assert trained.upload(30, 0.3).version == 3


def test_a_run_that_goes_on_elsewhere_makes_the_changes_after_its_checkpoint_again(
    server: RunningServer, trained: ManualWorker
) -> None:
    server.advance(seconds=31)
    server.expire_leases()

    resume = trained.take().resume
    assert resume is not None
    assert (resume.step, resume.version, resume.leg) == (40, 2, 0)
    assert [(one.step, one.params) for one in resume.timeline] == [(50, {"learning_rate": 0.5})]
    trained.report(5, 0.25)
    assert curve(trained) == [(10 * n, 0) for n in range(1, 6)], "one curve, of two runs"


def test_a_change_at_the_step_of_a_checkpoint_is_made_again_by_whoever_goes_on(
    server: RunningServer, worker: ManualWorker
) -> None:
    """A worker dies soon after it began at a checkpoint with a new change; the next one leaves that very state again,
    as it was asked for one, and dies, too."""
    worker.upload(20)
    worker.client.set_params("bear", 0, {"learning_rate": 0.01})
    worker.apply(1, 20)
    for asked in (2, 3):
        worker.client.keep_checkpoint("bear", 0)
        resume = lost(server, worker)
        assert (resume.step, resume.version) == (20, asked - 1)
        assert [(one.step, one.params) for one in resume.timeline] == [(20, {"learning_rate": 0.01})]
        worker.upload(20, version=asked - 1, wanted=asked)
        worker.apply(asked, 20)

    [kept] = worker.client.checkpoints("bear", 0).items
    assert (kept.version, kept.pinned) == (2, True)


def test_a_run_that_repeats_changes_leaves_checkpoints_of_their_versions(
    server: RunningServer, trained: ManualWorker
) -> None:
    lost(server, trained)
    trained.upload(45, version=2)  # the second change counts from step 50 on

    resume = lost(server, trained)
    assert (resume.step, resume.version) == (45, 2)
    assert [(one.step, one.params) for one in resume.timeline] == [(50, {"learning_rate": 0.5})]
    assert [(one.step, one.version) for one in trained.client.checkpoints("bear", 0).items][-1] == (45, 1)
    trained.client.rollback("bear", 0, step=45)
    trained.apply(3, 45)
    assert [state for *_, state in trained.entries()] == ["applied", "reverted", "applied"]


def test_an_epoch_repeated_after_a_death_is_not_counted_but_after_a_rollback_it_is(
    server: RunningServer, trained: ManualWorker
) -> None:
    def spent() -> float:
        return trained.client.study("bear").spent.epochs

    assert spent() == 6
    lost(server, trained)
    for epoch, error in ((5, 0.25), (6, 0.6)):
        trained.report(epoch, error)
    assert spent() == 6
    trained.report(7, 0.5)
    assert spent() == 7

    trained.client.rollback("bear", 0, step=20)
    lost(server, trained)
    trained.apply(3, 20)
    trained.report(3, 0.3)
    assert spent() == 8


def test_a_rollback_to_a_step_that_one_before_it_is_about_to_leave_is_refused(trained: ManualWorker) -> None:
    trained.client.rollback("bear", 0, step=20)

    with pytest.raises(errors.NotFound, match="no checkpoint of step 40 to go back to; it has: 20"):
        trained.client.rollback("bear", 0, step=40)

    assert trained.client.rollback("bear", 0).desired.restore == 20


def test_the_checkpoint_that_a_run_shall_go_back_to_is_not_dropped_by_a_rule(trained: ManualWorker) -> None:
    trained.client.rollback("bear", 0, step=20)
    for epoch in (6, 7, 8):
        trained.upload(10 * epoch, 0.01)

    assert trained.steps()[0] == 20
