"""How a running trial brings what its child says to the server."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from sturgeon import errors
from sturgeon import messages as m
from tests.worker.scripted import Running, epoch
from worker import patience
from worker.child.protocol import (
    Applied,
    DesiredRun,
    FindingsMessage,
    Finished,
    LeaveStack,
    Paused,
    SavedCheckpoint,
    Unable,
)
from worker.trial import delivery

DONE = Finished("complete", step=30, metrics={"dev_error": 0.25})
AWAY = httpx.ConnectError("refused")


@pytest.fixture
def running() -> Iterator[Running]:
    with Running() as running:
        running.trial.start()
        yield running


def test_reports_come_first_then_checkpoints_then_the_end(running: Running) -> None:
    saved = SavedCheckpoint(20, 2, 0.5, b"npz")
    end = Finished("complete", 20, {"dev_error": 0.5}, checkpoints=(saved,))

    running.say(epoch(1), epoch(2), epoch(3), end)

    assert running.until_ended() is None
    assert [name for name, _ in running.server.calls] == ["report", "checkpoints", "tell"]
    assert running.server.named("checkpoints") == [b"npz"]
    assert running.server.named("tell") == [
        {"fence": 2, "state": "complete", "metrics": {"dev_error": 0.5}, "step": 20}
    ]


def test_reports_that_pile_up_go_in_one_call(running: Running) -> None:
    running.say(*map(epoch, range(1, 21)), DONE)

    running.until_ended()

    [body] = running.server.named("report")
    assert body["fence"] == 2
    assert [row["epoch"] for row in body["reports"]] == list(range(1, 21))


def test_a_report_does_not_wait_for_the_end(running: Running) -> None:
    running.say(epoch(1))
    running.until_asked("report")

    assert not running.child.killed.is_set()
    running.say(DONE)
    running.until_ended()
    assert running.reported_steps == [10]


def test_while_the_server_is_away_the_child_goes_on_and_nothing_is_lost(running: Running) -> None:
    running.server.faults = {"report": [AWAY, AWAY], "checkpoints": [AWAY], "tell": [httpx.ReadTimeout("cut")]}
    running.say(epoch(1))
    running.until_asked("report")

    running.say(epoch(2), epoch(3), Finished("complete", 30, {}, checkpoints=(SavedCheckpoint(30, 3, 0.1, b"npz"),)))

    assert running.until_ended() is None
    assert running.reported_steps == [10, 20, 30]
    assert len(running.server.named("checkpoints")) == len(running.server.named("tell")) == 1


@pytest.mark.parametrize("lost", [errors.LeaseLost(), errors.TrialFinished(), errors.NotFound()])
@pytest.mark.parametrize("at", ["report", "checkpoints", "tell"])
def test_a_lost_lease_ends_the_run(running: Running, at: str, lost: errors.Problem) -> None:
    running.server.faults = {at: [lost]}

    running.say(epoch(1), Finished("complete", 10, {}, checkpoints=(SavedCheckpoint(10, 1, 0.1, b"npz"),)))

    assert running.until_ended() is None
    assert running.child.killed.is_set()
    assert not running.server.named("tell")


def test_a_lease_that_the_heartbeat_finds_lost_ends_the_run_while_the_server_is_away(running: Running) -> None:
    running.server.faults = {"report": [AWAY] * 1000}
    running.say(epoch(1))
    running.until_asked("report")

    running.trial.lose("taken")

    assert running.until_ended() is None
    assert running.child.killed.is_set()
    assert not running.server.named("report", "tell", "release")


def test_a_tell_under_way_learns_from_its_own_answer_whether_the_lease_is_lost(running: Running) -> None:
    """A heartbeat that crosses a tell finds the lease gone, because the trial is done."""
    running.server.faults = {"tell": [AWAY]}
    running.say(DONE)
    running.until_asked("tell")

    running.trial.lose("expired")

    assert running.until_ended() is None
    assert len(running.server.named("tell")) == 1


def test_a_released_trial_is_given_back(running: Running) -> None:
    running.say(epoch(1))
    running.until_asked("report")

    running.trial.release()

    assert running.until_ended() is None
    assert running.child.killed.is_set()
    assert running.server.named("release") == [{"fence": 2}]
    assert not running.server.named("tell")


def test_a_wrong_token_ends_the_worker(running: Running) -> None:
    running.server.faults = {"report": [errors.Unauthorized("Wrong token.")]}

    running.say(epoch(1))

    fatal = running.until_ended()
    assert isinstance(fatal, errors.Unauthorized)
    assert fatal.message == "Wrong token."


def test_a_refused_result_is_told_as_failed_with_the_reason(running: Running) -> None:
    running.server.faults = {"tell": [errors.Invalid("The tell lacks its metric accuracy.")]}

    running.say(DONE)

    running.until_ended()
    [told] = running.server.named("tell")
    assert told["state"] == "failed"
    assert told["error"] == "The server refused the result: The tell lacks its metric accuracy."
    assert told["retry"] is False, "the next attempt would train as long, and be refused as well"


@pytest.mark.parametrize("at", ["report", "checkpoints"])
def test_a_refused_report_or_checkpoint_does_not_cost_the_result(running: Running, at: str) -> None:
    running.server.faults = {at: [errors.TooLarge()]}

    running.say(epoch(1), Finished("complete", 10, {}, checkpoints=(SavedCheckpoint(10, 1, 0.1, b"npz"),)))

    running.until_ended()
    assert [told["state"] for told in running.server.named("tell")] == ["complete"]


def test_findings_come_before_the_end(running: Running) -> None:
    findings: Any = {"diagnosis": {"widest": "variance"}, "errors": {"wrong": 3}}

    running.say(Finished("complete", 20, {"dev_error": 0.5}, findings=findings))

    assert running.until_ended() is None
    assert running.server.calls[:2] == list(findings.items())
    assert [name for name, _ in running.server.calls[2:]] == ["tell"]


def test_what_a_run_finds_out_on_its_way_is_kept_while_it_goes_on(running: Running) -> None:
    running.say(
        epoch(1), FindingsMessage({"diagnosis": {"widest": "variance"}}), epoch(2), Finished("complete", 20, {})
    )

    running.until_ended()
    assert [name for name, _ in running.server.calls] == ["report", "diagnosis", "report", "tell"]


@pytest.mark.parametrize("refusal", [errors.TooLarge(), errors.Invalid("No.")])
def test_a_refused_finding_does_not_cost_the_result(running: Running, refusal: errors.Problem) -> None:
    running.server.faults = {"diagnosis": [refusal]}

    running.say(Finished("complete", 20, {}, findings={"diagnosis": {}, "errors": {}}))

    running.until_ended()
    assert [name for name, _ in running.server.calls] == ["errors", "tell"]


def test_the_error_of_a_trial_is_told_whatever_it_quotes(running: Running) -> None:
    running.say(Finished("failed", error="ValueError: caf\udce9\0"))
    running.until_ended()

    [told] = running.server.named("tell")
    assert told["error"] == "ValueError: caf??"


def test_a_finding_whose_lease_is_lost_ends_the_run(running: Running) -> None:
    running.server.faults = {"diagnosis": [errors.LeaseLost()]}

    running.say(Finished("complete", 20, {}, findings={"diagnosis": {}}))

    assert running.until_ended() is None
    assert running.server.calls == []


def test_a_trial_that_cannot_run_here_is_given_back_with_the_reason(running: Running) -> None:
    running.say(Unable("no such file: caf\udce9.csv\0" + "x" * 3000))
    running.until_ended()

    [sent] = running.server.named("release")
    assert (sent["fence"], len(sent["unable"])) == (2, 2000)
    assert sent["unable"].startswith("no such file: caf?.csv?xxx")
    assert running.trial.unable is not None
    assert not running.server.named("tell")


def test_a_trial_whose_stack_broke_is_released_to_run_alone(running: Running) -> None:
    running.server.faults = {"release": [AWAY]}

    running.say(epoch(1), LeaveStack("The process was killed."))

    assert running.until_ended() is None
    assert running.server.named("release") == [{"fence": 2, "alone": True}]
    assert not running.server.named("tell")


def test_a_server_that_is_ill_is_waited_for(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "AFTER_A_FAULT_S", 0.01)
    running.server.faults = {"tell": [errors.InternalError(), errors.InternalError()]}

    running.say(DONE)

    running.until_ended()
    assert len(running.server.named("tell")) == 1


def test_what_a_lease_desires_reaches_the_child_at_its_start() -> None:
    with Running() as running:
        desired = m.Desired(version=2, params={"l2": 0.1})
        running.trial.lease = running.trial.lease.model_copy(update={"desired": desired})

        running.trial.start()

        assert running.child.heard == [DesiredRun({"l2": 0.1}, version=2, answered=0)]


def test_what_is_desired_reaches_the_child_with_each_answer(running: Running) -> None:
    running.server.desired = {"version": 3, "params": {"l2": 0.1}, "run": "stop", "why": "pruned"}
    running.say(epoch(1))
    running.until_asked("report")
    running.say(epoch(2))
    running.until_asked("report")

    running.say(DONE)

    running.until_ended()
    heard = DesiredRun({"l2": 0.1}, version=3, stop=True, pruned=True)
    assert running.child.heard == [replace(heard, answered=number) for number in (0, 1, 2)]


def test_metrics_that_are_not_finite_are_sent_as_null(running: Running) -> None:
    running.say(Finished("diverged", 7, {"dev_loss": float("nan")}, where="layer 2"))

    running.until_ended()
    assert running.server.named("tell") == [
        {"fence": 2, "state": "diverged", "metrics": {"dev_loss": None}, "step": 7, "where": "layer 2"}
    ]


def test_a_report_at_which_a_pruning_rule_looks_does_not_wait_for_company(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "REPORT_EVERY_S", math.inf)
    monkeypatch.setattr(delivery, "REPORTING_SHARE", 1e-9)
    running.say(epoch(1))
    running.until_asked("report")

    running.say(epoch(2), replace(epoch(3), looked=True))
    running.until_asked("report")
    running.say(DONE)

    assert running.until_ended() is None
    assert [[row["epoch"] for row in body["reports"]] for body in running.server.named("report")] == [[1], [2, 3]]
    assert running.child.heard[-1].looked == 3


# --- steering ---


def test_each_version_is_acknowledged_before_a_checkpoint_that_has_it_in(running: Running) -> None:
    saved = SavedCheckpoint(27, 2, None, b"npz", version=2)

    running.say(epoch(1), Applied(1, 12), Applied(2, 25), saved, DONE)

    assert running.until_ended() is None
    assert [name for name, _ in running.server.calls] == ["report", "report", "report", "checkpoints", "tell"]
    acknowledged = [(one.get("applied_version"), one.get("applied_step")) for one in running.server.named("report")]
    assert acknowledged == [(None, None), (1, 12), (2, 25)]
    assert running.trial.renewal().applied_version == 2


def test_a_version_that_asked_for_a_checkpoint_is_acknowledged_when_that_is_there(running: Running) -> None:
    """A worker that dies before has applied nothing: the next one leaves the checkpoint."""
    running.server.faults = {"checkpoints": [AWAY]}

    running.say(SavedCheckpoint(20, 2, None, b"npz", wanted=1), Applied(1, 20), DONE)

    assert running.until_ended() is None
    assert [name for name, _ in running.server.calls] == ["checkpoints", "report", "tell"]


def test_a_slow_upload_does_not_hold_up_the_reports(running: Running) -> None:
    running.server.faults = {"checkpoints": [AWAY] * 1000}
    running.say(SavedCheckpoint(10, 1, 0.5, b"npz"))
    running.until_asked("checkpoints")

    running.say(epoch(2))
    running.until_asked("report")

    assert running.reported_steps in ([], [20])  # asked, and perhaps answered
    running.trial.lose("taken")
    assert running.until_ended() is None


def test_a_paused_trial_is_given_back_when_its_checkpoint_is_there(running: Running) -> None:
    running.server.faults = {"checkpoints": [AWAY]}

    running.say(Applied(1, 15), SavedCheckpoint(15, 1, None, b"npz", version=1), Paused(15))

    assert running.until_ended() is None
    assert [name for name, _ in running.server.calls] == ["report", "checkpoints", "release"]
    assert running.child.killed.is_set()


def test_a_run_that_shall_go_back_hears_it_with_the_checkpoint(running: Running) -> None:
    running.server.desired = {"version": 4, "leg": 4, "restore": 20, "params": {"l2": 0.1}}
    running.say(epoch(3))
    running.until_asked("checkpoints")
    assert running.child.heard_something.wait(timeout=60)

    running.say(DONE)

    assert running.until_ended() is None
    assert {(one.version, one.rollback_generation, one.content) for one in running.child.heard} == {(4, 4, b"npz")}
    assert (running.child.heard[-1].restore, running.child.heard[-1].answered) == (20, 3)


def test_an_answer_that_a_newer_one_overtook_steers_nothing(running: Running) -> None:
    newer, older = (m.Desired(version=version, params={"l2": version / 10}) for version in (2, 1))

    running.trial.steer(newer)
    running.trial.steer(older)

    assert running.child.heard == [DesiredRun({"l2": 0.2}, version=2, answered=0)]
    running.say(DONE)
    running.until_ended()


@pytest.mark.fault("L3")
def test_a_trial_that_shall_go_back_to_a_lost_checkpoint_is_given_back(running: Running) -> None:
    running.server.faults = {"checkpoints": [errors.NotFound("It is damaged.")]}
    running.server.desired = {"version": 1, "leg": 1, "restore": 20}

    running.say(epoch(3))

    assert running.until_ended() is None
    assert (running.server.named("tell"), len(running.server.named("release"))) == ([], 1)
