"""Dice steer a trial and kill its worker between any two messages: whatever came before what, the timeline, trained
again from the start, gives its checkpoints bit for bit. Nothing waits, and a seed that fails, fails again."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from server.settings import Settings
from sturgeon.cli.replaying import replayed
from sturgeon.errors import Problem, WrongState
from sturgeon.messages import Desired, Lease
from tests.running import RunningServer
from worker.child.protocol import (
    Applied,
    ChildMessage,
    DesiredRun,
    FindingsMessage,
    Finished,
    Job,
    Paused,
    Progress,
    SavedCheckpoint,
    desired_run_of,
)
from worker.child.sources import prepared, stored_checkpoint
from worker.tasks import train

PANDA: dict[str, Any] = {
    "name": "bear",
    "mode": "panda",
    "metric": "dev_error",
    "params": {"learning_rate": 0.003, "keep_prob": 0.8},
    "budget": {"max_trials": 3},
    "task": {
        "kind": "train",
        "dataset": "iris",
        "epochs": 100_000,
        "fixed": {"hidden_units": 8, "batch_size": 64},
        "checkpoints": {"best": 1, "last": 2, "every_epochs": 4},
    },
}
CHANGES: list[dict[str, Any]] = [
    {"learning_rate": 0.001},
    {"learning_rate": 0.01},
    {"l2": 0.1},
    {"l2": 0.0, "learning_rate": 0.002},
    {"keep_prob": 0.9},
]
GUARD = {"metric": "dev_loss", "worse_by": 0.0, "within_epochs": 3}
VERBS = 14


class Killed(Exception):
    """The worker is gone, and with it all that it had not delivered."""


class Life:
    """A worker's run of a lease without its threads: the dice say when it delivers, uploads, hears and dies."""

    def __init__(self, chance: Chance, lease: Lease) -> None:
        self._chance, self._dice, self._client, self._lease = chance, chance.dice, chance.server.client, lease
        self._said: deque[ChildMessage] = deque()
        self._uploads: deque[SavedCheckpoint] = deque()
        self._desired, self._rollback_generation = (
            desired_run_of(lease.desired),
            lease.resume.leg if lease.resume else 0,
        )

    def run(self) -> None:
        lease = self._lease
        job = Job(
            lease.task or {}, lease.params, lease.seed, study=lease.study, number=lease.number, desired=self._desired
        )
        [job] = prepared(self._client, [replace(job, resume=lease.resume)], lambda _seconds: None)
        for _, one in train.run([job], self._between_two_steps, lambda: True):
            self._said.append(one)
        while self._said:
            self._deliver()

    def _between_two_steps(self, _place: int) -> DesiredRun:
        for _ in range(self._dice.choice((0, 1, 1, 2, 5))):
            self._dice.choice((self._deliver, self._deliver, self._upload))()
        self._chance.ask(self._lease.number)
        if self._dice.random() < 0.04 and self._chance.verbs:
            raise Killed
        return self._desired

    def _twice(self, call: Callable[[], Any]) -> Any:
        """Now and then the answer is lost, and it is said again."""
        if self._dice.random() < 0.1:
            call()
        return call()

    def _deliver(self) -> None:
        if not self._said:
            return
        one, lease = self._said.popleft(), self._lease
        where = lease.study, lease.number, lease.fence
        match one:
            case Progress():
                rows = [{"step": one.step, "epoch": one.epoch, "metrics": one.metrics}]
                applied = (one.version, one.since_step) if one.version else (None, None)
                self._hear(self._twice(lambda: self._client.report(*where, rows, *applied)).desired)
            case Applied():
                if any(saved.wanted for saved in self._uploads):
                    self._all_uploaded()
                self._hear(self._twice(lambda: self._client.report(*where, [], one.version, one.step)).desired)
            case SavedCheckpoint():
                self._uploads.append(one)
            case Paused():
                self._all_uploaded()
                self._client.release(*where)
            case Finished():
                self._uploads.extend(one.checkpoints)
                self._all_uploaded()
                self._twice(lambda: self._client.tell(*where, one.metrics, one.state, one.step, one.where, one.error))
            case FindingsMessage():
                for kind, body in one.findings.items():
                    self._twice(partial(self._client.put_finding, lease.study, lease.number, kind, lease.fence, body))
            case _:
                raise AssertionError(one)

    def _all_uploaded(self) -> None:
        while self._uploads:
            self._upload()

    def _upload(self) -> None:
        if not self._uploads:
            return
        one, lease = self._uploads.popleft(), self._lease
        with suppress(WrongState):  # it was left meanwhile
            self._twice(
                lambda: self._client.put_checkpoint(
                    lease.study, lease.number, one.step, one.content, lease.fence, one.epoch, one.value, one.version,
                    one.wanted,
                )
            )  # fmt: skip

    def _hear(self, desired: Desired) -> None:
        content = self._desired.content
        if desired.leg > self._rollback_generation:
            self._rollback_generation, content = desired.leg, None
            if desired.restore:
                lease = self._lease
                content = stored_checkpoint(
                    self._client, lease.study, lease.number, desired.restore, lambda _seconds: None
                )
        self._desired = replace(desired_run_of(desired), content=content)


