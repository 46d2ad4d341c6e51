"""A study without a task: once a run has gone on from a checkpoint, the reports of the trial's runs are one curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.store import checkpoints, studies, trials
from sturgeon.identifiers import TrialNumber
from sturgeon.messages import Lease
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer


def ask(server: RunningServer) -> Lease:
    [one] = server.client.ask("bowl").leases
    return one


def report(server: RunningServer, lease: Lease, **losses: float) -> None:
    reports = [
        {"step": int(step[1:]), "epoch": int(step[1:]), "metrics": {"loss": loss}} for step, loss in losses.items()
    ]
    server.client.report("bowl", lease.number, lease.fence, reports)


def save(server: RunningServer, lease: Lease, step: int) -> None:
    server.client.put_checkpoint("bowl", lease.number, step, b"a packed folder", lease.fence, epoch=step)


def release(server: RunningServer, lease: Lease) -> None:
    server.client.release("bowl", lease.number, lease.fence)


def curve(server: RunningServer) -> list[tuple[int, float | None]]:
    whole = [(row.step, row.metrics["loss"]) for row in server.client.trial_metrics("bowl", 0).items]
    drawn = [pair for one in server.client.curves("bowl").curves for pair in zip(one.epochs, one.values, strict=True)]
    assert drawn == whole
    return whole


def test_the_curve_goes_on_from_the_checkpoint_of_the_run_before(server: RunningServer) -> None:
    server.client.create_study(BOWL | {"name": "bowl", "reduce": "best"})
    first = ask(server)
    report(server, first, s1=5, s2=1, s3=4)
    save(server, first, 2)
    release(server, first)

    second = ask(server)
    assert second.resume is not None
    assert (second.number, second.resume.step) == (0, 2)
    report(server, second, s3=3, s4=2)
    assert curve(server) == [(1, 5), (2, 1), (3, 3), (4, 2)]
    release(server, second)

    third = ask(server)  # from the same checkpoint again
    report(server, third, s3=2.5)
    assert curve(server) == [(1, 5), (2, 1), (3, 2.5)]
    assert server.client.tell("bowl", 0, third.fence, {"loss": 6}).value == 1


def test_reports_of_a_run_without_a_checkpoint_do_not_come_back(server: RunningServer) -> None:
    server.client.create_study(BOWL | {"name": "bowl", "reduce": "best"})
    first = ask(server)
    report(server, first, s0=0.1, s9=0.1)
    release(server, first)
    second = ask(server)
    assert second.resume is None
    save(server, second, 1)  # before its first report
    release(server, second)

    third = ask(server)
    report(server, third, s2=4)

    assert curve(server) == [(2, 4)]
    assert server.client.tell("bowl", 0, third.fence, {"loss": 6}).value == 4


def test_a_trial_whose_checkpoint_is_lost_starts_over_and_counts_anew(server: RunningServer) -> None:
    server.client.create_study(BOWL | {"name": "bowl"})
    first = ask(server)
    report(server, first, s1=5)
    save(server, first, 1)
    release(server, first)
    second = ask(server)
    report(server, second, s2=4)
    release(server, second)
    lose_checkpoints(server)

    third = ask(server)
    assert third.resume is None
    assert curve(server) == []
    report(server, third, s1=3)

    assert curve(server) == [(1, 3)]


def lose_checkpoints(server: RunningServer) -> None:
    with server.app.state.database.writing() as tx:
        study = studies.find(tx, "bowl")
        assert study is not None
        row = trials.find(tx, study.id, TrialNumber(0))
        assert row is not None
        checkpoints.delete(tx, [one.id for one in checkpoints.of_trial(tx, row.id)])


def test_epochs_that_a_run_repeats_after_its_checkpoint_are_spent_once(server: RunningServer) -> None:
    server.client.create_study(BOWL | {"name": "bowl"})
    first = ask(server)
    report(server, first, s1=3, s2=2)
    save(server, first, 1)
    release(server, first)

    second = ask(server)
    report(server, second, s2=2, s3=1)

    assert server.client.study("bowl").spent.epochs == 3


def test_a_trial_that_went_on_is_a_measure_for_others_by_its_whole_curve(server: RunningServer) -> None:
    server.client.create_study(BOWL | {"name": "bowl", "pruning": {"rule": "none"}})
    first = ask(server)
    report(server, first, s1=0.9, s2=0.4)
    save(server, first, 2)
    release(server, first)
    second = ask(server)
    report(server, second, s3=0.1)
    server.client.tell("bowl", 0, second.fence, {"loss": 0.1})

    other = ask(server)
    report(server, other, s1=0.9, s2=0.6)
    told = server.client.tell("bowl", other.number, other.fence, {"loss": 0.6}, "pruned")

    assert told.guess == pytest.approx(0.6 * 0.1 / 0.4)
