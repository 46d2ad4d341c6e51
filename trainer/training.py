"""Training: a generator of progress, so that the caller can watch, steer and stop a run between steps.

    run = train(config, data, seed)
    for progress in run:
        print(progress.step, progress.metrics)

To steer, call `progress = run.send(Command({"learning_rate": 0.0003}))` where the loop calls `next(run)`. One config
trains one model. Several configs of one shape train side by side, and each has the same results, bit for bit, as alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainer.analysis.error_analysis import Predictions
from trainer.checkpoint import Checkpoint
from trainer.config import TrainConfig
from trainer.data.preparation import Data
from trainer.model import Changes, first_checkpoint
from trainer.stack import Stack, never
from trainer.transfer import transferred


@dataclass(frozen=True)
class Command:
    """What the caller wants of a model: live hyperparameters to change from the next step on, or that it stops."""

    params: Mapping[str, object] = field(default_factory=dict)
    stop: bool = False


@dataclass(frozen=True)
class Notice:
    """An event of a run, beside its metrics. key: if an event is reported twice, both reports have the same key."""

    kind: str
    key: str
    detail: Mapping[str, object]


@dataclass(frozen=True)
class MeasuredPortion:
    """A portion of a stream, measured by a model that has trained on the portions before it only.

    number: of the portion, from 0. first_row: the number of examples before it. trained_on: the number of examples that
    train_error was measured on. predictions: None unless the targets are classes; rows count from the stream's start.
    pictures: of its mistakes, see `images.small_pictures`; None if the inputs are none.
    """

    name: str
    number: int
    first_row: int
    trained_on: int
    predictions: Predictions | None
    pictures: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Progress:
    """Where one model stands, between two steps.

    model: its place in the arguments of `train`. step: steps done. epoch: epochs finished.
    metrics: train_loss, train_error, dev_loss, dev_error (not without a dev part), epoch, seconds; at the end
    test_error
        too; empty between two epochs.
    checkpoint: takes a Checkpoint; to be called before the run goes on.
    ended: None while the model trains, then complete, stopped or diverged. where: the layer in which it diverged.
    waiting: the model follows a stream whose next portion is not there yet.
    notices: the events since the last Progress.
    portion: comes with the metrics of a stream's portion, except the first, on which the model is untrained.
    """

    model: int
    step: int
    epoch: int
    metrics: dict[str, float]
    checkpoint: Callable[[], Checkpoint] = field(repr=False)
    ended: str | None = None
    where: str | None = None
    alarms: tuple[str, ...] = ()
    waiting: bool = False
    notices: tuple[Notice, ...] = ()
    portion: MeasuredPortion | None = field(default=None, repr=False)


Run = Generator[Progress, Command | None, None]


def train(
    configs: TrainConfig | Sequence[TrainConfig],
    data: Data,
    seeds: int | Sequence[int],
    *,
    source: Checkpoint | None = None,
    changes: Sequence[Changes] = (),
    pulse: float | None = None,
    halt: Callable[[int], bool] = never,
    clock: Callable[[], float] = time.perf_counter,
) -> Run:
    """Trains one model or a stack of models; yields the Progress of each at every epoch's end, and at its own end.

    pulse, halt: every `pulse` seconds (never, if None; after each step, if 0), and after each step of which `halt` is
    true, a Progress without metrics is yielded between two steps, so that a long epoch can be steered, too.
    changes: for each model, live hyperparameters that change at the steps named.
    source: the model whose layers to start from, see `transfer`.
    A Command that is sent into the generator is for the model just yielded, and counts from the step after
    `progress.step`. The last Progress of a model has `ended` set, the step of the one before, and the final metrics.

    Raises: ConfigError (configs of different shapes; a source that does not fit; when a change or a command is applied,
    a field that is unknown or not live).
    """
    listed = [configs] if isinstance(configs, TrainConfig) else list(configs)
    numbers = [seeds] if isinstance(seeds, int) else list(seeds)
    first = [begin(config, data, seed, source) for config, seed in zip(listed, numbers, strict=True)]
    return resume(first, data, changes=changes, pulse=pulse, halt=halt, clock=clock)


def begin(config: TrainConfig, data: Data, seed: int, source: Checkpoint | None = None) -> Checkpoint:
    """A model before its first step, with the layers of the source if there is one.

    Raises: ConfigError (a source that does not fit).
    """
    first = first_checkpoint(config, data, seed)
    return first if source is None else transferred(first, source)


def resume(
    checkpoints: Sequence[Checkpoint],
    data: Data,
    *,
    changes: Sequence[Changes] = (),
    pulse: float | None = None,
    halt: Callable[[int], bool] = never,
    clock: Callable[[], float] = time.perf_counter,
) -> Run:
    """Goes on from checkpoints (of one shape, at one step) as if the run had never been interrupted.

    Raises: ConfigError (as `train`, and checkpoints at different steps).
    """
    listed = changes or [{}] * len(checkpoints)
    return _drive(Stack(checkpoints, range(len(checkpoints)), data, listed), pulse, halt, clock)


def final_metrics(checkpoint: Checkpoint, data: Data) -> dict[str, float]:
    """The final metrics of a run that ends at this checkpoint: its errors on all of train, and its test_error."""
    stack = Stack([checkpoint], [0], data, [{}])
    stack.measure_end(time.perf_counter)
    return stack.models[0].metrics


Leaving = dict[int, tuple[str, str | None]]
"""Rows of a stack whose training ends, with how and where."""


def _drive(first: Stack, pulse: float | None, halt: Callable[[int], bool], clock: Callable[[], float]) -> Run:
    for row in range(len(first.models)):
        first.apply_planned_changes(row)
    done: Leaving = {row: ("complete", None) for row in range(len(first.models)) if _complete(first, row)}
    stack = yield from _end_models(first, done, clock)
    while stack is not None:
        diverged, paused = stack.advance(pulse, clock, halt)
        epoch_ended = stack.position == 0
        if epoch_ended:
            diverged |= stack.measure_epoch(clock)
        leaving: Leaving = {row: ("diverged", where) for row, where in diverged.items()}
        for row in range(len(stack.models)):
            if paused and row not in diverged:
                command = yield _progress(stack, row, measured=epoch_ended)
                if ended := _obey(stack, row, command):
                    leaving[row] = (ended, None)
        stack = yield from _end_models(stack, leaving, clock)


def _end_models(
    stack: Stack, leaving: Leaving, clock: Callable[[], float]
) -> Generator[Progress, Command | None, Stack | None]:
    """Yields the last Progress of the models that leave, and returns the stack of the others."""
    if not leaving:
        return stack
    rows = sorted(leaving)
    # In a stack of their own: the final measurement must not show in the metrics of those that stay.
    ending = stack if len(rows) == len(stack.models) else stack.only(rows)
    ending.measure_end(clock)
    for row, (ended, where) in leaving.items():
        yield _progress(ending, rows.index(row), measured=True, ended=ended, where=where)
    return stack.without(leaving)


def _complete(stack: Stack, row: int) -> bool:
    return stack.epoch >= stack.models[row].config.epochs


def _obey(stack: Stack, row: int, command: Command | None) -> str | None:
    """Applies a command; tells whether the model's training ends here, and how."""
    stack.apply_planned_changes(row)  # one may have been planned that gives the run more epochs
    if command is not None:
        stack.change(row, command.params)
    if _complete(stack, row):
        return "complete"
    return "stopped" if command is not None and command.stop else None


def _progress(
    stack: Stack, row: int, *, measured: bool, ended: str | None = None, where: str | None = None
) -> Progress:
    model = stack.models[row]
    metrics = dict(model.metrics) if measured else {}
    return Progress(
        model.place, stack.step, stack.epoch, metrics, lambda: stack.checkpoint(row), ended, where, model.alarms
    )