class Chance:
    """What people ask for, when workers die, and in which order all of it arrives."""

    def __init__(self, server: RunningServer, seed: int) -> None:
        self.server, self.dice, self.verbs = server, random.Random(seed), VERBS

    def ask(self, number: int) -> None:
        """Now and then a verb; the last that is asked for is the stop."""
        if not self.verbs:
            with suppress(WrongState):  # it is about to stop
                self.server.client.stop("bear", number)
            return
        if self.dice.random() > 0.12:
            return
        self.verbs -= 1
        often, seldom = (self._change, self._back), (self._guard, self._keep, self._pause, self._branch)
        verb = self.dice.choice((*often, *often, *often, *seldom))
        with suppress(Problem):  # in this state there may be nothing to do
            verb(number)

    def _change(self, number: int) -> None:
        self.server.client.set_params("bear", number, self.dice.choice(CHANGES))

    def _guard(self, number: int) -> None:
        self.server.client.set_params("bear", number, self.dice.choice(CHANGES), guard=GUARD)

    def _keep(self, number: int) -> None:
        self.server.client.keep_checkpoint("bear", number)

    def _back(self, number: int) -> None:
        steps = [one.step for one in self.server.client.checkpoints("bear", number).items]
        params = self.dice.choice(({}, *CHANGES))
        self.server.client.rollback("bear", number, step=self.dice.choice([0, *steps, *steps]), params=params)

    def _pause(self, number: int) -> None:
        self.server.client.pause("bear", number)

    def _branch(self, number: int) -> None:
        steps = [one.step for one in self.server.client.checkpoints("bear", number).items]
        step = self.dice.choice(steps) if steps else None
        if self.dice.random() < 0.5:
            self.server.client.fork("bear", number, [self.dice.choice(CHANGES)], step=step, control=False)
        else:
            self.server.client.promote("bear", number, self.dice.choice(CHANGES), step=step)

    def play(self) -> None:
        """Until every trial has ended."""
        client = self.server.client
        while leases := client.lease("ada", 1, 0).leases or self._resumed():
            try:
                Life(self, leases[0]).run()
            except Killed:
                self.server.advance(seconds=31)
                self.server.expire_leases()
                self.ask(leases[0].number)

    def _resumed(self) -> list[Lease]:
        client = self.server.client
        for trial in client.trials("bear", state="paused").items:
            self.ask(trial.number)
            with suppress(Problem):
                client.resume("bear", trial.number)
        return client.lease("bob", 1, 0).leases


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path, serve: Callable[[Settings], RunningServer]) -> RunningServer:
    url = request.getfixturevalue(f"migrated_{request.param}_url")
    return serve(Settings(database_url=url, checkpoints=tmp_path / "checkpoints", max_attempts=100))


MORE = [pytest.param(kind, seed, marks=pytest.mark.long) for kind in ("sqlite", "postgres") for seed in range(40)]


# The first two went wrong, each in its own way, while a checkpoint's version was what its uploader had heard of.
@pytest.mark.parametrize(("server", "seed"), [("sqlite", 7), ("postgres", 9), *MORE], indirect=["server"])
def test_whatever_comes_before_what_the_timeline_gives_the_weights(server: RunningServer, seed: int) -> None:
    client = server.client
    client.create_study(PANDA)
    chance = Chance(server, seed)

    chance.play()

    trials, compared = client.trials("bear").items, 0
    for trial in trials:
        timeline = client.timeline("bear", trial.number)
        kept = client.checkpoints("bear", trial.number).items
        told = "\n".join(map(str, [trial, *timeline.items, *timeline.schedule, *kept]))
        assert trial.state in ("complete", "cancelled"), told  # stopped before its first report it has no value
        assert "pending" not in {one.state for one in timeline.items}, told
        steps = [one.step for one in timeline.schedule]
        assert steps == sorted(steps), told
        again = list(replayed(client, "bear", trial.number)) if kept else []
        compared += len(again)
        assert [one for one in again if not one.exact] == [], told
    assert compared, "some checkpoint was trained again"
