"""The task `train` on a folder of portions: told portion by portion, gone on with to the same bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sturgeon.messages import Change, Resume
from trainer.checkpoint import Checkpoint
from trainer.streams import END
from worker.pipe import Applied, End, Happened, Job, Paused, Progress, Said, SavedCheckpoint, Steer
from worker.tasks import stream, train

TASK: dict[str, Any] = {
    "kind": "train",
    "dataset": "stream:s",
    "epochs": 100,
    "batch_size": 16,
    "checkpoints": {"best": 1, "last": 1, "every_epochs": 1},
}
ANSWERED = Steer(answered=10**9)
Desired = Callable[[int], Steer]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PULSE_S", 1e-9)  # after every step


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Six portions and the end; the third is torn, the fourth is the second again, the fifth is drawn otherwise."""
    rng = np.random.default_rng(1)
    folder = tmp_path / "s"
    folder.mkdir()
    for number in range(6):
        y = rng.integers(0, 3, 60)
        X = rng.standard_normal((60, 4)) + y[:, None] + (8 if number >= 4 else 0)
        np.savez(folder / f"{number}.npz", X=X, y=y)
    (folder / "2.npz").write_bytes((folder / "2.npz").read_bytes()[:500])
    (folder / "3.npz").write_bytes((folder / "1.npz").read_bytes())
    (folder / END).touch()
    return Job(TASK, {"learning_rate": 0.01}, seed=3, data_dirs=(tmp_path,))


def ran(job: Job, desired: Callable[[int], Steer] = lambda _told: ANSWERED) -> list[Said]:
    """All that the task says; `desired` is given how many portions have been told."""
    said: list[Said] = []
    for _, one in train.run([job], lambda _place: desired(sum(isinstance(x, Progress) for x in said))):
        said.append(one)
    return said


def of(kind: type[Any], said: list[Said]) -> list[Any]:
    return [one for one in said if isinstance(one, kind)]


def untimed(progress: Progress) -> dict[str, float]:
    return {name: value for name, value in progress.metrics.items() if name != "seconds"}


def test_a_run_tells_its_portions_what_it_refused_and_where_the_data_changed(job: Job) -> None:
    said = ran(job)

    assert [one.metrics["portion"] for one in of(Progress, said)] == [0, 1, 2, 3]
    reasons = [(one.kind, one.detail["reason"]) for one in of(Happened, said)]
    assert [kind for kind, _ in reasons] == ["portion_refused", "portion_refused", "drift"]
    assert "2.npz is torn" in reasons[0][1]
    assert "same examples as 1.npz" in reasons[1][1]
    assert "feature" in reasons[2][1]
    assert [one.metrics["drift"] for one in of(Progress, said)] == [0, 0, 1, 0]
    [end] = of(End, said)
    assert (end.state, end.metrics["dev_error"]) == ("complete", of(Progress, said)[-1].metrics["fresh_error"])
    assert Checkpoint.from_bytes(end.checkpoints[-1].content).epoch == 4
    assert all(saved.value is None for saved in of(SavedCheckpoint, said)), (
        "errors on different portions do not compare"
    )


def test_a_run_that_was_killed_goes_on_amid_a_portion_to_the_same_bits(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.tasks.keeping.Kept._is_due", lambda *_: True)
    change = Steer({"learning_rate": 0.05, "window": 2}, version=1, answered=10**9)
    undisturbed = ran(job, lambda told: change if told >= 2 else ANSWERED)
    [applied] = of(Applied, undisturbed)
    [end] = of(End, undisturbed)
    saves = of(SavedCheckpoint, undisturbed)
    assert any(Checkpoint.from_bytes(saved.content).position for saved in saves)
    told = {one.step: untimed(one) for one in of(Progress, undisturbed)}

    for saved in saves[::4]:
        timeline = [Change(step=applied.step, params=change.params)] if applied.step >= saved.step else []
        resume = Resume(number=0, step=saved.step, sha256="0" * 64, version=1, leg=0, timeline=timeline)
        again = ran(replace(job, resume=resume, start=saved.content, kept=(saved.content,)))

        [last] = of(End, again)
        portions = [one.metrics["portion"] for one in of(Progress, again)]
        assert portions == list(range(4))[4 - len(portions) :], "none is skipped, none comes twice"
        for one in of(Progress, again):
            assert untimed(one) == told[one.step]
        newest = [Checkpoint.from_bytes(x.content) for x in (*of(SavedCheckpoint, again), *last.checkpoints)]
        theta = newest[-1].theta if newest else Checkpoint.from_bytes(saved.content).theta
        assert np.array_equal(theta, Checkpoint.from_bytes(([*saves, *end.checkpoints])[-1].content).theta)


def test_what_the_server_says_of_a_portion_counts_before_it_is_trained_on(job: Job) -> None:
    asked: list[int] = []

    def desired(told: int) -> Steer:
        """The answer to the third portion comes at the tenth look."""
        asked.append(told)
        if told < 3:
            return ANSWERED
        late = sum(n >= 3 for n in asked) < 10
        return Steer(answered=0) if late else Steer({"learning_rate": 0.1}, version=1, answered=10**9)

    said = ran(job, desired)

    third = of(Progress, said)[2]
    assert of(Applied, said) == [Applied(1, third.step)]


def test_a_run_goes_on_without_a_server_that_does_not_answer(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "ANSWER_S", 0.01)
    assert of(End, ran(job, lambda _: Steer()))[0].state == "complete"


def test_a_run_that_waits_may_be_paused_and_stopped(job: Job) -> None:
    (job.data_dirs[0] / "s" / END).unlink()

    paused = ran(job, lambda told: Steer(version=1, pause=told == 4, answered=10**9) if told == 4 else ANSWERED)
    assert isinstance(paused[-1], Paused)
    stopped = ran(job, lambda told: Steer(version=1, stop=True, answered=10**9) if told == 4 else ANSWERED)
    assert of(End, stopped)[0].state == "complete"


def test_a_run_that_goes_back_trains_on_the_portions_again(job: Job) -> None:
    first = ran(job)
    start = next(one for one in of(SavedCheckpoint, first) if one.epoch == 1)
    back = Steer(version=1, leg=1, restore=start.step, content=start.content, answered=10**9)

    said = ran(job, lambda told: back if told >= 3 else ANSWERED)

    assert [one.metrics["portion"] for one in of(Progress, said)] == [0, 1, 2, 2, 3]


def test_a_stream_without_a_portion_is_waited_for_and_its_end_is_told(job: Job, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    waiting = replace(job, task=TASK | {"dataset": "stream:empty"})
    looks = 0

    def desired(_told: int) -> Steer:
        nonlocal looks
        looks += 1
        if looks == 3:
            (folder / END).touch()
        return ANSWERED

    [end] = ran(waiting, desired)
    assert (end.state, looks) == ("failed", 4)
    assert "No portion" in end.error
    [end] = ran(replace(job, task=TASK | {"dataset": "stream:none"}))
    assert "no folder below" in end.error
