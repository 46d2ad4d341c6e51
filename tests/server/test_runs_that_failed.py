"""A run that failed: what it scored counts no more, and what was desired of its trial holds on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from sturgeon.messages import Desired, Lease, Trial
from tests.server.panda.manual_worker import ManualWorker
from tests.server.studies import BOWL, DIGITS, Json

if TYPE_CHECKING:
    from sturgeon.client import Client
    from tests.running import RunningServer

RULES: dict[str, Json] = {
    "curve": {"rule": "curve", "epochs": 16},
    "median": {"rule": "median", "grace": 3},
    "asha": {"rule": "asha", "grace": 3},
}
FAILED: Json = {"state": "failed", "error": "MemoryError"}


def begun(client: Client, count: int = 1) -> list[Lease]:
    return client.ask("bowl", count=count, worker="ada", lease_s=60).leases


def report(client: Client, lease: Lease, epoch: int, score: float) -> Desired:
    reported = [{"step": 10 * epoch, "epoch": epoch, "metrics": {"loss": score}}]
    return client.report("bowl", lease.number, lease.fence, reported).desired


def fail(client: Client, lease: Lease, attempts: int = 3) -> Trial:
    """Tell failed, as often as the trial is handed out again."""
    for _ in range(attempts - 1):
        client.tell("bowl", lease.number, lease.fence, **FAILED)
        [lease] = begun(client)
    return client.tell("bowl", lease.number, lease.fence, **FAILED)


def failed_and_requeued(client: Client, lease: Lease) -> None:
    assert fail(client, lease).state == "failed"
    client.requeue("bowl", lease.number)


def cancelled_and_requeued(client: Client, lease: Lease) -> None:
    client.cancel("bowl", lease.number)
    client.requeue("bowl", lease.number)


def failed_once(client: Client, lease: Lease) -> None:
    assert client.tell("bowl", lease.number, lease.fence, **FAILED).state == "queued"


def released_and_begun_again(client: Client, lease: Lease) -> None:
    client.release("bowl", lease.number, lease.fence)
    begun(client)


@pytest.mark.fault("W9")
@pytest.mark.parametrize("end", [failed_and_requeued, cancelled_and_requeued, failed_once, released_and_begun_again])
def test_no_trial_is_pruned_for_the_score_of_a_run_that_counts_no_more(
    server: RunningServer, end: Callable[[Client, Lease], None]
) -> None:
    client = server.client
    client.create_study(BOWL | {"budget": {"max_trials": 20}, "pruning": RULES["curve"]})
    wrong, other = begun(client, 2)
    report(client, wrong, 1, 1e-9)  # a mistake in the code, after which it failed
    end(client, wrong)

    desired = [report(client, other, epoch, 0.5).run for epoch in (1, 2, 3, 6)]

    assert desired == ["run"] * 4


@pytest.mark.fault("W9")
@pytest.mark.parametrize("rule", ["median", "asha"])
@pytest.mark.parametrize("end", [cancelled_and_requeued, failed_once])
def test_the_rung_scores_of_a_failed_run_compare_with_nobody(
    server: RunningServer, rule: str, end: Callable[[Client, Lease], None]
) -> None:
    client = server.client
    client.create_study(BOWL | {"budget": {"max_trials": 20}, "pruning": RULES[rule]})
    *wrong, other = begun(client, 7)
    for lease in wrong:
        report(client, lease, 3, 1e-9)
    for lease in wrong:
        end(client, lease)

    assert report(client, other, 3, 0.5).run == "run"


@pytest.mark.fault("W9")
def test_a_requeued_train_trial_keeps_the_scores_up_to_its_checkpoint(server: RunningServer) -> None:
    client = server.client
    client.create_study(DIGITS | {"pruning": {"rule": "curve"}, "task": DIGITS["task"] | {"epochs": 16}})
    wrong, other = client.ask("digits", count=2, lease_s=60).leases

    def reported(lease: Lease, epoch: int, error: float) -> str:
        rows = [{"step": 10 * epoch, "epoch": epoch, "metrics": {"dev_error": error}}]
        return client.report("digits", lease.number, lease.fence, rows).desired.run

    reported(wrong, 1, 0.4)
    client.put_checkpoint("digits", wrong.number, 10, b"weights", wrong.fence, 1.0, 0.4)
    reported(wrong, 2, 1e-9)
    client.cancel("digits", wrong.number)
    client.requeue("digits", wrong.number)

    assert reported(other, 3, 0.5) == "run"  # its forecast is 0.33
    assert reported(other, 6, 0.6) == "run"
    [again] = client.ask("digits", lease_s=60).leases
    assert again.resume is not None
    assert (again.number, again.resume.step) == (wrong.number, 10)
    reported(again, 2, 1e-9)
    assert reported(other, 9, 0.5) == "stop"


@pytest.mark.fault("W9")
def test_no_trial_is_pruned_for_a_score_that_a_rollback_abandoned(server: RunningServer) -> None:
    worker = ManualWorker(server, mode="caviar", params=None, pruning={"rule": "curve"}, **SEARCHED)
    client = worker.client
    [other] = client.ask("bear", lease_s=60).leases
    worker.report(1, 0.4)
    worker.upload(10, 0.4)
    worker.report(2, 1e-9)
    version = client.rollback("bear", 0, 10).desired.version
    worker.apply(version, 10)

    rows = [{"step": 30, "epoch": 3, "metrics": {"dev_error": 0.5}}]

    assert client.report("bear", other.number, other.fence, rows).desired.run == "run"


SEARCHED: Json = {"space": {"l2": {"type": "float", "low": 0.0, "high": 1.0}}}


def told_alone(client: Client, lease: Lease) -> Trial:
    return client.tell("bear", lease.number, lease.fence, **FAILED)


def told_among_many(client: Client, lease: Lease) -> Trial:
    [one] = client.tell_many("bear", [{"number": lease.number, "fence": lease.fence, **FAILED}]).items
    assert one.trial is not None
    return one.trial


TELLS = pytest.mark.parametrize("told", [told_alone, told_among_many])


@pytest.mark.fault("W9")
@TELLS
@pytest.mark.parametrize("expired", [False, True])
def test_a_trial_that_was_to_stop_and_failed_is_not_begun_again(
    server: RunningServer, told: Callable[[Client, Lease], Trial], expired: bool
) -> None:
    worker = ManualWorker(server)
    worker.report(1, 0.5)
    if expired:  # nobody took it, so its run goes on
        server.advance(seconds=31)
        server.expire_leases()
        worker.report(2, 0.5)
    worker.client.stop("bear", 0)

    trial = told(worker.client, worker.lease)

    assert (trial.state, trial.error, trial.attempt) == ("failed", "MemoryError", 1)
    assert worker.client.lease("bob", 1, 0).leases == []
    assert worker.client.requeue("bear", 0).state == "queued"


@pytest.mark.fault("W9")
@TELLS
def test_a_trial_that_was_to_pause_and_failed_is_paused(
    server: RunningServer, told: Callable[[Client, Lease], Trial]
) -> None:
    worker = ManualWorker(server)
    worker.client.pause("bear", 0)

    trial = told(worker.client, worker.lease)

    assert (trial.state, trial.error, trial.attempt) == ("paused", "MemoryError", 1)
    assert told(worker.client, worker.lease) == trial
    assert worker.client.lease("bob", 1, 0).leases == []
    worker.client.resume("bear", 0)
    assert [lease.number for lease in worker.client.lease("bob", 1, 0).leases] == [0]


@pytest.mark.fault("W9")
def test_a_trial_that_was_to_pause_fails_when_its_attempts_are_spent(server: RunningServer) -> None:
    worker = ManualWorker(server)
    for _ in range(2):
        told_alone(worker.client, worker.lease)
        worker.take()
    worker.client.pause("bear", 0)

    assert told_alone(worker.client, worker.lease).state == "failed"


@pytest.mark.fault("W9")
def test_a_requeue_that_makes_a_completed_study_active_is_an_event(server: RunningServer) -> None:
    client = server.client
    client.create_study(BOWL | {"budget": {"max_trials": 1}})
    [lease] = begun(client)
    fail(client, lease)

    client.requeue("bowl", 0)

    kinds: list[tuple[str, Any]] = [(event.kind, event.detail.get("state")) for event in client.events("bowl").items]
    assert kinds[-3:] == [("state", "completed"), ("requeued", None), ("state", "active")]


def test_a_trial_that_would_fail_again_is_not_tried_again(server: RunningServer, bowl: object) -> None:  # noqa: ARG001
    [lease] = begun(server.client)

    ended = server.client.tell("bowl", lease.number, lease.fence, **FAILED, retry=False)

    assert (ended.state, ended.attempt, ended.error) == ("failed", 1, "MemoryError")
    assert server.client.tell("bowl", lease.number, lease.fence, **FAILED, retry=False) == ended
    assert [one.number for one in begun(server.client)] == [1], "it is not queued"
    server.client.requeue("bowl", lease.number)
    assert [one.number for one in begun(server.client)] == [0], "a person may try it again"
