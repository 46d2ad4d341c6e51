"""`sturgeon trial ...`: one trial, looked at, run by hand, or taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.command import Command

if TYPE_CHECKING:
    from tests.running import RunningServer


def test_a_trial_is_shown_with_what_became_of_it(sturgeon: Command, half_searched: RunningServer) -> None:
    shown = sturgeon("trial", "show", "bowl", "2")

    lines = {tuple(line.split())[:2] for line in shown.out.splitlines() if line.strip()}
    assert {("state", "failed"), ("worker", "laptop"), ("trial", "2"), ("ValueError:", "no")} <= lines
    assert "\x1b" not in shown.out
    trial = half_searched.client.trial("bowl", 2)
    assert sturgeon("trial", "show", "bowl", "2", "-o", "json").json == trial.model_dump(mode="json")


def test_a_trial_can_be_run_by_hand_from_the_ask_to_the_tell(sturgeon: Command, new_study: RunningServer) -> None:
    enqueued = sturgeon("trial", "enqueue", "bowl", "x=0.5", "y=3")
    assert enqueued.out == "Trial 0 of bowl is queued: x=0.5, y=3.\n"
    asked = sturgeon("trial", "ask", "bowl", "--worker", "me")
    assert [line.split() for line in asked.out.splitlines()] == [["trial", "fence", "x", "y"], ["0", "1", "0.5", "3"]]

    told = sturgeon("trial", "tell", "bowl", "0", "loss=0.25", "other=-1e-3", "--fence", "1")

    assert told.out == "Trial 0 of bowl is complete.\n"
    trial = new_study.client.trial("bowl", 0)
    assert (trial.worker, trial.value, trial.metrics) == ("me", 0.25, {"loss": 0.25, "other": -0.001})


@pytest.mark.parametrize(("user", "worker"), [("ann", "ann@my-host"), (KeyError("no such user"), "1234@my-host")])
def test_an_ask_without_a_name_is_by_the_user_of_this_machine(
    sturgeon: Command, new_study: RunningServer, monkeypatch: pytest.MonkeyPatch, user: str | KeyError, worker: str
) -> None:
    def getuser() -> str:
        if isinstance(user, KeyError):
            raise user
        return user

    monkeypatch.setattr("getpass.getuser", getuser)
    monkeypatch.setattr("os.getuid", lambda: 1234)
    monkeypatch.setattr("socket.gethostname", lambda: "my host")

    assert sturgeon("trial", "ask", "bowl").code == 0
    assert new_study.client.trial("bowl", 0).worker == worker


@pytest.mark.usefixtures("new_study")
def test_an_ask_says_in_a_sentence_why_there_is_nothing(sturgeon: Command) -> None:
    leases = sturgeon("trial", "ask", "bowl", "-k", "4", "-o", "json").json
    assert len(leases["leases"]) == 4
    assert sturgeon("trial", "ask", "bowl").out.startswith("No trial now: others run")
    for lease in leases["leases"]:
        sturgeon("trial", "tell", "bowl", lease["number"], "loss=1", "--fence", lease["fence"])
    assert sturgeon("trial", "ask", "bowl").out == "No trial: the study has ended.\n"


@pytest.mark.usefixtures("half_searched")
def test_what_is_no_metric_is_refused_before_it_is_sent(sturgeon: Command) -> None:
    for wrong in ("loss=low", "loss=true", "loss", "=1"):
        ran = sturgeon("trial", "tell", "bowl", "3", wrong, "--fence", "1")
        assert (ran.code, ran.out) == (2, ""), wrong


def test_a_trial_whose_holder_is_gone_is_released_without_its_fence(
    sturgeon: Command, half_searched: RunningServer
) -> None:
    assert sturgeon("trial", "release", "bowl", "3").out == "Trial 3 of bowl is queued.\n"
    assert half_searched.client.trial("bowl", 3).attempt == 0
    [again] = half_searched.client.ask("bowl").leases

    assert sturgeon("trial", "release", "bowl", "3", "--fence", "1").code == 1
    assert sturgeon("trial", "release", "bowl", "3", "--fence", str(again.fence)).code == 0
    assert sturgeon("trial", "cancel", "bowl", "3").out == "Trial 3 of bowl is cancelled.\n"


def test_the_log_of_a_trial_is_printed_without_control_characters(
    sturgeon: Command, half_searched: RunningServer
) -> None:
    assert "Trial 3 of bowl has no log" in sturgeon("trial", "log", "bowl", "3").err
    half_searched.client.put_trial_log("bowl", 3, 1, "epoch 1\r\n\x1b[31mred\ttab\n1 %\r99 %\n")

    assert sturgeon("trial", "log", "bowl", "3").out == "epoch 1\n[31mred\ttab\n99 %\n"
    assert sturgeon("trial", "log", "bowl", "3", "-o", "json").json["log"].startswith("epoch 1\r\n\x1b[31mred")


def test_a_curve_has_a_row_for_each_step(sturgeon: Command, half_searched: RunningServer) -> None:
    reports = [{"step": step, "epoch": step / 2, "metrics": {"loss": 1 / step, "other": step}} for step in (1, 2)]
    half_searched.client.report("bowl", 3, 1, reports)

    rows = [line.split() for line in sturgeon("trial", "curve", "bowl", "3").out.splitlines()]

    assert rows == [["step", "epoch", "loss", "other"], ["1", "0.5", "1", "1"], ["2", "1", "0.5", "2"]]
    assert [row["step"] for row in sturgeon("trial", "curve", "bowl", "3", "-o", "json").json] == [1, 2]
