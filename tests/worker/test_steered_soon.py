"""How far a run trains ahead of the server's answers, counted in reports: a slow server makes no change come late."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from sturgeon import messages as m
from tests.worker.scripted import Running, ScriptedServer
from worker.child.protocol import Applied, ChildMessage, DesiredRun, Finished, Job, Progress, desired_run_of
from worker.tasks import answers, train
from worker.tasks.answers import MOST_UNANSWERED

TASK: dict[str, Any] = {"kind": "train", "dataset": "iris", "epochs": 60, "batch_size": 128, "checkpoints": None}
"""One step an epoch, and a report each."""

LAST_WITHOUT = 5
"""The last report whose answer has no change."""


@dataclass
class SlowServer(ScriptedServer):
    """It holds its answer to the first call with a report after LAST_WITHOUT; a change was asked for meanwhile."""

    change: dict[str, Any] = field(default_factory=dict)
    holds: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)
    answered: int = 0

    def _usual(self, name: str, body: Any) -> dict[str, Any]:
        if name == "report" and body["reports"]:
            newest = body["reports"][-1]["step"]
            if newest > LAST_WITHOUT:
                self.holds.set()
                assert self.may_answer.wait(timeout=60)
                self.desired = self.change
            else:
                self.answered = newest
        return super()._usual(name, body)


@dataclass
class Trained:
    """What a run said until it was steered, or ended; how many reports when it first waited for the held answer."""

    said: list[ChildMessage]
    reports_when_it_waited: int | None
    answered: int

    @property
    def changed_after(self) -> list[int]:
        return [one.step for one in self.said if isinstance(one, Applied) and one.version == 2]


def trained(
    monkeypatch: pytest.MonkeyPatch,
    early: dict[str, Any] | None = None,
    change: dict[str, Any] | None = None,
    **lease: Any,
) -> Trained:
    """A run whose server is slow. early: what a renewal of its lease desires before it begins. change: what the answer
    that is held desires."""
    server = SlowServer(change=change or {"version": 2, "params": {"learning_rate": 0.002}})
    with Running(TASK, server, **lease) as running:
        running.trial.start()
        running.trial.steer(m.Desired.model_validate(early or {}))
        waited: list[int] = []

        def look_again(_seconds: float) -> None:
            if server.holds.is_set() and _has_heard(running, server.answered, said) and not waited:
                waited.append(reports())
                server.may_answer.set()
            threading.Event().wait(0.001)

        def reports() -> int:
            return sum(isinstance(one, Progress) for one in said)

        monkeypatch.setattr(answers, "time", SimpleNamespace(sleep=look_again, monotonic=time.monotonic))
        said: list[ChildMessage] = []
        for message in _run(running):
            said.append(message)
            running.say(message)
            if isinstance(message, Applied) and message.version == 2 and change is None:
                break
        server.may_answer.set()
        return Trained(said, waited[0] if waited else None, server.answered)


def _has_heard(running: Running, answered: int, said: list[ChildMessage]) -> bool:
    """Whether all answers that the run waits for have reached it, but the one that is held."""
    heard = running.child.heard[-1] if running.child.heard else DesiredRun()
    if heard.answered is not None:
        return heard.answered >= answered
    looked = [one.number for one in said if isinstance(one, Progress) and one.looked and one.number <= answered]
    return heard.looked >= max(looked, default=0)


def _run(running: Running) -> Iterator[ChildMessage]:
    lease = running.lease
    job = Job(TASK, {"learning_rate": 0.001}, seed=1, desired=desired_run_of(lease.desired), looks=lease.looks)

    def desired(_place: int) -> DesiredRun:
        return running.child.heard[-1] if running.child.heard else DesiredRun()

    return (message for _, message in train.run([job], desired))


@pytest.mark.fault("L11")
@pytest.mark.parametrize(
    "lease",
    [{"mode": "panda"}, {"desired": {"version": 1}}, {"early": {"version": 1}}],
    ids=["a panda", "a trial that was steered before", "a trial that is steered now"],
)
def test_a_change_counts_from_the_second_report_on_however_slow_the_server(
    monkeypatch: pytest.MonkeyPatch, lease: dict[str, Any]
) -> None:
    run = trained(monkeypatch, **lease)

    assert run.reports_when_it_waited == run.answered + MOST_UNANSWERED + 1
    assert run.changed_after == [run.reports_when_it_waited]


def test_a_run_that_nobody_steers_never_waits_for_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(monkeypatch)

    assert run.reports_when_it_waited is None
    assert sum(isinstance(one, Progress) for one in run.said) == TASK["epochs"]


@pytest.mark.parametrize(
    "looks",
    [
        {"rule": "curve", "epochs": 60, "eta": 3, "grace": 3},
        {"rule": "asha", "eta": 3, "grace": 6},
        {"rule": "median", "eta": 3, "grace": 4},
    ],
    ids=lambda looks: str(looks["rule"]),
)
def test_a_run_trains_one_epoch_after_that_at_which_it_is_pruned(
    monkeypatch: pytest.MonkeyPatch, looks: dict[str, Any]
) -> None:
    """All these rules look at epoch 6, whose answer is held: epoch 8 does not begin before it comes."""
    stop = {"version": 2, "run": "stop", "why": "pruned"}

    run = trained(monkeypatch, change=stop, looks=looks)

    assert run.reports_when_it_waited == 7
    last = run.said[-1]
    assert isinstance(last, Finished)
    assert (last.state, run.changed_after) == ("pruned", [7])
    assert [one.epoch for one in run.said if isinstance(one, Progress)] == [*range(1, 8)]


def test_a_run_does_not_wait_for_answers_to_reports_at_which_no_rule_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(monkeypatch, looks={"rule": "asha", "eta": 3, "grace": 20})

    assert run.reports_when_it_waited == 21


@pytest.mark.fault("L11")
def test_a_run_goes_on_without_a_server_that_is_away_and_waits_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    reports = 0
    waited_s: Counter[int] = Counter()

    def answered() -> DesiredRun:
        return DesiredRun(answered=0 if reports < 20 else 18 if reports < 22 else reports)

    def sleep(seconds: float) -> None:
        waited_s[reports] += seconds

    monkeypatch.setattr(answers, "time", SimpleNamespace(sleep=sleep, monotonic=waited_s.total))
    for _, message in train.run([Job(TASK, {}, seed=1)], lambda _place: answered()):
        reports += isinstance(message, Progress)

    assert set(waited_s) == {2, 20}, "once for a server that is away, and again when it has answered something"
    assert waited_s.total() == pytest.approx(2 * answers.ANSWER_S, abs=0.1)
