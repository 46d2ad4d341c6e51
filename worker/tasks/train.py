"""The task `train`: networks of the built-in trainer, from parameters to checkpoints; those of a stack side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from sturgeon.messages import FindingKind
from sturgeon.values import Json
from trainer.checkpoint import Checkpoint
from trainer.config import ConfigError, TrainConfig, config_from
from trainer.data.encoding import Encoding
from trainer.data.errors import DataMissing
from trainer.data.normalization import Normalization
from trainer.data.places import find_below
from trainer.data.preparation import Data, prepare, require_metric
from trainer.refusal import Refusal
from trainer.stack import useful_models
from trainer.streams.stream import PREFIX
from trainer.training import Command, Run, begin, resume
from worker.child.protocol import DesiredRun, FindingsMessage, Finished, Job, PlacedMessage, Unable
from worker.child.versions import data_version
from worker.tasks import stream
from worker.tasks.keeping import CheckpointKeeper
from worker.tasks.steering import LEFT, Trial

NOT_OPTIONS = frozenset({"kind", "checkpoints", "metric", "direction", "reduce", "start_from_study"})
"""What a task says beside the fields of TrainConfig."""

PULSE_S: Final = 0.25
"""So often a run looks within an epoch whether a checkpoint is due."""


def config_of(job: Job) -> TrainConfig:
    """The trainer's config of a trial: the task's fields, and over them the sampled parameters.

    Raises: ConfigError (a field is unknown, or fields contradict each other).
    """
    fields = {name: value for name, value in job.task.items() if name not in NOT_OPTIONS}
    return config_from(fields | dict(job.params))


def run(
    jobs: Sequence[Job], desired: Callable[[int], DesiredRun], news: Callable[[], bool] = lambda: False
) -> Iterator[PlacedMessage]:
    """Trains trials of one shape; yields what each has to say, at last its last word, with its place in `jobs`.

    `desired` gives what is desired of a place now; it is asked at each epoch's end, after a step of which `news` says
    that it changed, and at the latest after PULSE_S. A stack that cannot be trained raises: alone, each of its trials
    tells its own reason.
    """
    try:
        configs = [config_of(job) for job in jobs]
        if configs[0].dataset.startswith(PREFIX):
            yield from _follow(jobs, configs, desired, news)
            return
        versions = _versions(configs[0], jobs[0])
        data = prepare(configs[0], jobs[0].data_dirs, *_inputs(jobs[0]))
        require_metric(data, jobs[0].task.get("metric"))
        found = FindingsMessage({"dataset": data.summary, **versions})
        beginnings = [_Beginning(place, *each, data) for place, each in enumerate(zip(jobs, configs, strict=True))]
        # More models than the cache holds would slow each other down: the others wait for their turn.
        size = useful_models(configs[0], data)
        for start in range(0, len(beginnings), size):
            yield from _train_together(beginnings[start : start + size], data, found, desired, news)
    except DataMissing as error:
        yield from ((place, Unable(str(error))) for place in range(len(jobs)))
    except Refusal as error:
        if len(jobs) > 1:
            raise
        yield 0, Finished("failed", error=str(error), retry=error.here_only)


def _follow(
    jobs: Sequence[Job], configs: Sequence[TrainConfig], desired: Callable[[int], DesiredRun], news: Callable[[], bool]
) -> Iterator[PlacedMessage]:
    """Alone, each trial of a stack waits for portions at its own pace.

    Raises: ConfigError (for a stack).
    """
    if len(jobs) > 1:
        raise ConfigError("Trials that follow a stream do so by themselves.")
    messages = stream.run(jobs[0], configs[0], lambda: desired(0), lambda _step: news())
    yield from ((0, message) for message in messages)


def _versions(config: TrainConfig, job: Job) -> dict[FindingKind, Json]:
    """The fingerprint of the data file, as a finding; nothing for data that come with the trainer."""
    kind, _, file = config.dataset.partition(":")
    if kind not in ("csv", "npz"):
        return {}
    return {"versions": {"data": data_version([find_below(file, job.data_dirs, file)])}}


def _inputs(job: Job) -> tuple[Normalization | None, Encoding | None]:
    """Transfer goes on with the inputs of its source, also after a restart."""
    transfers = {**job.task, **job.params}.get("start_from") is not None
    stored = job.source if job.source is not None else job.start if transfers else None
    if stored is None:
        return None, None
    source = Checkpoint.from_bytes(stored)
    return source.normalization, source.encoding


class _Beginning:
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
        first, keeper = self.first(), CheckpointKeeper(self.job.task, map(Checkpoint.from_bytes, self.job.stored))
        return Trial(self.place, self.job, first, keeper), first


def _train_together(
    beginnings: Sequence[_Beginning],
    data: Data,
    found: FindingsMessage,
    desired: Callable[[int], DesiredRun],
    news: Callable[[], bool],
) -> Iterator[PlacedMessage]:
    """found: what was found out about the data."""
    left = {beginning.place for beginning in beginnings if desired(beginning.place).leave}
    yield from ((place, LEFT) for place in left)
    beginnings = [beginning for beginning in beginnings if beginning.place not in left]
    if not beginnings:
        return
    yield from ((beginning.place, found) for beginning in beginnings)
    trials, firsts = [], []
    for beginning in beginnings:
        trial, first = beginning.trial()
        said, first = trial.begun(first)
        yield from ((trial.place, message) for message in said)
        trials.append(trial)
        firsts.append(first)
    going = resume(firsts, data, changes=[t.planned for t in trials], pulse=PULSE_S, halt=lambda _step: news())
    yield from _steered(going, trials, beginnings[0], desired, news)


def _steered(
    going: Run,
    trials: Sequence[Trial],
    beginning: _Beginning,
    desired: Callable[[int], DesiredRun],
    news: Callable[[], bool],
) -> Iterator[PlacedMessage]:
    """`beginning` is that of the first trial: of the only one, if it goes back."""
    command: Command | None = None
    while True:
        try:
            trained = going.send(command)
        except StopIteration:
            return
        trial, command = trials[trained.model], None
        if trained.ended is not None:
            yield from ((trial.place, last) for last in trial.ended(trained, beginning.data))
            continue
        if trained.metrics:
            yield from ((trial.place, progress) for progress in trial.seen(trained))
        now = trial.desired_now(trained, partial(desired, trial.place))
        if trial.goes_back(now) and len(trials) > 1:
            command = trial.leave_stack()
        elif trial.goes_back(now):
            start = beginning.from_scratch() if now.content is None else Checkpoint.from_bytes(now.content)
            said, start = trial.back(now, start)
            yield from ((trial.place, message) for message in said)
            going = resume([start], beginning.data, pulse=PULSE_S, halt=lambda _step: news())
        else:
            yield from ((trial.place, saved) for saved in trial.saved(trained))
            said, command = trial.obey(trained, now)
            yield from ((trial.place, message) for message in said)
