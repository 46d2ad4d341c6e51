"""`sturgeon panda`: steering from a shell; the test is the worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sturgeon.cli.panda_watch import sparkline
from tests.cli.command import Command

if TYPE_CHECKING:
    from tests.running import RunningServer

BEAR: dict[str, Any] = {
    "name": "bear",
    "metric": "dev_error",
    "params": {"learning_rate": 0.1},
    "search": {"seed": 3},
    "policies": [{"policy": "plateau", "patience_epochs": 1}],
    "task": {"kind": "train", "dataset": "iris", "epochs": 4, "fixed": {"batch_size": 32}},
}


@pytest.fixture
def bear(server: RunningServer, sturgeon: Command, tmp_path: Path) -> RunningServer:
    """A panda that `ada` trains."""
    file = tmp_path / "bear.json"
    file.write_text(json.dumps(BEAR))
    assert "Panda bear, trial 0, is queued: learning_rate=0.1." in sturgeon("panda", "start", file).out
    server.client.lease("ada")
    return server


def test_a_change_with_a_guard_is_set_and_stands_in_the_timeline(bear: RunningServer, sturgeon: Command) -> None:
    told = sturgeon(
        "panda", "set", "bear", "0", "learning_rate=0.01", "l2=0", "-r", "calm", "--guard", "dev_error:0.02:3"
    )

    assert told.out == "Trial 0 is running, version 1 is desired; the run applies it between two steps.\n"
    bear.client.report("bear", 0, 1, [], 1, 5)
    shown = sturgeon("panda", "timeline", "bear", "0").out
    assert "set learning_rate=0.01, l2=0 (guard dev_error:0.02:3)" in shown
    assert "applied  local  calm" in shown
    [entry] = sturgeon("panda", "timeline", "bear", "0", "-o", "json").json["items"]
    assert (entry["from_step"], entry["guard"]["within_epochs"]) == (5, 3.0)


@pytest.mark.fault("N")
def test_what_nobody_runs_is_not_said_to_be_applied_between_two_steps(
    server: RunningServer, sturgeon: Command, tmp_path: Path
) -> None:
    file = tmp_path / "bear.json"
    file.write_text(json.dumps(BEAR))
    sturgeon("panda", "start", file)

    said = [
        sturgeon("panda", *arguments).out
        for arguments in (("set", "bear", "0", "l2=0.1"), ("pause", "bear", "0"), ("resume", "bear", "0"))
    ]
    assert said == [
        "Trial 0 is queued, version 1 is desired; the worker that takes the trial applies it.\n",
        "Trial 0 is paused, version 2 is desired; it applies when the trial is resumed.\n",
        "Trial 0 is queued, version 3 is desired; the worker that takes the trial applies it.\n",
    ]
    assert sturgeon("panda", "stop", "bear", "0").out == "Trial 0 is cancelled.\n"
    assert "requeue it to train it again" in sturgeon("panda", "stop", "bear", "0").err
    assert server.client.study("bear").state == "completed"
    [completed] = [event for event in server.client.events("bear").items if event.kind == "state"]
    assert completed.detail["why"] == "trials_ended"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("set", "bear", "0", "learning_rate"), "'learning_rate' is no NAME=VALUE"),
        (("set", "bear", "0", "l2=1", "--guard", "dev_error"), "is no METRIC:WORSE_BY:EPOCHS"),
    ],
)
def test_what_cannot_be_read_is_refused_with_an_example(
    bear: RunningServer, sturgeon: Command, arguments: tuple[str, ...], sentence: str
) -> None:
    told = sturgeon("panda", *arguments)

    assert (told.code, sentence in told.err) == (2, True)
    assert bear.client.timeline("bear", 0).items == []


def test_a_trial_is_paused_resumed_taken_back_and_stopped(bear: RunningServer, sturgeon: Command) -> None:
    bear.client.put_checkpoint("bear", 0, 6, b"npz", 1, 2.0, 0.2)

    assert sturgeon("panda", "pause", "bear", "0").code == 0
    assert sturgeon("panda", "resume", "bear", "0").code == 0
    assert sturgeon("panda", "checkpoint", "bear", "0", "--if-version", "2").code == 0
    assert sturgeon("panda", "rollback", "bear", "0", "l2=0.1", "--step", "6").code == 0
    refused = sturgeon("panda", "stop", "bear", "0", "--if-version", "2")
    assert (refused.code, "somebody steered it" in refused.err) == (1, True)
    stopped = sturgeon("panda", "stop", "bear", "0", "-o", "json").json

    assert (stopped["desired"]["run"], stopped["desired"]["restore"], stopped["desired"]["version"]) == ("stop", 6, 5)


def test_branches_and_pandas_are_made_of_a_checkpoint(bear: RunningServer, sturgeon: Command) -> None:
    bear.client.put_checkpoint("bear", 0, 6, b"npz", 1, 2.0, 0.2)

    forked = sturgeon("panda", "fork", "bear", "0", "learning_rate=0.2,l2=0.1", "l2=0.3")
    promoted = sturgeon("panda", "promote", "bear", "0", "epochs=9")

    assert forked.out.splitlines()[0] == "From step 6 of trial 0 of bear:"
    assert [line.split()[0] for line in forked.out.splitlines()[2:]] == ["1", "2", "3"]
    assert "unchanged: the control" in forked.out
    assert promoted.out == "Trial 4 of bear is a panda from step 6 of trial 0; it is queued.\n"
    assert "From step 6 of trial 0." in sturgeon("panda", "timeline", "bear", "4").out


def test_what_a_policy_proposes_is_accepted_with_one_command(bear: RunningServer, sturgeon: Command) -> None:
    assert "No proposal" in sturgeon("panda", "accept", "bear", "0").err
    for epoch in (1, 2):
        bear.client.report("bear", 0, 1, [{"step": 3 * epoch, "epoch": epoch, "metrics": {"dev_error": 0.5}}])

    assert "learning_rate 0.1 -> 0.05" in sturgeon("panda", "timeline", "bear", "0").out
    assert sturgeon("panda", "accept", "bear", "0").code == 0
    assert bear.client.timeline("bear", 0).items[0].params == {"learning_rate": 0.05}


def test_a_watch_tells_the_curve_the_timeline_and_the_end(bear: RunningServer, sturgeon: Command) -> None:
    bear.client.set_params("bear", 0, {"l2": 0.1}, reason="why not")
    bear.client.report("bear", 0, 1, [{"step": 3, "epoch": 1, "metrics": {"dev_error": 0.5}}])
    bear.client.tell("bear", 0, 1, {"dev_error": 0.25})

    assert sturgeon("panda", "watch", "bear", "0").out.splitlines() == [
        "step 3: dev_error 50.00 %",
        "version 1: set l2=0.1, superseded, by local why not",
        "trial 0 is complete: dev_error 25.00 %",
    ]


def test_a_replay_trains_again_and_says_where_the_weights_differ(bear: RunningServer, sturgeon: Command) -> None:
    from sturgeon.messages import Change, Resume
    from worker.child.protocol import DesiredRun, Finished, Job, SavedCheckpoint
    from worker.tasks import train

    assert "no checkpoint to compare" in sturgeon("panda", "replay", "bear", "0").err
    trial, task = bear.client.trial("bear", 0), BEAR["task"] | BEAR["task"]["fixed"]
    job = Job({name: value for name, value in task.items() if name != "fixed"}, trial.params, trial.seed)
    rule = {"checkpoints": {"best": 9, "last": 9, "every_epochs": 1}}
    steered = Resume(number=0, step=0, sha256=None, version=0, leg=0, timeline=[Change(step=4, params={"l2": 0.1})])
    job = Job(job.task | rule, job.params, job.seed, resume=steered)
    said = [one for _, one in train.run([job], lambda _place: DesiredRun())]
    bear.client.set_params("bear", 0, {"l2": 0.1})
    bear.client.report("bear", 0, 1, [], 1, 4)
    for saved in (one for one in said if isinstance(one, SavedCheckpoint)):
        bear.client.put_checkpoint("bear", 0, saved.step, saved.content, 1, saved.epoch, saved.value)
    assert isinstance(said[-1], Finished)

    exact = sturgeon("panda", "replay", "bear", "0")
    assert exact.out.startswith("exact: the weights at steps ")
    bear.client.set_params("bear", 0, {"learning_rate": 0.2})
    bear.client.report("bear", 0, 1, [], 2, 7)  # which never happened
    other = sturgeon("panda", "replay", "bear", "0")
    assert other.code == 1
    assert "The replay differs from step 12 on, by up to" in other.err


@pytest.mark.fault("L3")
def test_a_replay_is_not_called_exact_where_a_checkpoint_is_lost(bear: RunningServer, sturgeon: Command) -> None:
    from worker.child.protocol import DesiredRun, Job, SavedCheckpoint
    from worker.tasks import train

    trial = bear.client.trial("bear", 0)
    task = BEAR["task"] | BEAR["task"]["fixed"] | {"checkpoints": {"best": 9, "last": 9, "every_epochs": 1}}
    del task["fixed"]
    said = train.run([Job(task, trial.params, trial.seed)], lambda _place: DesiredRun())
    steps = []
    for saved in (one for _, one in said if isinstance(one, SavedCheckpoint)):
        kept = bear.client.put_checkpoint("bear", 0, saved.step, saved.content, 1, saved.epoch, saved.value)
        steps.append(saved.step)
    (Path(bear.settings.checkpoints) / kept.sha256[:2] / kept.sha256).unlink()

    told = sturgeon("panda", "replay", "bear", "0")

    assert told.code == 1
    assert f"gone or damaged: steps {steps[-1]}. The same, bit for bit: steps {steps[-2]}." in told.err
    assert f"The checkpoint of step {steps[-1]} is gone or damaged" in sturgeon("panda", "timeline", "bear", "0").out


def test_a_curve_is_drawn_in_one_line() -> None:
    assert sparkline([1.0, None, 0.0, 0.5]) == "█·▁▅"
    assert sparkline([]) == ""
    assert len(sparkline([0.5] * 500)) == 60


def test_a_lineage_lists_where_each_trial_goes_on_from(new_study: RunningServer, sturgeon: Command) -> None:
    new_study.client.ask("bowl")

    shown = sturgeon("panda", "lineage", "bowl", "0")

    assert [line.split()[:3] for line in shown.out.splitlines()] == [
        ["trial", "state", "mode"],
        ["0", "running", "caviar"],
    ]
    assert sturgeon("panda", "lineage", "bowl", "0", "-o", "json").json["root"] == 0
    assert sturgeon("panda", "lineage", "bowl", "7").code == 1
