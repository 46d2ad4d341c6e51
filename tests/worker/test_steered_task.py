"""The task `train` steered: paused, changed, taken back, and gone on with from a checkpoint, to the same bits."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from sturgeon.messages import Change, Resume
from trainer.checkpoint import Checkpoint
from worker.child.protocol import (
    Applied,
    ChildMessage,
    DesiredRun,
    FindingsMessage,
    Finished,
    Job,
    LeaveStack,
    Paused,
    Progress,
    SavedCheckpoint,
)
from worker.tasks import train
from worker.tasks.keeping import CheckpointKeeper

TASK: dict[str, Any] = {
    "kind": "train",
    "dataset": "iris",
    "epochs": 12,
    "batch_size": 32,
    "keep_prob": 0.8,
    "checkpoints": {"best": 1, "last": 1, "every_epochs": 1},
}
JOB = Job(TASK, {"learning_rate": 0.01}, seed=3)


def ran(job: Job, desired_runs: dict[int, DesiredRun] | None = None) -> list[ChildMessage]:
    """All that the task says; `desired_runs` are desired when so many epochs have been told."""
    told = 0

    def desired(_place: int) -> DesiredRun:
        return (desired_runs or {}).get(told, DesiredRun())

    said: list[ChildMessage] = []
    for _, one in train.run([job], desired):
        if not isinstance(one, FindingsMessage):
            said.append(one)
        told += isinstance(one, Progress)
    return said


def of(kind: type[Any], said: list[ChildMessage]) -> list[Any]:
    return [one for one in said if isinstance(one, kind)]


def timeless(content: bytes) -> bytes:
    checkpoint = Checkpoint.from_bytes(content)
    metrics = {name: value for name, value in checkpoint.metrics.items() if name != "seconds"}
    return replace(checkpoint, seconds=0.0, metrics=metrics).to_bytes()


def outcome(said: list[ChildMessage], job: Job = JOB) -> Any:
    """What a run comes to: what it tells, and its best and last checkpoints, be they of before."""
    [end] = of(Finished, said)
    kept = {Checkpoint.from_bytes(one).step: timeless(one) for one in job.stored}
    kept |= {one.step: timeless(one.content) for one in (*of(SavedCheckpoint, said), *end.checkpoints)}
    metrics = {name: value for name, value in end.metrics.items() if name != "seconds"}
    return end.state, end.step, metrics, end.findings, kept[end.step], kept[max(kept)]


def going_on(said: list[ChildMessage], at: SavedCheckpoint, *timeline: Change, version: int = 0, leg: int = 0) -> Job:
    """The job of the worker that goes on from this checkpoint, with those that came before it."""
    earlier = tuple(one.content for one in of(SavedCheckpoint, said) if one.step < at.step)
    resume = Resume(number=0, step=at.step, sha256="0" * 64, version=version, leg=leg, timeline=list(timeline))
    return replace(JOB, resume=resume, start=at.content, stored=(*earlier, at.content))


def test_a_run_from_any_checkpoint_comes_to_what_the_undisturbed_run_does() -> None:
    undisturbed = ran(JOB)

    saves = of(SavedCheckpoint, undisturbed)[::4]
    assert len(saves) == 3
    for saved in saves:
        job = going_on(undisturbed, saved)
        again = ran(job)

        assert outcome(again, job) == outcome(undisturbed)
        assert [one.epoch for one in of(Progress, again)] == list(range(saved.epoch + 1, 13))


def test_the_changes_after_a_checkpoint_are_made_again_at_their_steps() -> None:
    change = DesiredRun({"learning_rate": 0.05}, version=1)
    other = DesiredRun({"learning_rate": 0.05, "l2": 0.01, "keep_prob": 0.9}, version=2)
    undisturbed = ran(JOB, {n: change if n < 6 else other for n in range(3, 14)})
    assert of(Applied, undisturbed) == [Applied(1, 9), Applied(2, 18)]
    timeline = [Change(step=9, params=change.params), Change(step=18, params=other.params)]

    saves = of(SavedCheckpoint, undisturbed)
    assert len(saves) == 12
    for saved in saves:
        later = [one for one in timeline if one.step >= saved.step]
        job = going_on(undisturbed, saved, *later, version=2)
        again = ran(job)

        assert outcome(again, job) == outcome(undisturbed), saved.step
        assert of(Applied, again) == [], "what was acknowledged is not new"


def test_a_version_that_nobody_acknowledged_counts_beyond_the_changes_that_were() -> None:
    said = ran(JOB, dict.fromkeys(range(3, 14), DesiredRun({"l2": 0.01}, version=1)))
    first = of(SavedCheckpoint, said)[0]
    job = going_on(said, first, Change(step=9, params={"l2": 0.01}), version=1)

    again = ran(job, dict.fromkeys(range(14), DesiredRun({"l2": 0.02}, version=2)))

    assert of(Applied, again) == [Applied(2, 9)]


@pytest.mark.fault("L11")
def test_a_version_that_nobody_acknowledged_waits_for_the_step_that_was_reached() -> None:
    change = DesiredRun({"l2": 0.01}, version=1)
    undisturbed = ran(JOB, dict.fromkeys(range(6, 14), change))
    [applied] = of(Applied, undisturbed)
    for saved in of(SavedCheckpoint, undisturbed):
        if saved.step < applied.step:
            job = going_on(undisturbed, saved)
            assert job.resume is not None
            resume = job.resume.model_copy(update={"reached": applied.step})

            again = ran(replace(job, resume=resume, desired=change), dict.fromkeys(range(14), change))

            assert of(Applied, again) == [applied]
            assert outcome(again, job) == outcome(undisturbed)


def test_what_is_desired_at_the_hand_out_wins_over_a_repeated_change() -> None:
    first = of(SavedCheckpoint, ran(JOB))[0]
    again = going_on([], first, Change(step=first.step, params={"learning_rate": 0.05, "l2": 0.1}), version=1)
    desired_run = DesiredRun({"learning_rate": 0.02, "l2": 0.1}, version=2)

    said = ran(replace(again, desired=desired_run), dict.fromkeys(range(14), desired_run))

    assert of(Applied, said) == [Applied(2, first.step)]
    both = going_on([], first, Change(step=first.step, params=desired_run.params), version=2)
    assert outcome(said, both) == outcome(ran(both), both)


def test_a_checkpoint_has_the_parameters_from_before_the_changes_at_its_step() -> None:
    first = of(SavedCheckpoint, ran(JOB))[0]
    job = going_on([], first, Change(step=first.step, params={"learning_rate": 0.05}), version=1)

    said = ran(replace(job, desired=DesiredRun({"learning_rate": 0.05}, version=2, keep=2)))

    assert isinstance(said[0], SavedCheckpoint)
    assert (said[0].step, said[0].wanted) == (first.step, 2)
    assert timeless(said[0].content) == timeless(first.content)


def test_what_is_desired_at_the_hand_out_counts_from_the_first_step_on() -> None:
    job = replace(JOB, desired=DesiredRun({"learning_rate": 0.05}, version=3))

    said = ran(job, dict.fromkeys(range(14), job.desired))

    assert said[0] == Applied(3, 0)
    assert of(Applied, said) == [Applied(3, 0)]
    assert outcome(said)[2:] == outcome(ran(replace(JOB, params={"learning_rate": 0.05})))[2:]


def test_a_paused_run_goes_on_from_its_checkpoint_as_if_never_paused() -> None:
    said = ran(JOB, dict.fromkeys(range(5, 14), DesiredRun(version=1, pause=True)))

    *_, applied, saved, paused = said
    assert (applied, paused) == (Applied(1, 15), Paused(15))
    assert isinstance(saved, SavedCheckpoint)
    job = replace(going_on(said, saved, version=1), desired=DesiredRun(version=2))
    again = ran(job)
    assert again[0] == Applied(2, 15)
    assert outcome(again, job) == outcome(ran(JOB))


def test_a_pause_in_the_middle_of_an_epoch_leaves_a_checkpoint_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "PULSE_S", 1e-9)  # after every step

    said = ran(replace(JOB, desired=DesiredRun(version=1, pause=True)))

    assert said[-1] == Paused(1)
    [saved] = of(SavedCheckpoint, said)
    assert (saved.step, saved.epoch, saved.value) == (1, 0, None)
    assert outcome(ran(going_on(said, saved, version=1))) == outcome(ran(JOB))


def test_what_is_heard_within_an_epoch_counts_from_the_next_step_on() -> None:
    """With the answer to the next report at the latest a worker hears it: within a report interval and a step."""
    asked = 0

    def news() -> bool:
        nonlocal asked
        asked += 1
        return asked == 6  # after step 8: at an epoch's end, each third step, it looks anyway

    desired_run = DesiredRun({"learning_rate": 0.05}, version=1)
    said = list(train.run([JOB], lambda _place: desired_run if asked >= 6 else DesiredRun(), news))

    applied = next(one for _, one in said if isinstance(one, Applied))
    assert applied == Applied(1, 8)


def test_a_run_that_goes_back_forgets_what_came_after_and_says_where_it_is() -> None:
    undisturbed = ran(JOB)
    start = next(one for one in of(SavedCheckpoint, undisturbed) if one.epoch == 4)
    bad = DesiredRun({"learning_rate": 1.0}, version=1)
    back = DesiredRun(
        {"learning_rate": 0.01}, version=2, rollback_generation=2, restore=start.step, content=start.content
    )

    said = ran(JOB, {n: bad if n < 8 else back for n in range(6, 30)})

    assert of(Applied, said) == [Applied(1, 18), Applied(2, 12)]
    assert [one.epoch for one in of(Progress, said)] == [*range(1, 9), *range(5, 13)]
    assert [one.version for one in of(Progress, said)] == [0] * 6 + [1] * 2 + [2] * 8
    assert outcome(said) == outcome(undisturbed)


def test_a_run_may_go_back_to_its_very_start() -> None:
    back = DesiredRun({"learning_rate": 0.02}, version=1, rollback_generation=1, restore=0)

    said = ran(JOB, dict.fromkeys(range(2, 30), back))

    assert of(Applied, said) == [Applied(1, 0)]
    assert outcome(said)[2:] == outcome(ran(replace(JOB, params={"learning_rate": 0.02})))[2:]


def test_a_trial_that_goes_back_leaves_its_stack_and_its_peers_go_on() -> None:
    jobs = [JOB, replace(JOB, seed=4)]
    back = DesiredRun(version=1, rollback_generation=1, restore=0)

    said = list(train.run(jobs, lambda place: back if place else DesiredRun()))

    assert [type(one) for place, one in said if place == 1][-1] is LeaveStack
    assert outcome([one for place, one in said if place == 0]) == outcome(ran(JOB))


def test_branches_of_a_checkpoint_train_to_the_same_bits_stacked_and_alone() -> None:
    start = of(SavedCheckpoint, ran(JOB))[3]
    jobs = [
        replace(going_on([], start, Change(step=start.step, params=params)), number=number)
        for number, params in enumerate([{"learning_rate": 0.05}, {"l2": 0.1, "keep_prob": 0.9}, {}])
    ]

    said = list(train.run(jobs, lambda _place: DesiredRun()))

    for place, job in enumerate(jobs):
        assert outcome([one for at, one in said if at == place], job) == outcome(ran(job), job)


def test_a_checkpoint_that_was_asked_for_is_from_before_its_version() -> None:
    said = ran(JOB, dict.fromkeys(range(3, 14), DesiredRun({"l2": 0.5}, version=4, keep=4)))

    saved, applied = said[said.index(Applied(4, 9)) - 1], said[said.index(Applied(4, 9))]
    assert isinstance(saved, SavedCheckpoint)
    assert (saved.step, saved.version, saved.wanted, applied) == (9, 0, 4, Applied(4, 9))
    assert Checkpoint.from_bytes(saved.content).config.l2 == 0
    assert [one.wanted for one in of(SavedCheckpoint, said)].count(4) == 1


def test_checkpoints_are_handed_over_by_time_and_cost_a_fiftieth_of_it_at_most() -> None:
    ticks = iter([0.0, 9.0, 10.0, 11.0, 60.0, 61.0, 62.0])  # to write one takes a second
    kept = CheckpointKeeper({"checkpoints": {"best": 0, "last": 1, "every_s": 10}}, clock=lambda: next(ticks))

    handed = [[(one.step, one.value) for one in kept.due(_stub(step), 0)] for step in (4, 5, 6, 7)]

    assert handed == [[], [(5, None)], [], [(7, None)]]


def _stub(step: int) -> Any:
    """Between two steps of an epoch."""
    taken = SimpleNamespace(step=step, epoch=0, position=1, metrics={"dev_error": 0.5}, to_bytes=lambda: b"")
    return SimpleNamespace(step=step, epoch=0, metrics={}, checkpoint=lambda: taken)
