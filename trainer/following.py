"""Training on a stream: the model is measured on each portion as it comes, and then trained on it.

    first, refused = begin_stream(config, stream, seed)
    run = follow(first, stream)

A portion is to a stream what an epoch is to a data set. The Progress with a portion's metrics comes *before* the model
is trained on the portion: the errors are those of a model that has not seen it, and the Command that answers this
Progress counts for this portion already. Metrics whose names begin with train_ are those of the training before.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Generator, Mapping

from trainer.analysis.metrics import TRAIN_SAMPLE
from trainer.checkpoint import Checkpoint
from trainer.config import TrainConfig, steered
from trainer.data.preparation import Data
from trainer.model import Changes, first_checkpoint
from trainer.new_portion import Measurement, finite_on_last_portion, measure_portion
from trainer.stack import Stack, never
from trainer.streams.drift import Verdict
from trainer.streams.mixing import data_from_arrays, mixed_data
from trainer.streams.portions import Portion
from trainer.streams.records import refusal_hash
from trainer.streams.state import Mix, StreamState, initial_state
from trainer.streams.statistics import InputStatistics
from trainer.streams.stream import RefusedFile, Stream, refused_as_not_finite
from trainer.training import Command, MeasuredPortion, Notice, Progress, Run


def begin_stream(
    config: TrainConfig, stream: Stream, seed: int, reported: Collection[str] = ()
) -> tuple[Checkpoint | None, list[RefusedFile]]:
    """A model before its first step, and the files that were refused on the way to it.

    The first portion says what the inputs and targets are: the model is None until it is there. reported: the refusals
    (`RefusedFile.short`) that need not be reported again.

    Raises: ConfigError (a network that cannot be built).
    """
    portion, refused = stream.next_portion((), reported)
    if portion is None or stream.form is None:
        return None, refused
    state = initial_state(portion, stream.form)
    inputs = state.normalization(config, state.statistics.including(portion.X))
    first = first_checkpoint(config, data_from_arrays(state, portion.X, portion.Y, inputs), seed)
    state = dataclasses.replace(state, refused=(*reported, *(file.short for file in refused)))
    return dataclasses.replace(first, stream=state), refused


def follow(
    first: Checkpoint,
    stream: Stream,
    *,
    changes: Changes | None = None,
    pulse: float | None = None,
    halt: Callable[[int], bool] = never,
    rest: Callable[[], None] = lambda: time.sleep(0.25),
    clock: Callable[[], float] = time.perf_counter,
) -> Run:
    """Goes on from a checkpoint as if the run had never been interrupted: from its start, between two portions, or in
    the middle of one.

    `pulse` and `halt` are as in `train`. While there is no new portion, `rest` is called, and then a Progress without
    metrics (`waiting`) is yielded. The run is complete after `config.epochs` portions, or when the stream has ended and
    all its portions were trained on.

    Raises: DataError (a portion that the run has seen and needs again is gone), ConfigError (see `train`).
    """
    assert first.stream is not None
    stream.form = first.stream.form
    return _StreamRun(first, stream, dict(changes or {}), (pulse, halt), rest, clock).run()


Stage = Generator[Progress, Command | None, bool]
"""A part of the run; returns whether the run goes on."""


class _StreamRun:
    """model: between two portions the present one; during the training of a portion the one with which it began."""

    def __init__(
        self,
        first: Checkpoint,
        stream: Stream,
        changes: dict[int, Mapping[str, object]],
        pauses: tuple[float | None, Callable[[int], bool]],
        rest: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.model, self.stream, self.changes = first, stream, changes
        self.pulse, self.halt = pauses
        self.rest, self.clock = rest, clock
        self.alarms: tuple[str, ...] = ()

    @property
    def state(self) -> StreamState:
        assert self.model.stream is not None
        return self.model.stream

    def run(self) -> Run:
        running = True
        while running:
            if self.state.mix is not None:
                running = yield from self._train()
            elif self.state.pending:
                self._apply_planned_changes()
                self._begin_training()
            elif self._complete():
                yield self._end("complete")
                return
            else:
                running = yield from self._next_portion()

    def _complete(self) -> bool:
        self._apply_planned_changes()
        return self.model.epoch >= self.model.config.epochs

    def _apply_planned_changes(self) -> None:
        """Applies the changes that are planned from the next step on."""
        if planned := self.changes.pop(self.model.step + 1, None):
            self._steer(planned)

    def _steer(self, params: Mapping[str, object]) -> None:
        if params:
            self.model = dataclasses.replace(self.model, config=steered(self.model.config, params))

    def _set_state(self, state: StreamState) -> None:
        self.model = dataclasses.replace(self.model, stream=state)

    def _begin_training(self) -> None:
        """Fixes how the last portion is trained on. Forgotten portions no longer count for the normalisation either."""
        state, mix = self.state, Mix.from_config(self.model.config)
        oldest = min(mix.forget_before, len(state.portions) - 1)
        if oldest > state.statistics_since:
            statistics = InputStatistics.empty(state.form.inputs)
            for portion in self.stream.portions(state.portions[oldest:]):
                statistics = statistics.including(portion.X)
            state = dataclasses.replace(state, statistics=statistics, statistics_since=oldest)
        inputs = state.normalization(self.model.config, state.statistics)
        self.model = dataclasses.replace(self.model, normalization=inputs)
        self._set_state(dataclasses.replace(state, pending=False, mix=mix))

    def _next_portion(self) -> Stage:
        ended = self.stream.ended()
        portion, refused = self.stream.next_portion(self.state.portions, self.state.refused)
        notices = tuple(refusal_notice(file) for file in refused)
        self._remember(refused)
        if portion is not None:
            return (yield from self._measure(portion, notices))
        if notices:
            return (yield from self._report(self._progress(waiting=True, notices=notices)))
        if ended:
            yield self._end("complete")
            return False
        self.rest()
        return (yield from self._report(self._progress(waiting=True)))

    def _remember(self, refused: list[RefusedFile]) -> None:
        shorts = tuple(file.short for file in refused)
        self._set_state(dataclasses.replace(self.state, refused=self.state.refused + shorts))

    def _report(self, progress: Progress) -> Stage:
        """Yields the progress, and obeys the command that answers it."""
        command = yield progress
        if command is not None:
            self._steer(command.params)
            if command.stop:
                yield self._end("stopped")
                return False
        return True

    def _measure(self, portion: Portion, notices: tuple[Notice, ...]) -> Stage:
        """Reports the portion's metrics, from before its training, and an alarm of the drift tests."""
        began = self.clock()
        measurement = measure_portion(self.model, self.stream, portion)
        not_finite = measurement.not_finite
        if not_finite is not None and finite_on_last_portion(self.model, self.stream):
            refused = refused_as_not_finite(portion, not_finite)
            self._remember([refused])
            notices = (*notices, refusal_notice(refused))
            return (yield from self._report(self._progress(waiting=True, notices=notices)))
        self._take_measurement(measurement, self.model.seconds + self.clock() - began)
        if not_finite is not None:
            yield self._end("diverged", where=not_finite)
            return False
        if measurement.verdict.alarms:
            notices = (*notices, _drift_notice(portion, len(self.state.portions) - 1, measurement.verdict))
        return (yield from self._report(self._progress(measured=measurement.measured, notices=notices)))

    def _take_measurement(self, measurement: Measurement, seconds: float) -> None:
        metrics = self.model.metrics | measurement.metrics
        metrics |= {"epoch": float(self.model.epoch), "seconds": seconds}
        self.model = dataclasses.replace(measurement.model, seconds=seconds, metrics=metrics)

    def _train(self) -> Stage:
        """Trains on the last portion, or on what is left of it."""
        stack = Stack([self.model], [0], self._data(), [self.changes])
        while True:
            stack.apply_planned_changes(0)
            diverged = stack.advance(self.pulse, self.clock, self.halt).diverged
            if done := stack.position == 0:
                diverged |= stack.measure_epoch(self.clock)
                self.alarms = stack.models[0].alarms
            if done or diverged:
                self._leave_training(stack, None if done else self.state.mix)
            if diverged:
                yield self._end("diverged", where=diverged[0])
                return False
            if done:
                return True
            command = yield self._progress(training=stack)
            if command is not None:
                stack.change(0, command.params)
                if command.stop:
                    self.model = self._checkpoint(stack, self.state.mix)
                    yield self._end("stopped")
                    return False

    def _leave_training(self, stack: Stack, mix: Mix | None) -> None:
        self.changes = dict(stack.models[0].changes)
        self.model = self._checkpoint(stack, mix)
        self._set_state(dataclasses.replace(self.state, trained_on=min(TRAIN_SAMPLE, len(stack.data.train))))

    def _data(self) -> Data:
        assert self.state.mix is not None
        return mixed_data(self.stream, self.state, self.state.mix, self.model.normalization, self.model.seed)

    def _checkpoint(self, stack: Stack, mix: Mix | None) -> Checkpoint:
        """The model in a stack that trains on the last portion."""
        return dataclasses.replace(stack.checkpoint(0), stream=dataclasses.replace(self.state, mix=mix))

    def _progress(
        self,
        *,
        measured: MeasuredPortion | None = None,
        waiting: bool = False,
        notices: tuple[Notice, ...] = (),
        training: Stack | None = None,
    ) -> Progress:
        model, mix = self.model, self.state.mix
        checkpoint = (lambda: model) if training is None else (lambda: self._checkpoint(training, mix))
        step, epoch = (model.step, model.epoch) if training is None else (training.step, training.epoch)
        metrics = dict(model.metrics) if measured else {}
        portion = measured if measured and measured.number else None
        return Progress(
            0, step, epoch, metrics, checkpoint, alarms=self.alarms, waiting=waiting, notices=notices, portion=portion
        )

    def _end(self, ended: str, where: str | None = None) -> Progress:
        """The last Progress. Its errors are those on the last portion, from before it was trained on."""
        model = self.model
        metrics = model.metrics | self.state.fresh_metrics | {"epoch": float(model.epoch), "seconds": model.seconds}
        return Progress(0, model.step, model.epoch, metrics, lambda: model, ended, where, self.alarms)


def refusal_notice(refused: RefusedFile) -> Notice:
    """The notice that a file was refused, and why."""
    key = refusal_hash(refused.name, refused.key)
    detail = {"portion": refused.name, "reason": refused.why}
    detail |= {"sha256": refused.key} if len(refused.key) == len(key) else {}
    return Notice("portion_refused", f"portion_refused {key[:32]}", detail)


def _drift_notice(portion: Portion, number: int, verdict: Verdict) -> Notice:
    reason = f"{portion.name}: {'; '.join(verdict.sentences)}."
    detail = {"portion": portion.name, "portion_number": number, "tests": list(verdict.alarms), "reason": reason}
    return Notice("drift", f"drift {number}", detail)
