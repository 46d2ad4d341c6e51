"""A model that follows a stream: it is measured on each portion as it comes, and then trained on it.

    run = follow(begin(...), stream)

A portion is to a stream what an epoch is to a data set. The Progress with a portion's metrics comes *before* the model
is trained on it: its errors are those of a model that has not seen it, and what is wished for then counts for this
portion already. Metrics whose names begin with train_ are those of the training before.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Collection, Generator, Mapping

from trainer.analysis.metrics import TRAIN_SAMPLE
from trainer.checkpoint import Checkpoint
from trainer.config import TrainConfig, steered
from trainer.data.preparation import Data
from trainer.stack import Changes, Stack, first_checkpoint, never
from trainer.streams.drift import Verdict
from trainer.streams.mixing import mixed, of_arrays
from trainer.streams.new_portion import is_sound, look_at
from trainer.streams.portions import Portion
from trainer.streams.state import Mix, StreamState, begun
from trainer.streams.statistics import InputStatistics
from trainer.streams.stream import Refused, Stream, beyond
from trainer.training import Notice, Portioned, Progress, Run, Wish


def first_of(
    config: TrainConfig, stream: Stream, seed: int, told: Collection[tuple[str, str]] = ()
) -> tuple[Checkpoint | None, list[Refused]]:
    """A model before its first step, as soon as there is a portion that says what its inputs and targets are; and the
    files that were refused, but for those (name, key) that were told already.

    Raises:
        ConfigError: a network that cannot be built.
    """
    portion, refused = stream.look((), told)
    if portion is None or stream.form is None:
        return None, refused
    state = begun(portion, stream.form)
    inputs = state.normalization(config, state.seen.and_of(portion.X))
    first = first_checkpoint(config, of_arrays(state, portion.X, portion.Y, inputs), seed)
    state = dataclasses.replace(state, refused=(*told, *((one.name, one.key) for one in refused)))
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
    """Goes on from a checkpoint, be it at the start, between two portions or amid one, as if never interrupted.

    `pulse` and `halt` are as in `train`. While no new portion is there `rest` is called, and then a Progress without
    metrics (`waiting`) is yielded. The run is complete after `config.epochs` portions, or when the stream has ended and
    all of it was trained on.

    Raises:
        DataError: a portion that it has taken and needs is gone. ConfigError: see `train`.
    """
    assert first.stream is not None
    stream.form = first.stream.form
    return _Following(first, stream, dict(changes or {}), (pulse, halt), rest, clock).run()


Step = Generator[Progress, Wish | None, bool]
"""A part of the run; gives whether it goes on."""


class _Following:
    """model: between two portions; during the training of one, as its training began."""

    def __init__(
        self,
        first: Checkpoint,
        stream: Stream,
        changes: dict[int, Mapping[str, object]],
        listening: tuple[float | None, Callable[[int], bool]],
        rest: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.model, self.stream, self.changes = first, stream, changes
        self.pulse, self.halt = listening
        self.rest, self.clock = rest, clock
        self.alarms: tuple[str, ...] = ()

    @property
    def state(self) -> StreamState:
        assert self.model.stream is not None
        return self.model.stream

    def run(self) -> Run:
        going = True
        while going:
            if self.state.mix is not None:
                going = yield from self._train()
            elif self.state.pending:
                self._take_changes()
                self._begin_training()
            elif self._complete():
                yield self._last("complete")
                return
            else:
                going = yield from self._next_portion()

    def _complete(self) -> bool:
        self._take_changes()
        return self.model.epoch >= self.model.config.epochs

    def _take_changes(self) -> None:
        """Those that are planned from the next step on."""
        if planned := self.changes.pop(self.model.step + 1, None):
            self._steer(planned)

    def _steer(self, params: Mapping[str, object]) -> None:
        if params:
            self.model = dataclasses.replace(self.model, config=steered(self.model.config, params))

    def _now(self, state: StreamState) -> None:
        self.model = dataclasses.replace(self.model, stream=state)

    def _begin_training(self) -> None:
        """Fixes how the last portion is trained on. What is forgotten counts no more for the normalisation, either."""
        state, mix = self.state, Mix.of(self.model.config)
        oldest = min(mix.forget_before, len(state.taken) - 1)
        if oldest > state.seen_since:
            seen = InputStatistics.nothing(state.form.inputs)
            for portion in self.stream.portions(state.taken[oldest:]):
                seen = seen.and_of(portion.X)
            state = dataclasses.replace(state, seen=seen, seen_since=oldest)
        norm = state.normalization(self.model.config, state.seen)
        self.model = dataclasses.replace(self.model, normalization=norm)
        self._now(dataclasses.replace(state, pending=False, mix=mix))

    def _next_portion(self) -> Step:
        ended = self.stream.ended()
        portion, refused = self.stream.look(self.state.taken, self.state.refused)
        notices = tuple(notice_of(one) for one in refused)
        self._remember(refused)
        if portion is not None:
            return (yield from self._measure(portion, notices))
        if notices:
            going = yield from self._heard(self._progress(waiting=True, notices=notices))
            return going
        if ended:
            yield self._last("complete")
            return False
        self.rest()
        return (yield from self._heard(self._progress(waiting=True)))

    def _remember(self, refused: list[Refused]) -> None:
        names = tuple((one.name, one.key) for one in refused)
        self._now(dataclasses.replace(self.state, refused=self.state.refused + names))

    def _heard(self, progress: Progress) -> Step:
        """Yields, and obeys."""
        wish = yield progress
        if wish is not None:
            self._steer(wish.params)
            if wish.stop:
                yield self._last("stopped")
                return False
        return True

    def _measure(self, portion: Portion, notices: tuple[Notice, ...]) -> Step:
        """The portion's metrics, from before its training, and what the watch says of it."""
        began = self.clock()
        look = look_at(self.model, self.stream, portion)
        if look.lost is not None and is_sound(self.model, self.stream):
            refused = beyond(portion, look.lost)
            self._remember([refused])
            return (yield from self._heard(self._progress(waiting=True, notices=(*notices, notice_of(refused)))))
        seconds = self.model.seconds + self.clock() - began
        metrics = self.model.metrics | look.told | {"epoch": float(self.model.epoch), "seconds": seconds}
        self.model = dataclasses.replace(look.model, seconds=seconds, metrics=metrics)
        if look.lost is not None:
            yield self._last("diverged", where=look.lost)
            return False
        if look.verdict.alarms:
            notices = (*notices, _drift_notice(portion, len(self.state.taken) - 1, look.verdict))
        return (yield from self._heard(self._progress(measured=look.measured, notices=notices)))

    def _train(self) -> Step:
        """Through the last portion, or what is left of it."""
        stack = Stack([self.model], [0], self._data(), [self.changes])
        while True:
            stack.take_changes(0)
            lost = stack.advance(self.pulse, self.clock, self.halt)
            if done := stack.position == 0:
                lost |= stack.measure(self.clock)
                self.alarms = stack.models[0].alarms
            if done or lost:
                self.changes = dict(stack.models[0].changes)
                self.model = self._amid(stack, mix=None if done else self.state.mix)
                self._now(dataclasses.replace(self.state, trained_on=min(TRAIN_SAMPLE, len(stack.data.train))))
            if lost:
                yield self._last("diverged", where=lost[0])
                return False
            if done:
                return True
            wish = yield self._progress(amid=stack)
            if wish is not None:
                stack.change(0, wish.params)
                if wish.stop:
                    self.model = self._amid(stack, self.state.mix)
                    yield self._last("stopped")
                    return False

    def _data(self) -> Data:
        assert self.state.mix is not None
        return mixed(self.stream, self.state, self.state.mix, self.model.normalization, self.model.seed)

    def _amid(self, stack: Stack, mix: Mix | None) -> Checkpoint:
        return dataclasses.replace(stack.checkpoint(0), stream=dataclasses.replace(self.state, mix=mix))

    def _progress(
        self,
        *,
        measured: Portioned | None = None,
        waiting: bool = False,
        notices: tuple[Notice, ...] = (),
        amid: Stack | None = None,
    ) -> Progress:
        model, mix = self.model, self.state.mix
        take = (lambda: model) if amid is None else (lambda: self._amid(amid, mix))
        step, epoch = (model.step, model.epoch) if amid is None else (amid.step, amid.epoch)
        metrics = dict(model.metrics) if measured else {}
        portion = measured if measured and measured.number else None
        return Progress(
            0, step, epoch, metrics, take, alarms=self.alarms, waiting=waiting, notices=notices, portion=portion
        )

    def _last(self, ended: str, where: str | None = None) -> Progress:
        """Its errors are those on the last portion, from before it was trained on."""
        model = self.model
        metrics = model.metrics | self.state.fresh | {"epoch": float(model.epoch), "seconds": model.seconds}
        return Progress(0, model.step, model.epoch, metrics, lambda: model, ended, where, self.alarms)


def notice_of(refused: Refused) -> Notice:
    """That a file was refused, and why."""
    told = hashlib.sha256(f"{refused.key}\0{refused.name}".encode(errors="surrogatepass")).hexdigest()
    detail = {"portion": refused.name, "reason": refused.why}
    detail |= {"sha256": refused.key} if len(refused.key) == len(told) else {}
    return Notice("portion_refused", f"portion_refused {told[:32]}", detail)


def _drift_notice(portion: Portion, number: int, verdict: Verdict) -> Notice:
    reason = f"{portion.name}: {'; '.join(verdict.sentences)}."
    detail = {"portion": portion.name, "portion_number": number, "tests": list(verdict.alarms), "reason": reason}
    return Notice("drift", f"drift {number}", detail)
