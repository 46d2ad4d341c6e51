"""The task `train`: one network of the built-in trainer, from parameters to checkpoints."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from sturgeon.states import ToldState
from trainer.checkpoint import Checkpoint
from trainer.config import LIVE, ConfigError, TrainConfig, config_from
from trainer.datasets import DataError
from trainer.preparation import Data, prepare
from trainer.training import Progress as Trained
from trainer.training import Wish, final_metrics, train
from worker.pipe import End, Job, Progress, SavedCheckpoint, Steer

NOT_OPTIONS = frozenset({"kind", "checkpoints", "metric", "direction"})
"""What a task says beside the fields of TrainConfig."""


def config_of(job: Job) -> TrainConfig:
    """The trainer's config of a trial: the task's fields, and over them the sampled parameters.

    Raises:
        ConfigError: an unknown field, or fields that do not fit together.
    """
    fields = {name: value for name, value in job.task.items() if name not in NOT_OPTIONS}
    return config_from(fields | dict(job.params))


def run(job: Job, steer: Callable[[], Steer]) -> Iterator[Progress | End]:
    """Trains; yields each epoch's Progress and at last an End. `steer` gives what is desired now."""
    try:
        config = config_of(job)
        data = prepare(config, job.data_dirs)
        yield from _train(job, config, data, steer)
    except (ConfigError, DataError) as error:
        yield End("failed", error=str(error))


def _train(job: Job, config: TrainConfig, data: Data, steer: Callable[[], Steer]) -> Iterator[Progress | End]:
    metric, maximize = job.task.get("metric", "dev_error"), job.task.get("direction") == "maximize"
    kept = _Kept(**(job.task.get("checkpoints") or {"best": 0, "last": 0}), metric=metric, maximize=maximize)
    going = train(config, data, job.seed)
    trained, desired, since_step = next(going), Steer(), 0
    while trained.ended is None:
        kept.consider(trained)
        yield Progress(trained.step, trained.epoch, trained.metrics, desired.version, since_step)
        before, desired = desired, steer()
        changed = desired.version > before.version
        since_step = trained.step if changed else since_step
        trained = going.send(Wish(_live(desired) if changed else {}, desired.stop))
    yield _end(trained, kept, data, pruned=desired.pruned)


def _live(desired: Steer) -> dict[str, object]:
    return {name: value for name, value in desired.params.items() if name in LIVE}


def _end(trained: Trained, kept: _Kept, data: Data, pruned: bool) -> End:
    if trained.ended == "diverged":
        return End("diverged", trained.step, trained.metrics, where=trained.where)
    state: ToldState = "pruned" if trained.ended == "stopped" and pruned else "complete"
    # The told metrics are those of the model that is kept, its test_error too, so that both agree.
    shown = kept.best[0] if kept.best else None
    if shown is None or shown.step == trained.step:
        return End(state, trained.step, trained.metrics, checkpoints=kept.saved())
    metrics = final_metrics(shown, data) | {"seconds": trained.metrics["seconds"]}
    return End(state, shown.step, metrics, checkpoints=kept.saved())


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
