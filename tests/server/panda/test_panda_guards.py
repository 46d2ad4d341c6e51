"""A guarded change is taken back if it does harm. At the server's door; the test itself is the worker."""

from __future__ import annotations

import pytest

from sturgeon import errors
from tests.server.panda.manual_worker import GUARD, ManualWorker


@pytest.mark.parametrize("value", [0.43, None])
def test_a_guarded_change_that_does_harm_is_taken_back(guarded: ManualWorker, value: float | None) -> None:
    assert guarded.report(3, 0.41).leg == 0
    desired = guarded.report(4, value)

    assert (desired.version, desired.leg, desired.restore, desired.params, desired.why) == (2, 2, 20, {}, "policy")
    guarded.apply(2, 20)
    entry, back = guarded.client.timeline("bear", 0).items
    assert (entry.state, entry.checkpoint, back.state, back.actor) == ("reverted", 20, "applied", "guard")
    assert ("not finite" if value is None else "0.43 at step 40, it was 0.4") in back.reason
    assert guarded.report(3, 0.6).version == 2, "the change is gone, and its guard with it"


def test_a_guarded_change_that_does_no_harm_in_time_stays(guarded: ManualWorker) -> None:
    for epoch, value in ((3, 0.41), (4, 0.42), (5, 0.9)):
        assert guarded.report(epoch, value).version == 1

    assert [state for *_, state in guarded.entries()] == ["applied"]


def test_a_guard_waits_for_its_checkpoint(worker: ManualWorker) -> None:
    worker.report(2, 0.4)
    worker.client.set_params("bear", 0, {"learning_rate": 1.0}, guard=GUARD)
    worker.apply(1, 20)
    assert worker.report(3, 0.9).version == 1
    worker.upload(20, 0.4, version=0, wanted=1)

    assert worker.report(4, 0.9).restore == 20


def test_a_guard_takes_its_change_back_when_its_checkpoint_came_again_with_it(
    guarded: ManualWorker,
) -> None:
    assert guarded.upload(20, 0.4, version=1).version == 1

    assert guarded.report(3, 0.9).restore == 20
    guarded.apply(2, 20)
    assert [state for *_, state in guarded.entries()] == ["reverted", "applied"]


def test_a_run_that_diverges_under_a_guard_goes_back(guarded: ManualWorker) -> None:
    told = guarded.client.tell("bear", 0, 1, {}, state="diverged", step=27, where="layer 1")

    assert (told.state, told.desired and told.desired.restore) == ("queued", 20)
    resume = guarded.take().resume
    assert resume is not None
    assert (resume.step, resume.leg) == (20, 2)


def test_a_guard_has_the_last_word_at_the_end_of_a_run(guarded: ManualWorker) -> None:
    guarded.version = 0  # its last report and its tell come together
    guarded.client.report("bear", 0, 1, [{"step": 30, "epoch": 3, "metrics": {"dev_error": 0.41}}], 1, 20)

    assert guarded.client.tell("bear", 0, 1, {"dev_error": 0.41}).state == "complete"


def test_a_guard_of_a_metric_that_nobody_knows_is_refused(worker: ManualWorker) -> None:
    with pytest.raises(errors.Invalid, match="metric: write one of dev_error, dev_loss"):
        worker.client.set_params("bear", 0, {"l2": 0.1}, guard=GUARD | {"metric": "charm"})
