"""`sturgeon study watch`, and what it and the demo stand on: following a study poll by poll."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from sturgeon.cli.following import Follower
from sturgeon.cli.watch import picture
from tests.cli.command import BOWL, Command, assert_form
from tests.processes import DEADLINE_S

if TYPE_CHECKING:
    from tests.running import RunningServer


def between_polls(*steps: Callable[[], object]) -> Callable[[float], None]:
    """Instead of sleeping, one more thing happens after each poll."""
    left = list(steps)

    def happen(_seconds: float) -> None:
        left.pop(0)()

    return happen


@pytest.mark.usefixtures("searched")
def test_a_completed_study_ends_the_watch_at_once(sturgeon: Command) -> None:
    ran = sturgeon("study", "watch", "bowl")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "bowl is completed: 4 of 4 trials done, 1 failed, 1 diverged, best loss 0.25 (trial 1)"
    ]
    assert sturgeon("study", "watch", "bowl", "-o", "json").out == ""


def test_each_trial_that_finishes_is_a_line_and_with_json_an_object(
    half_searched: RunningServer, sturgeon: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell = half_searched.client.tell
    happen = between_polls(lambda: tell("bowl", 3, 1, {"loss": 0.125}))
    monkeypatch.setattr("sturgeon.cli.watch.Follower", partial(Follower, sleep=happen))
    first, finished, last = sturgeon("study", "watch", "bowl").out.splitlines()
    assert first.startswith("bowl is active: 3 of 4 trials done, 1 running")
    assert finished == "trial 3: complete, loss 0.125"
    assert last.startswith("bowl is completed: 4 of 4 trials done")


def test_a_trial_that_is_requeued_is_seen_to_finish_again(half_searched: RunningServer) -> None:
    client = half_searched.client

    def run_again() -> None:
        half_searched.advance(seconds=1)
        client.requeue("bowl", 2)
        (lease,) = client.ask("bowl", 1).leases
        client.tell("bowl", lease.number, lease.fence, {"loss": 0.75})

    happen = between_polls(run_again, lambda: client.tell("bowl", 3, 1, {"loss": 1.0}))
    seen = [[t.number for t in shot.finished] for shot in Follower(client, "bowl", sleep=happen)]
    assert seen == [[], [2], [3]]


def test_while_its_own_workers_start_a_study_waits_for_nobody(server: RunningServer) -> None:
    client = server.client
    client.create_study(BOWL | {"task": {"kind": "command", "argv": ["./bowl", "{x}"]}, "needs": {"labels": ["a100"]}})
    happen = between_polls(
        lambda: client.lease("another"),
        lambda: client.lease("own", offer={"kinds": ["command"]}),
        lambda: client.patch_study("bowl", {"state": "cancelled"}),
    )

    shots = list(Follower(client, "bowl", sleep=happen, starting=["own"]))

    lacks = "None of the 2 workers has the label a100."
    assert [shot.study.waits_for for shot in shots] == [None, None, lacks, None]


def test_a_stopped_study_ends_when_its_last_running_trial_does(half_searched: RunningServer) -> None:
    client = half_searched.client
    happen = between_polls(
        lambda: client.patch_study("bowl", {"state": "stopped"}),
        lambda: client.tell("bowl", 3, 1, {"loss": 1.0}),
    )
    shots = list(Follower(client, "bowl", sleep=happen))
    assert [shot.ended for shot in shots] == [False, False, True]


def test_the_live_picture_has_the_running_trials_progress_and_the_best(half_searched: RunningServer) -> None:
    half_searched.client.report("bowl", 3, 1, [{"step": 7, "epoch": 2, "metrics": {"loss": 0.375}}])
    shot = next(iter(Follower(half_searched.client, "bowl", detailed=1)))
    console = Console(width=100)
    with console.capture() as captured:
        console.print(picture(shot))
    text = captured.get()
    running = next(line for line in text.splitlines() if "laptop" in line)
    assert running.split() == ["3", "laptop", "2", "0.375"]
    assert "3 of 4 trials done, 1 running, 1 failed, best loss 0.25 (trial 1)" in text


def test_in_a_terminal_the_picture_is_redrawn_in_place_and_its_last_state_stays(searched: RunningServer) -> None:
    command = [Path(sys.executable).with_name("sturgeon"), "study", "watch", "bowl", "--server", searched.url]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"}) as watching:
        os.close(theirs)
        text = all_of(ours)
        assert watching.wait(timeout=DEADLINE_S) == 0
    assert "\x1b[?25l" in text  # the cursor is hidden while the picture is live
    assert "bowl is completed: 4 of 4 trials done" in text
    assert "━" in text


def all_of(terminal: int) -> str:
    """What was written to a terminal until its other end closed."""
    parts = []
    with open(terminal, "rb", buffering=0) as file, contextlib.suppress(OSError):
        while part := file.read(65_536):
            parts.append(part)
    return b"".join(parts).decode()


def test_json_lines_are_trials(
    half_searched: RunningServer, sturgeon: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    happen = between_polls(lambda: half_searched.client.tell("bowl", 3, 1, {"loss": 0.125}))
    monkeypatch.setattr("sturgeon.cli.watch.Follower", partial(Follower, sleep=happen))
    (line,) = sturgeon("study", "watch", "bowl", "-o", "json").out.splitlines()
    assert json.loads(line)["number"] == 3
    assert_form("study watch", json.loads(line))
