"""Nothing of a model in a stack depends on its neighbours: no checkpoint, metric or alarm, and no pause."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from trainer.checkpoint import Checkpoint
from trainer.config import TrainConfig
from trainer.data.preparation import Data
from trainer.model import first_checkpoint
from trainer.training import Command, Progress, Run, resume, train

CONFIG = TrainConfig("small", epochs=3, hidden_units=8, batch_size=16, learning_rate=0.01)
VANISHING = replace(CONFIG, hidden_layers=12, activation="sigmoid", learning_rate=1e-4)
"""Its gradients raise an alarm at the first epoch's end."""


def every_step(config: TrainConfig | list[TrainConfig], data: Data, seed: int | list[int]) -> Run:
    return train(config, data, seed, pulse=0)


def commanded(run: Run, answer: Callable[[Progress], Command | None]) -> Iterator[tuple[Progress, Checkpoint]]:
    """Each Progress of a run that is answered in this way, and the checkpoint taken at it."""
    command: Command | None = None
    while True:
        try:
            progress = run.send(command)
        except StopIteration:
            return
        yield progress, progress.checkpoint()
        command = answer(progress)


def without_seconds(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name != "seconds"}


def record(progress: Progress, checkpoint: Checkpoint) -> tuple[object, ...]:
    """All that a run gives of a model at a step, but for the time it took."""
    place = progress.step, progress.epoch, progress.ended, progress.alarms, without_seconds(progress.metrics)
    return *place, without_seconds(checkpoint.metrics), checkpoint.plateau_epochs, checkpoint.theta.tobytes()


def stop_at(*steps: int) -> Callable[[Progress], Command | None]:
    """Stops model 1 at the first step, model 2 at the second, and so on."""
    return lambda p: Command(stop=True) if p.model and p.step == steps[p.model - 1] and not p.ended else None


@pytest.mark.fault("W9")
@pytest.mark.parametrize("config", [CONFIG, VANISHING], ids=["plain", "alarms"])
@pytest.mark.parametrize("steps", [(2, 9), (6, 12), (7, 7)], ids=["amid", "between", "together"])
def test_a_neighbour_that_stops_shows_in_nothing_of_those_that_stay(
    config: TrainConfig, steps: tuple[int, int], small_data: Data
) -> None:
    alone = [record(*each) for each in commanded(every_step(config, small_data, 1), lambda _: None)]
    run = every_step([config] * 3, small_data, [1, 2, 3])
    seen = list(commanded(run, stop_at(*steps)))
    assert [(p.model, p.step) for p, _ in seen if p.ended == "stopped"] == [(1, steps[0]), (2, steps[1])]
    assert [record(p, c) for p, c in seen if p.model == 0] == alone
    assert any(p.alarms for p, _ in seen) == (config is VANISHING)


def test_a_neighbour_that_is_complete_from_the_start_shows_in_no_checkpoint(small_data: Data) -> None:
    run = every_step([CONFIG, replace(CONFIG, epochs=0)], small_data, [1, 2])
    first = next(checkpoint for progress, checkpoint in commanded(run, lambda _: None) if progress.model == 0)
    assert first.metrics == {}


def test_a_stopped_model_has_the_final_metrics_that_it_has_alone(small_data: Data) -> None:
    run = every_step([CONFIG] * 2, small_data, [1, 2])
    (stacked,) = [record(p, c) for p, c in commanded(run, stop_at(8)) if p.ended == "stopped"]
    alone = commanded(every_step(CONFIG, small_data, 2), lambda p: Command(stop=p.step == 8))
    assert stacked == next(record(p, c) for p, c in alone if p.ended)


def test_a_neighbour_that_diverges_takes_no_pause_from_the_others(small_data: Data) -> None:
    fine, spoilt = (first_checkpoint(CONFIG, small_data, seed) for seed in (0, 1))
    spoilt.theta[0] = np.nan
    run = resume([fine, spoilt], small_data, halt=(1).__eq__)
    seen = [(p.model, p.step, p.ended) for p in itertools.islice(run, 2)]
    assert seen == [(0, 1, None), (1, 1, "diverged")]


def test_a_neighbour_that_diverges_condemns_no_model_whose_gradients_are_finite(small_data: Data) -> None:
    """A sigmoid of an infinite Z is 1, and its gradient is 0: such a model trains on."""
    config = replace(CONFIG, activation="sigmoid")
    saturated, spoilt = (first_checkpoint(config, small_data, seed) for seed in (0, 1))
    W = saturated.architecture().layout().views(saturated.theta)["W1"]
    W[:, 0] = 0
    W[0, 0] = 3e38
    spoilt.theta[1] = np.nan
    alone = [p.ended for p in resume([saturated], small_data) if p.ended]
    stacked = [p.ended for p in resume([saturated, spoilt], small_data) if p.ended and p.model == 0]
    assert alone == stacked == ["complete"]


def test_a_pulse_of_zero_seconds_lets_the_caller_in_after_each_step(small_data: Data) -> None:
    seen = [(p.step, p.ended) for p in train(CONFIG, small_data, 0, pulse=0)]
    assert seen == [*((step, None) for step in range(1, 19)), (18, "complete")]
