"""Which checkpoints of a run are kept, which is told, and when they are handed to the daemon while it goes on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from sturgeon.direction import sign_of
from sturgeon.messages import CheckpointRule
from sturgeon.values import Json
from trainer.checkpoint import Checkpoint
from trainer.training import Progress as Trained
from worker.child.protocol import SavedCheckpoint

SHARE_OF_TIME: Final = 0.02
"""So much of a run's time may go into writing checkpoints, at most."""

NOTHING: Final = CheckpointRule(best=0, last=0)


class CheckpointKeeper:
    """What the study's rule keeps: the `best` checkpoints by its metric, best first, and the `last`.

    Those of an earlier run, which this one goes on from, count among them. The best one is remembered whatever the rule
    keeps, where the study's `reduce` is best: it is what the trial tells. `clock` gives seconds.
    """

    def __init__(
        self,
        task: Json,
        earlier: Iterable[Checkpoint] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        rule = task.get("checkpoints")
        self._rule = NOTHING if rule is None else CheckpointRule.model_validate(rule)
        self._metric: str = task.get("metric", "dev_error")
        self._sign = sign_of(task.get("direction", "minimize"))
        self._tells_best = task.get("reduce", "best") == "best"
        self._clock, self._handed_at, self._cost_s = clock, clock(), 0.0
        self._ranked: list[Checkpoint] = []
        self.last: deque[Checkpoint] = deque(maxlen=self._rule.last)
        self._handed: set[int] = set()
        for checkpoint in sorted(earlier, key=lambda c: c.step):
            self._handed.add(checkpoint.step)
            if checkpoint.position == 0:  # between two epochs: it was measured
                self._consider(checkpoint)

    @property
    def best(self) -> list[Checkpoint]:
        return self._ranked[: self._rule.best]

    @property
    def told(self) -> Checkpoint | None:
        """The best so far where the trial tells its best epoch; None where it tells its last."""
        return self._ranked[0] if self._tells_best and self._ranked else None

    def consider(self, trained: Trained) -> None:
        """Take note of an epoch's end."""
        if self._rule.best or self._rule.last or self._tells_best:
            self._consider(trained.checkpoint())

    def _consider(self, checkpoint: Checkpoint) -> None:
        self.last.append(checkpoint)
        # Of equals the later one: so the last checkpoint is never as good as the best and yet another.
        most = max(self._rule.best, int(self._tells_best))
        self._ranked = sorted([checkpoint, *self._ranked], key=self._badness)[:most]

    def due(self, trained: Trained, version: int) -> list[SavedCheckpoint]:
        """What is to be handed over now: the best that were not, and then the newest, from which a run can go on."""
        now = self._clock()
        if not (self._rule.best or self._rule.last) or not self._is_due(trained, now):
            return []
        newest = trained.checkpoint()
        chosen = {c.step: c for c in (*self.best, newest) if c.step not in self._handed}
        saved = [self.saved(c, version) for c in sorted(chosen.values(), key=lambda c: c.step)]
        self._handed_at = self._clock()
        self._cost_s = self._handed_at - now
        return saved

    def _is_due(self, trained: Trained, now: float) -> bool:
        every = self._rule.every_epochs
        if trained.metrics and every is not None and trained.epoch % every == 0:
            return True
        return now - self._handed_at >= max(self._rule.every_s, self._cost_s / SHARE_OF_TIME)

    def rest(self, version: int) -> tuple[SavedCheckpoint, ...]:
        """At the end: all that the rule keeps and that was not handed over before."""
        chosen = {c.step: c for c in (*self.best, *self.last) if c.step not in self._handed}
        return tuple(self.saved(c, version) for c in chosen.values())

    def back_to(self, step: int) -> None:
        """Forget what came after this step: the run went back to it."""
        self._ranked = [c for c in self._ranked if c.step <= step]
        self.last = deque((c for c in self.last if c.step <= step), maxlen=self.last.maxlen)
        self._handed = {handed for handed in self._handed if handed <= step}

    def saved(self, checkpoint: Checkpoint, version: int, wanted: int = 0) -> SavedCheckpoint:
        """A checkpoint as it is handed over; one from the middle of an epoch has no value."""
        self._handed.add(checkpoint.step)
        value = checkpoint.metrics.get(self._metric) if checkpoint.position == 0 else None
        return SavedCheckpoint(checkpoint.step, checkpoint.epoch, value, checkpoint.to_bytes(), version, wanted)

    def _badness(self, checkpoint: Checkpoint) -> float:
        """Less is better. Without the metric (no dev part) all count the same, and the latest is the best."""
        return self._sign * checkpoint.metrics.get(self._metric, 0.0)
