"""The task `train` on a stream: a model that follows a folder of portions, for as long as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Final, NamedTuple

from sturgeon.states import ToldState
from trainer.checkpoint import Checkpoint
from trainer.config import TrainConfig
from trainer.data.errors import DataError
from trainer.data.summary import stream_summary
from trainer.following import begin_stream, follow, refusal_notice
from trainer.streams.stream import Stream, find_stream
from trainer.training import Command, Notice
from trainer.training import Progress as Trained
from worker.child.protocol import ChildMessage, DesiredRun, FindingsMessage, Finished, Job, Paused, RunEventMessage
from worker.tasks.answers import PORTION_UNANSWERED, Answers
from worker.tasks.keeping import CheckpointKeeper
from worker.tasks.recent_findings import RecentFindings, plain
from worker.tasks.steering import LEFT, Trial

PULSE_S: Final = 0.25
"""So often a run listens within a portion, and looks for a new one."""


def run(
    job: Job, config: TrainConfig, desired: Callable[[], DesiredRun], halt: Callable[[int], bool]
) -> Iterator[ChildMessage]:
    """Follows the stream; yields what the trial has to say, at last its last word.

    Raises: DataError (there is no such folder, or a portion that the run has used is gone), ConfigError.
    """
    stream = find_stream(config.dataset, job.data_dirs, config.loss)
    first = None if job.start is None else Checkpoint.from_bytes(job.start)
    if first is None:
        first = yield from _first(config, stream, job, desired)
        if first is None:
            return
    form = first.stream.form if first.stream is not None else None
    if form is not None:
        yield FindingsMessage({"dataset": stream_summary(config.dataset, form.kind, form.inputs, form.names)})
    # Of errors on different portions none is the best; the newest model is the one that counts.
    task = dict(job.task) | {"metric": None, "reduce": "last"}
    if task.get("checkpoints") is not None:
        task["checkpoints"] = dict(task["checkpoints"]) | {"best": 0}
    trial = _Follower(job, first, CheckpointKeeper(task, map(Checkpoint.from_bytes, job.stored)))
    said, first = trial.begun(first)
    yield from said
    scratch = _Scratch(config, stream, job.seed)
    yield from _steered(trial, first, scratch, desired, halt)


def _first(
    config: TrainConfig, stream: Stream, job: Job, desired: Callable[[], DesiredRun]
) -> Generator[ChildMessage, None, Checkpoint | None]:
    """The model as it begins, as soon as there is a portion; None after a last word without one."""
    reported: list[str] = []
    while True:
        ended = stream.ended()
        first, refused = begin_stream(config, stream, job.seed, reported)
        reported += [file.short for file in refused]
        yield from (_event_message(refusal_notice(portion)) for portion in refused)
        if first is not None:
            return first
        now = desired()
        if now.leave:
            yield LEFT
        elif now.pause:
            yield Paused(0)
        elif now.stop or (ended and not refused):
            why = "it was stopped" if now.stop else "the stream ended"
            yield Finished(
                "failed", error=f"No portion that can be trained on had come to {stream.folder.name} when {why}."
            )
        else:
            _rest()
            continue
        return None


def _steered(
    trial: _Follower,
    first: Checkpoint,
    scratch: _Scratch,
    desired: Callable[[], DesiredRun],
    halt: Callable[[int], bool],
) -> Iterator[ChildMessage]:
    followed = partial(follow, stream=scratch.stream, pulse=PULSE_S, halt=halt, rest=_rest)
    going = followed(first, changes=trial.planned)
    command: Command | None = None
    while True:
        try:
            trained = going.send(command)
        except StopIteration:
            return
        command = None
        yield from map(_event_message, trained.notices)
        if trained.ended is not None:
            yield from trial.last_words(trained)
            continue
        if trained.metrics:
            yield from trial.seen(trained)
        now = trial.desired_now(trained, desired)
        yield from trial.findings()
        if trial.goes_back(now):
            start = scratch.begin() if now.content is None else Checkpoint.from_bytes(now.content)
            said, start = trial.back(now, start)
            yield from said
            going = followed(start)
        else:
            yield from trial.saved(trained)
            said, command = trial.obey(trained, now)
            yield from said


class _Scratch(NamedTuple):
    """What a run begins again with, that goes back to its very start."""

    config: TrainConfig
    stream: Stream
    seed: int

    def begin(self) -> Checkpoint:
        first, _ = begin_stream(self.config, self.stream, self.seed)
        if first is None:
            raise DataError(f"No portion is left in {self.stream.folder.name} to begin with again.")
        return first


def _rest() -> None:
    time.sleep(PULSE_S)


class _Follower(Trial):
    """A trial whose portions are all reported, and whose newest model is what it comes to."""

    def __init__(self, job: Job, first: Checkpoint, keeper: CheckpointKeeper) -> None:
        super().__init__(0, job, first, keeper)
        self._answers = Answers(PORTION_UNANSWERED)
        self._recent = RecentFindings(first.class_names, first.config.known_error)

    def seen(self, trained: Trained) -> Iterator[ChildMessage]:
        self._keeper.consider(trained)
        self._recent.see(trained)
        yield self._answers.numbered(self._progress(trained))

    def findings(self) -> Iterator[ChildMessage]:
        """What is to be reported of the portions so far."""
        if findings := self._recent.due():
            yield FindingsMessage(findings)

    def last_words(self, trained: Trained) -> Iterator[ChildMessage]:
        if self._last_word is not None:
            yield self._last_word
            return
        self._keeper.consider(trained)
        rest = self._keeper.rest(self._obeyed.version)
        state: ToldState = "diverged" if trained.ended == "diverged" else "complete"
        if trained.ended == "stopped" and self._obeyed.pruned:
            state = "pruned"
        yield Finished(
            state, trained.step, trained.metrics, where=trained.where, checkpoints=rest, findings=self._recent.rest()
        )


def _event_message(notice: Notice) -> RunEventMessage:
    detail = {name: plain(value) if isinstance(value, str) else value for name, value in notice.detail.items()}
    return RunEventMessage(notice.kind, plain(notice.key), detail)
