"""Training: a generator of progress, so that the caller may look, steer and stop between steps.

    run = train(config, data, seed)
    for progress in run:
        print(progress.step, progress.metrics)

or, to steer, `progress = run.send(Wish({"learning_rate": 0.0003}))` instead of the loop's `next(run)`. One
config trains one model; several configs of one shape train side by side, each with the same results, bit for
bit, that it has alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field

from trainer.analysis.error_analysis import Judged
from trainer.checkpoint import Checkpoint
from trainer.config import TrainConfig
from trainer.data.preparation import Data
from trainer.stack import Changes, Stack, first_checkpoint, never
from trainer.transfer import transferred


@dataclass(frozen=True)
class Wish:
    """What the caller wants of a model: live hyperparameters to change from the next step on, or that it
    stops.
    """

    params: Mapping[str, object] = field(default_factory=dict)
    stop: bool = False


@dataclass(frozen=True)
class Notice:
    """Something that happened to a run, beside its metrics; key: the same happening told twice has the same."""

    kind: str
    key: str
    detail: Mapping[str, object]


@dataclass(frozen=True)
class Portioned:
    """A stream's portion as a model took it that had trained on those before it.

    number: of the portion; first_row: examples that came before it. trained_on: so many examples is train_error of.
    judged: where its targets are classes; their rows count from the stream's beginning.
    """

    name: str
    number: int
    first_row: int
    trained_on: int
    judged: Judged | None


@dataclass(frozen=True)
class Progress:
    """Where one model stands, between two steps.

    model: its place in the arguments of `train`; step: steps done; epoch: epochs finished. metrics:
        train_loss, train_error, dev_loss, dev_error (not without a dev part), epoch, seconds; when it has
        ended test_error too; none in a pulse.
    checkpoint: takes a Checkpoint; to be called before the run goes on.
    ended: None while it trains, then complete, stopped or diverged; where: the layer in which it diverged.
    waiting: it follows a stream, and the next portion is not there yet. notices: what happened since the last.
    portion: with the metrics of a stream's portion, but for the first, which a model meets untrained.
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
    portion: Portioned | None = field(default=None, repr=False)


Run = Generator[Progress, Wish | None, None]


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
    """Trains one model or a stack of them; yields the Progress of each at every epoch's end, and at its own
    end.

    Every `pulse` seconds (never, if None), and after each step of which `halt` is true, a Progress without
    metrics is yielded between two steps, so that a long epoch can be steered, too. What is sent into the
    generator is the Wish for the model just yielded; it takes effect from the next step on, the one after
    `progress.step`. `changes`, for each model, are applied at the steps they name. The last Progress of a model
    has `ended` set, the same step as the one before, and the final metrics. source: the model whose layers to
    start from (config.start_from says which; see `transfer`).

    Raises:
        ConfigError: configs of different shapes; a source that does not fit; when a change or a wish comes to
            be applied, one for a field that is unknown or not live.
    """
    listed = [configs] if isinstance(configs, TrainConfig) else list(configs)
    numbers = [seeds] if isinstance(seeds, int) else list(seeds)
    first = [begin(config, data, seed, source) for config, seed in zip(listed, numbers, strict=True)]
    return resume(first, data, changes=changes, pulse=pulse, halt=halt, clock=clock)


def begin(config: TrainConfig, data: Data, seed: int, source: Checkpoint | None = None) -> Checkpoint:
    """A model before its first step, with the layers of the source if there is one.

    Raises:
        ConfigError: a source that does not fit.
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

    Raises:
        ConfigError: as `train`, and checkpoints at different steps.
    """
    listed = changes or [{}] * len(checkpoints)
    return _drive(Stack(checkpoints, range(len(checkpoints)), data, listed), pulse, halt, clock)


def final_metrics(checkpoint: Checkpoint, data: Data) -> dict[str, float]:
    """What a run that ended at this checkpoint would have told: its errors on all of train, and its test_error."""
    stack = Stack([checkpoint], [0], data, [{}])
    stack.measure(time.perf_counter, final=True)
    return stack.models[0].metrics


Leaving = dict[int, tuple[str, str | None]]
"""Rows of a stack whose training ends, with how and where."""


def _drive(begun: Stack, pulse: float | None, halt: Callable[[int], bool], clock: Callable[[], float]) -> Run:
    for row in range(len(begun.models)):
        begun.take_changes(row)
    done: Leaving = {row: ("complete", None) for row in range(len(begun.models)) if _complete(begun, row)}
    stack = yield from _let_go(begun, done, clock)
    while stack is not None:
        lost = stack.advance(pulse, clock, halt)
        epoch_ended = stack.position == 0
        if epoch_ended:
            lost |= stack.measure(clock)
        leaving: Leaving = {row: ("diverged", where) for row, where in lost.items()}
        for row in range(len(stack.models)):
            if row not in lost and (epoch_ended or not lost):
                wish = yield _progress(stack, row, measured=epoch_ended)
                if ended := _obey(stack, row, wish):
                    leaving[row] = (ended, None)
        stack = yield from _let_go(stack, leaving, clock)


def _let_go(
    stack: Stack, leaving: Leaving, clock: Callable[[], float]
) -> Generator[Progress, Wish | None, Stack | None]:
    """Yields the last Progress of the models that leave, and gives the stack of the others."""
    if not leaving:
        return stack
    stack.measure(clock, final=True)
    for row, (ended, where) in leaving.items():
        yield _progress(stack, row, measured=True, ended=ended, where=where)
    return stack.without(leaving)


def _complete(stack: Stack, row: int) -> bool:
    return stack.epoch >= stack.models[row].config.epochs


def _obey(stack: Stack, row: int, wish: Wish | None) -> str | None:
    """Applies a wish; tells whether the model's training ends here, and how."""
    stack.take_changes(row)  # one may have been planned that gives the run more epochs
    if wish is not None:
        stack.change(row, wish.params)
    if _complete(stack, row):
        return "complete"
    return "stopped" if wish is not None and wish.stop else None


def _progress(
    stack: Stack, row: int, *, measured: bool, ended: str | None = None, where: str | None = None
) -> Progress:
    model = stack.models[row]
    metrics = dict(model.metrics) if measured else {}
    return Progress(
        model.place, stack.step, stack.epoch, metrics, lambda: stack.checkpoint(row), ended, where, model.alarms
    )
