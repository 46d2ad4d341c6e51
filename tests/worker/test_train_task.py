"""The task `train`, called as the child process calls it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer.checkpoint import Checkpoint
from trainer.predict import predict
from trainer.preparation import prepare
from worker.pipe import End, Job, Progress, Steer
from worker.tasks import train

TASK: dict[str, Any] = {
    "kind": "train",
    "dataset": "iris",
    "epochs": 12,
    "batch_size": 32,
    "checkpoints": {"best": 1, "last": 1},
}


def ran(job: Job, *steers: Steer) -> tuple[list[Progress], End]:
    """All that the task says; after the n-th epoch the n-th of `steers` is desired, and the last from there on."""
    wishes: Iterator[Steer] = iter(steers)
    now = Steer()

    def desired() -> Steer:
        nonlocal now
        now = next(wishes, now)
        return now

    *progress, end = train.run(job, desired)
    assert all(isinstance(one, Progress) for one in progress)
    assert isinstance(end, End)
    return [one for one in progress if isinstance(one, Progress)], end


def test_each_epoch_is_told_with_its_metrics() -> None:
    progress, end = ran(Job(TASK, {"learning_rate": 0.01}, seed=1))

    assert [one.epoch for one in progress] == list(range(1, 13))
    assert [one.step for one in progress] == [3 * epoch for epoch in range(1, 13)]  # 90 examples, 32 in a batch
    assert progress[0].metrics.keys() >= {"train_loss", "train_error", "dev_loss", "dev_error", "seconds"}
    assert (end.state, end.error) == ("complete", None)


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    first, again, other = (ran(Job(TASK, {}, seed=seed))[0][-1].metrics["dev_loss"] for seed in (1, 1, 2))

    assert first == again != other


def test_the_told_metrics_are_those_of_the_best_checkpoint_its_test_error_too() -> None:
    job = Job(TASK, {"learning_rate": 0.05}, seed=3)
    progress, end = ran(job)

    best = min(end.checkpoints, key=lambda c: (c.value, c.step))
    data = prepare(train.config_of(job))
    checkpoint = Checkpoint.from_bytes(best.content)
    labels, _ = predict(checkpoint, data.normalization.mean + data.test.X * data.normalization.deviation)
    wrong = np.array(labels) != np.array(data.class_names)[data.test.Y.argmax(axis=1)]

    assert (end.step, end.metrics["epoch"]) == (best.step, best.epoch)
    assert best.value == end.metrics["dev_error"] == min(one.metrics["dev_error"] for one in progress)
    assert end.metrics["test_error"] == pytest.approx(wrong.mean())


def test_of_equally_good_epochs_the_latest_is_the_best() -> None:
    progress, end = ran(Job(TASK, {"learning_rate": 1e-6}, seed=0))

    assert len({one.metrics["dev_error"] for one in progress}) == 1  # it learns too little for a difference
    assert [c.epoch for c in end.checkpoints] == [12]
    assert end.metrics["epoch"] == 12


def test_as_many_checkpoints_are_kept_as_the_rule_says() -> None:
    progress, end = ran(Job(TASK | {"checkpoints": {"best": 2, "last": 3}}, {"learning_rate": 0.05}, seed=3))

    ranked = sorted(progress, key=lambda one: (one.metrics["dev_error"], -one.step))
    assert {c.epoch for c in end.checkpoints} == {ranked[0].epoch, ranked[1].epoch, 10, 11, 12}


def test_without_checkpoints_the_last_epoch_is_told() -> None:
    progress, end = ran(Job(TASK | {"checkpoints": None}, {}, seed=3))

    assert end.checkpoints == ()
    assert (end.step, end.metrics["dev_error"]) == (progress[-1].step, progress[-1].metrics["dev_error"])
    assert "test_error" in end.metrics


def test_without_a_dev_part_the_last_epoch_is_the_best() -> None:
    _, end = ran(Job(TASK | {"dev_share": 0.0}, {}, seed=3))

    assert [(c.epoch, c.value) for c in end.checkpoints] == [(12, None)]
    assert "dev_error" not in end.metrics


@pytest.mark.parametrize(("pruned", "state"), [(True, "pruned"), (False, "complete")])
def test_a_stop_ends_the_run_with_that_epoch(pruned: bool, state: str) -> None:
    progress, end = ran(Job(TASK, {}, seed=3), Steer(), Steer(stop=True, pruned=pruned))

    assert [one.epoch for one in progress] == [1, 2]
    assert end.state == state
    assert {c.epoch for c in end.checkpoints} <= {1, 2}


def test_a_live_parameter_changes_from_the_next_step_on_and_is_acknowledged() -> None:
    frozen = Steer(params={"learning_rate": 1e-30, "hidden_units": 7}, version=4)

    progress, _ = ran(Job(TASK | {"optimizer": "gradient_descent"}, {"learning_rate": 0.1}, seed=3), Steer(), frozen)

    assert [(one.version, one.since_step) for one in progress[:4]] == [(0, 0), (0, 0), (4, 6), (4, 6)]
    losses = [one.metrics["dev_loss"] for one in progress]
    assert losses[0] != losses[1]
    assert losses[1:] == [losses[1]] * 11


def test_a_run_that_diverges_is_told_so_with_the_place() -> None:
    _, end = ran(Job(TASK | {"optimizer": "gradient_descent"}, {"learning_rate": 100.0, "l2": 100.0}, seed=3))

    assert end.state == "diverged"
    assert end.where
    assert end.step is not None
    assert end.checkpoints == ()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"dataset": "moons"}, "moons"),
        ({"dataset": "npz:cats.npz"}, "--data"),
        ({"optimizer": "magic"}, "optimizer must be one of"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_trained_fails_with_one_sentence(fields: dict[str, str], sentence: str) -> None:
    _, end = ran(Job(TASK | fields, {}, seed=3))

    assert end.state == "failed"
    assert sentence in (end.error or "")
    assert "\n" not in (end.error or "")


def test_npz_data_come_from_the_data_folders(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "cats.npz", X=rng.normal(size=(60, 4)), y=np.arange(60) % 2)

    _, end = ran(Job(TASK | {"dataset": "npz:cats.npz"}, {}, seed=3, data_dirs=(tmp_path,)))

    assert end.state == "complete"
