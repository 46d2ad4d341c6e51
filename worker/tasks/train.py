"""The task `train`: networks of the built-in trainer, from parameters to checkpoints; those of a stack side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from sturgeon.states import ToldState
from trainer import curves
from trainer.checkpoint import Checkpoint, CheckpointError
from trainer.config import LIVE, ConfigError, TrainConfig, config_from
from trainer.datasets import DataError
from trainer.preparation import Data, prepare
from trainer.stack import useful_models
from trainer.training import Progress as Trained
from trainer.training import Wish, final_metrics, train
from worker.pipe import End, Job, Placed, Progress, SavedCheckpoint, Steer
from worker.tasks.findings import findings

NOT_OPTIONS = frozenset({"kind", "checkpoints", "metric", "direction"})
"""What a task says beside the fields of TrainConfig."""

LEFT = End("failed", error="Nobody waits for this trial any more.")


def config_of(job: Job) -> TrainConfig:
    """The trainer's config of a trial: the task's fields, and over them the sampled parameters.

    Raises:
        ConfigError: an unknown field, or fields that do not fit together.
    """
    fields = {name: value for name, value in job.task.items() if name not in NOT_OPTIONS}
    return config_from(fields | dict(job.params))


def run(jobs: Sequence[Job], desired: Callable[[int], Steer]) -> Iterator[Placed]:
    """Trains trials of one shape; yields each epoch's Progress of each and at last its End, with its place in `jobs`.

    `desired` gives what is desired of a place now. A stack that cannot be trained raises: alone, each of its trials
    tells its own reason.
    """
    try:
        source = None if jobs[0].source is None else Checkpoint.from_bytes(jobs[0].source)
        configs = [config_of(job) for job in jobs]
        data = prepare(configs[0], jobs[0].data_dirs, None if source is None else source.normalization)
        trials = [_Trial(place, *each) for place, each in enumerate(zip(jobs, configs, strict=True))]
        # Mates beyond what the cache holds would slow each other down: they wait for their turn.
        size = useful_models(configs[0], data)
        for start in range(0, len(trials), size):
            yield from _train_together(trials[start : start + size], data, source, desired)
    except (ConfigError, DataError, CheckpointError) as error:
        if len(jobs) > 1:
            raise
        yield 0, End("failed", error=str(error))


def _train_together(
    trials: Sequence[_Trial], data: Data, source: Checkpoint | None, desired: Callable[[int], Steer]
) -> Iterator[Placed]:
    left = {one.place for one in trials if desired(one.place).leave}
    yield from ((place, LEFT) for place in left)
    trials = [one for one in trials if one.place not in left]
    if not trials:
        return
    going = train([one.config for one in trials], data, [one.job.seed for one in trials], source=source)
    wish: Wish | None = None
    while True:
        try:
            trained = going.send(wish)
        except StopIteration:
            return
        one = trials[trained.model]
        if trained.ended is None:
            yield from ((one.place, progress) for progress in one.seen(trained))
            wish = one.wish(trained.step, desired(one.place))
        else:
            yield from ((one.place, last) for last in one.ended(trained, data))
            wish = None


class _Trial:
    """One trial on its way: what it keeps, reports and obeys."""

    def __init__(self, place: int, job: Job, config: TrainConfig) -> None:
        self.place, self.job, self.config = place, job, config
        metric, maximize = job.task.get("metric", "dev_error"), job.task.get("direction") == "maximize"
        rule = job.task.get("checkpoints") or {"best": 0, "last": 0}
        self._kept = _Kept(**rule, metric=metric, maximize=maximize)
        self._epochs = config.epochs
        self._desired, self._since_step, self._told_version = Steer(), 0, 0
        self._withheld: Progress | None = None
        self._alarms: tuple[str, ...] = ()

    def seen(self, trained: Trained) -> Iterator[Progress]:
        """The epoch's Progress, unless the curve of so long a run does without it."""
        self._kept.consider(trained)
        self._alarms = trained.alarms
        version = self._desired.version
        progress = Progress(trained.step, trained.epoch, trained.metrics, version, self._since_step)
        if curves.kept(trained.epoch, self._epochs) or version != self._told_version:
            self._told_version, self._withheld = version, None
            yield progress
        else:
            self._withheld = progress

    def wish(self, step: int, desired: Steer) -> Wish:
        """What the trainer shall do, of what is desired now; new parameters count from the next step on."""
        changed = desired.version > self._desired.version
        self._desired = desired
        if not changed:
            return Wish(stop=desired.stop)
        self._since_step = step
        live = {name: value for name, value in desired.params.items() if name in LIVE}
        self._epochs = live.get("epochs", self._epochs)
        return Wish(live, desired.stop)

    def ended(self, trained: Trained, data: Data) -> Iterator[Progress | End]:
        """The last epoch's Progress if it was withheld, and the End."""
        if self._desired.leave:
            yield LEFT
            return
        if self._withheld is not None:
            yield self._withheld
        if trained.ended == "diverged":
            yield End("diverged", trained.step, trained.metrics, where=trained.where)
            return
        state: ToldState = "pruned" if trained.ended == "stopped" and self._desired.pruned else "complete"
        # The told metrics are those of the model that is kept, its test_error too, so that both agree.
        model, metrics = self._kept.best[0] if self._kept.best else trained.checkpoint(), trained.metrics
        if model.step != trained.step:
            metrics = final_metrics(model, data) | {"seconds": trained.metrics["seconds"]}
        found = findings(model, metrics, data, self._alarms)
        yield End(state, model.step, metrics, checkpoints=self._kept.saved(), findings=found)


class _Kept:
    """What the study's rule keeps: the `best` checkpoints by its metric, best first, and the `last`."""

    def __init__(self, best: int, last: int, metric: str, maximize: bool) -> None:
        self._most_best = best
        self._metric, self._sign = metric, -1.0 if maximize else 1.0
        self.best: list[Checkpoint] = []
        self.last: deque[Checkpoint] = deque(maxlen=last)

    def consider(self, trained: Trained) -> None:
        if not self._most_best and not self.last.maxlen:
            return
        checkpoint = trained.checkpoint()
        self.last.append(checkpoint)
        # Of equals the later one: so the last checkpoint is never as good as the best and yet another.
        self.best = sorted([checkpoint, *self.best], key=self._badness)[: self._most_best]

    def saved(self) -> tuple[SavedCheckpoint, ...]:
        chosen = {checkpoint.step: checkpoint for checkpoint in (*self.best, *self.last)}
        return tuple(
            SavedCheckpoint(c.step, c.epoch, c.metrics.get(self._metric), c.to_bytes()) for c in chosen.values()
        )

    def _badness(self, checkpoint: Checkpoint) -> float:
        """Less is better. Without the metric (no dev part) all count the same, and the latest is the best."""
        return self._sign * checkpoint.metrics.get(self._metric, 0.0)
