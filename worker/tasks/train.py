"""The task `train`: networks of the built-in trainer, from parameters to checkpoints; those of a stack side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from trainer.checkpoint import Checkpoint, CheckpointError
from trainer.config import ConfigError, TrainConfig, config_from
from trainer.data.datasets import DataError
from trainer.data.normalization import Normalization
from trainer.data.preparation import Data, prepare
from trainer.stack import useful_models
from trainer.streams.stream import PREFIX
from trainer.training import Command, Run, begin, resume
from worker.pipe import End, Job, Placed, Steer
from worker.tasks import stream
from worker.tasks.keeping import Kept
from worker.tasks.steering import LEFT, Trial

NOT_OPTIONS = frozenset({"kind", "checkpoints", "metric", "direction"})
"""What a task says beside the fields of TrainConfig."""

PULSE_S: Final = 0.25
"""So often a run looks within an epoch whether a checkpoint is due."""


def config_of(job: Job) -> TrainConfig:
    """The trainer's config of a trial: the task's fields, and over them the sampled parameters.

    Raises:
        ConfigError: an unknown field, or fields that do not fit together.
    """
    fields = {name: value for name, value in job.task.items() if name not in NOT_OPTIONS}
    return config_from(fields | dict(job.params))


def run(
    jobs: Sequence[Job], desired: Callable[[int], Steer], news: Callable[[], bool] = lambda: False
) -> Iterator[Placed]:
    """Trains trials of one shape; yields what each has to say, at last its last word, with its place in `jobs`.

    `desired` gives what is desired of a place now; it is asked at each epoch's end, after a step of which `news` says
    that it changed, and at the latest after PULSE_S. A stack that cannot be trained raises: alone, each of its trials
    tells its own reason.
    """
    try:
        configs = [config_of(job) for job in jobs]
        if configs[0].dataset.startswith(PREFIX):
            yield from _follow(jobs, configs, _Wishes(desired, news))
            return
        data = prepare(configs[0], jobs[0].data_dirs, _inputs(jobs[0]))
        begins = [_Begin(place, *each, data) for place, each in enumerate(zip(jobs, configs, strict=True))]
        # Mates beyond what the cache holds would slow each other down: they wait for their turn.
        size = useful_models(configs[0], data)
        for start in range(0, len(begins), size):
            yield from _train_together(begins[start : start + size], data, _Wishes(desired, news))
    except (ConfigError, DataError, CheckpointError) as error:
        if len(jobs) > 1:
            raise
        yield 0, End("failed", error=str(error))


def _follow(jobs: Sequence[Job], configs: Sequence[TrainConfig], wishes: _Wishes) -> Iterator[Placed]:
    """Raises ConfigError for a stack: alone, each of its trials waits for portions at its own pace."""
    if len(jobs) > 1:
        raise ConfigError("Trials that follow a stream do so by themselves.")
    yield from ((0, said) for said in stream.run(jobs[0], configs[0], lambda: wishes.desired(0), wishes.halt))


def _inputs(job: Job) -> Normalization | None:
    """Transfer goes on with the normalisation of its source, also after a restart."""
    if job.source is not None:
        return Checkpoint.from_bytes(job.source).normalization
    if job.task.get("start_from") is not None and job.start is not None:
        return Checkpoint.from_bytes(job.start).normalization
    return None


class _Wishes:
    """What is desired, and whether that changed."""

    def __init__(self, desired: Callable[[int], Steer], news: Callable[[], bool]) -> None:
        self.desired, self._news = desired, news

    def halt(self, _step: int) -> bool:
        return self._news()


class _Begin:
    """A trial's first checkpoint, made anew whenever it is asked for."""

    def __init__(self, place: int, job: Job, config: TrainConfig, data: Data) -> None:
        self.place, self.job, self.config, self.data = place, job, config, data
        self.from_scratch()  # refuses at once what cannot be trained

    def from_scratch(self) -> Checkpoint:
        source = None if self.job.source is None else Checkpoint.from_bytes(self.job.source)
        return begin(self.config, self.data, self.job.seed, source)

    def first(self) -> Checkpoint:
        return self.from_scratch() if self.job.start is None else Checkpoint.from_bytes(self.job.start)

    def trial(self) -> tuple[Trial, Checkpoint]:
        first, kept = self.first(), Kept(self.job.task, map(Checkpoint.from_bytes, self.job.kept))
        return Trial(self.place, self.job, first, kept), first


def _train_together(begins: Sequence[_Begin], data: Data, wishes: _Wishes) -> Iterator[Placed]:
    left = {one.place for one in begins if wishes.desired(one.place).leave}
    yield from ((place, LEFT) for place in left)
    begins = [one for one in begins if one.place not in left]
    if not begins:
        return
    trials, firsts = [], []
    for one in begins:
        trial, first = one.trial()
        said, first = trial.begun(first)
        yield from ((one.place, message) for message in said)
        trials.append(trial)
        firsts.append(first)
    going = resume(firsts, data, changes=[trial.planned for trial in trials], pulse=PULSE_S, halt=wishes.halt)
    yield from _steered(going, trials, begins, data, wishes)


def _steered(
    going: Run, trials: Sequence[Trial], begins: Sequence[_Begin], data: Data, wishes: _Wishes
) -> Iterator[Placed]:
    wish: Command | None = None
    while True:
        try:
            trained = going.send(wish)
        except StopIteration:
            return
        one, wish = trials[trained.model], None
        if trained.ended is not None:
            yield from ((one.place, last) for last in one.ended(trained, data))
            continue
        if trained.metrics:
            yield from ((one.place, progress) for progress in one.seen(trained))
        now = wishes.desired(one.place)
        if one.goes_back(now) and len(trials) > 1:
            wish = one.leave_stack()
        elif one.goes_back(now):
            start = begins[0].from_scratch() if now.content is None else Checkpoint.from_bytes(now.content)
            said, start = one.back(now, start)
            yield from ((one.place, message) for message in said)
            going = resume([start], data, pulse=PULSE_S, halt=wishes.halt)
        else:
            yield from ((one.place, saved) for saved in one.saved(trained))
            said, wish = one.obey(trained, now)
            yield from ((one.place, message) for message in said)
