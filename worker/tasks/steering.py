"""One trial on its way: what it keeps, reports and obeys between two steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from sturgeon.states import ToldState
from sturgeon.values import Json
from trainer.analysis import curves
from trainer.checkpoint import Checkpoint
from trainer.config import LIVE, steered
from trainer.data.preparation import Data
from trainer.training import Command, final_metrics
from trainer.training import Progress as Trained
from worker.child.protocol import (
    Applied,
    ChildMessage,
    DesiredRun,
    Finished,
    Job,
    LastWord,
    LeaveStack,
    Paused,
    Progress,
    SavedCheckpoint,
)
from worker.tasks.answers import Answers
from worker.tasks.findings import findings
from worker.tasks.keeping import CheckpointKeeper

LEFT = Finished("failed", error="Nobody waits for this trial any more.")
BACK = LeaveStack("It goes back to a checkpoint, and its stack peers do not.")


class Trial:
    """A trial in its place of a child.

    A run that goes on from a checkpoint first makes the changes again that its timeline has after it, each at its
    step; what is new since then counts from the step after the last of them, and after the step that an earlier run had
    reached when that was asked for.
    """

    def __init__(self, place: int, job: Job, first: Checkpoint, keeper: CheckpointKeeper) -> None:
        self.place, self.job, self._keeper = place, job, keeper
        self.planned: dict[int, Json] = {}
        self._obeyed = DesiredRun()
        self._new_from = 0
        if job.resume is not None:
            self._obeyed = DesiredRun(version=job.resume.version, rollback_generation=job.resume.leg)
            for change in job.resume.timeline:
                self.planned[change.step + 1] = self.planned.get(change.step + 1, {}) | change.params
                self._new_from = change.step
            self._new_from = max(self._new_from, job.resume.reached)
        self._epochs = first.config.epochs
        self._since_step, self._reported_version = first.step, self._obeyed.version
        self._withheld: Progress | None = None
        self._alarms: tuple[str, ...] = ()
        self._last_word: LastWord | None = None
        self._answers = Answers(looks=job.looks)

    def begun(self, first: Checkpoint) -> tuple[list[ChildMessage], Checkpoint]:
        """What was desired already at the hand-out, applied before the first step, over the changes of that step."""
        said: list[ChildMessage] = []
        now, live = self.job.desired, self.planned.pop(first.step + 1, {})
        if self._is_new(now, first.step) and not self.goes_back(now):
            said, new = self._take(now, first.step, lambda: first)
            live = live | new
        self._epochs = live.get("epochs", self._epochs)
        return said, dataclasses.replace(first, config=steered(first.config, live))

    def seen(self, trained: Trained) -> Iterator[ChildMessage]:
        """The epoch's Progress, unless the curve of so long a run does without it."""
        self._keeper.consider(trained)
        self._alarms = trained.alarms
        version = self._obeyed.version
        progress = self._progress(trained)
        if curves.shows_epoch(trained.epoch, self._epochs) or version != self._reported_version:
            self._reported_version, self._withheld = version, None
            yield self._answers.numbered(progress)
        else:
            self._withheld = progress

    def _progress(self, trained: Trained) -> Progress:
        return Progress(trained.step, trained.epoch, trained.metrics, self._obeyed.version, self._since_step)

    def desired_now(self, trained: Trained, desired: Callable[[], DesiredRun]) -> DesiredRun:
        """What is desired; after a report not before the run may train on."""
        return self._answers.wait(desired) if trained.metrics else desired()

    def saved(self, trained: Trained) -> list[SavedCheckpoint]:
        """The checkpoints that are due between these two steps."""
        return self._keeper.due(trained, self._obeyed.version)

    def goes_back(self, now: DesiredRun) -> bool:
        return now.rollback_generation > self._obeyed.rollback_generation

    def back(self, now: DesiredRun, start: Checkpoint) -> tuple[list[ChildMessage], Checkpoint]:
        """The checkpoint to go on from, in a new rollback generation, with what is desired now."""
        self._keeper.back_to(start.step)
        self.planned, self._new_from, self._withheld = {}, 0, None
        self._obeyed = dataclasses.replace(self._obeyed, rollback_generation=now.rollback_generation)
        said, live = self._take(now, start.step, lambda: start)
        return said, dataclasses.replace(start, config=steered(start.config, live))

    def leave_stack(self) -> Command:
        """It cannot go back while its stack peers go on."""
        self._last_word = BACK
        return Command(stop=True)

    def obey(self, trained: Trained, now: DesiredRun) -> tuple[list[ChildMessage], Command]:
        """What the trainer shall do, of what is desired now; new parameters count from the next step on."""
        if now.leave:
            self._last_word = LEFT
            return [], Command(stop=True)
        said: list[ChildMessage] = []
        live: Json = {}
        if self._is_new(now, trained.step):
            said, live = self._take(now, trained.step, trained.checkpoint)
        if self._obeyed.pause:
            self._last_word = Paused(trained.step)
            return [*said, self._keeper.saved(trained.checkpoint(), self._obeyed.version)], Command(live, stop=True)
        epoch_ended = bool(trained.metrics) or trained.waiting
        return said, Command(live, stop=self._obeyed.stop and epoch_ended)

    def _is_new(self, now: DesiredRun, step: int) -> bool:
        return now.version > self._obeyed.version and step >= self._new_from

    def _take(
        self, now: DesiredRun, step: int, checkpoint: Callable[[], Checkpoint]
    ) -> tuple[list[ChildMessage], Json]:
        """What is said of a new version, and the live parameters that it sets."""
        said: list[ChildMessage] = []
        if now.keep > self._obeyed.version:  # before it is applied: to be able to go back to before it
            said.append(self._keeper.saved(checkpoint(), self._obeyed.version, wanted=now.keep))
        self._obeyed, self._since_step = now, step
        live = {name: value for name, value in now.params.items() if name in LIVE}
        self._epochs = live.get("epochs", self._epochs)
        return [*said, Applied(now.version, step)], live

    def ended(self, trained: Trained, data: Data) -> Iterator[ChildMessage]:
        """The last epoch's Progress if it was withheld, and the last word."""
        if self._last_word is not None:
            yield self._last_word
            return
        if self._withheld is not None:
            yield self._answers.numbered(self._withheld)
        version = self._obeyed.version
        if trained.ended == "diverged":
            rest = self._keeper.rest(version)  # to go back to
            yield Finished("diverged", trained.step, trained.metrics, where=trained.where, checkpoints=rest)
            return
        state: ToldState = "pruned" if trained.ended == "stopped" and self._obeyed.pruned else "complete"
        # The metrics are those of one epoch's model, its test_error too, so that all of them agree.
        model, metrics = self._keeper.told or trained.checkpoint(), trained.metrics
        if model.step != trained.step:
            metrics = final_metrics(model, data) | {"seconds": trained.metrics["seconds"]}
        yield Finished(
            state,
            model.step,
            metrics,
            checkpoints=self._keeper.rest(version),
            findings=findings(model, metrics, data, self._alarms),
        )
