"""The checkpoint folder of a trial that this process runs: restored when it is first asked for, uploaded when whole."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sturgeon import messages as m
from sturgeon.client import Client
from sturgeon.direction import Direction
from sturgeon.errors import LeaseLost, Problem, SturgeonError, TrialFinished
from sturgeon.folder_keeping import FolderKeeper, Packed
from sturgeon.temporary import TemporaryFolder, sweep_once
from sturgeon.trial_process import folder_state

KIND: Final = "sturgeon-loop-"
"""How the folder of a trial begins, in that for temporary files."""

log = logging.getLogger("sturgeon")


class Reached:
    """What the trial has reported so far. metric: the study's; last: the last value of each metric."""

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self.last: dict[str, float] = {}
        self.reported: int | None = None
        """The newest step."""
        self.epoch: float | None = None

    @property
    def step(self) -> int:
        return self.reported or 0

    @step.setter
    def step(self, step: int) -> None:
        self.reported = step

    def value_at(self, step: int) -> float | None:
        """The study's metric, where it was reported of this very step just now."""
        value = self.last.get(self._metric) if step == self.reported else None
        return value if value is None or math.isfinite(value) else None

    def memory(self, step: int) -> dict[str, object]:
        """What a run has to know that goes on from a checkpoint of this step; as `worker/own/curve.py` has it."""
        last = {name: value for name, value in self.last.items() if math.isfinite(value)}
        told = [self.step, self.epoch, last] if self._metric in last and self.step <= step else None
        return {"step": step, "epoch": self.epoch, "told": told}

    def remember(self, step: int, memory: Mapping[str, object]) -> None:
        """Go on from a checkpoint of this step with what `memory` gave; what makes no sense is left."""
        self.reported = step
        match memory:
            case {"told": [int(), _, dict(metrics)]}:
                self.last = {
                    str(name): float(v) for name, v in metrics.items() if isinstance(v, int | float)
                } | self.last
        match memory:
            case {"epoch": int(epoch) | float(epoch)}:
                self.epoch = float(epoch)


class TrialFolder:
    """A folder of this process, deleted at the trial's end. rule: which checkpoints are kept, and how often one is
    uploaded; reached: what the trial reports."""

    def __init__(
        self, client: Client, lease: m.Lease, rule: m.CheckpointRule, direction: Direction, reached: Reached
    ) -> None:
        self._client, self._lease, self._reached = client, lease, reached
        sweep_once(KIND)
        self._place = TemporaryFolder(KIND)
        place = self._place.path
        self._keeper = FolderKeeper(rule, direction, place / "checkpoint", place / "packed.tar", self)
        self.wanted = lease.desired.checkpoint
        """The newest version for which a checkpoint was kept, or that needs none."""
        try:
            self._begin()
        except BaseException:
            self.delete()
            raise

    @property
    def path(self) -> Path:
        return self._keeper.folder

    def _begin(self) -> None:
        """The folder as the run begins with it.

        Raises: NotFound (the server has lost the checkpoint), Damaged (it is no folder), SturgeonError, OSError.
        """
        resume = self._lease.resume
        if resume is None or resume.sha256 is None:
            self._keeper.begin(None, 0, 0 if resume is None else resume.version)
            return
        content = self._client.checkpoint(self._lease.study, resume.number, resume.step)
        if hashlib.sha256(content).hexdigest() != resume.sha256:
            raise SturgeonError(f"The checkpoint of step {resume.step} came here as another one than it is.")
        memory = self._keeper.begin(content, resume.step, resume.version)
        self._reached.remember(resume.step, memory)

    def saved(self, step: int, version: int, wanted: int) -> None:
        """The folder is whole at this step: upload it, if that is due or a version above `self.wanted` wants it.

        Raises: LeaseLost, TrialFinished.
        """
        self._keeper.said_saved(step, folder_state(self.path))
        self.look(version, wanted)

    def look(self, version: int, wanted: int) -> None:
        """Upload the folder if it is due and whole. Raises: LeaseLost, TrialFinished."""
        if wanted > self.wanted:
            self._keeper.want()
        packed = self._keeper.due(self._reached, version)
        if packed is not None:
            self._upload(packed._replace(wanted=wanted if wanted > self.wanted else 0))

    def keep_newest(self, wanted: int) -> None:
        """Upload the newest checkpoint again, if there is one, for this version. Raises: LeaseLost, TrialFinished."""
        packed = self._keeper.newest(wanted)
        if packed is not None:
            self._upload(packed)

    def at_end(self, version: int, *, is_clean: bool) -> None:
        """Upload what is new in the folder, if it is whole. Raises: LeaseLost, TrialFinished."""
        packed = self._keeper.at_end(self._reached, version, is_clean=is_clean)
        if packed is not None:
            self._upload(packed)

    def _upload(self, packed: Packed) -> None:
        step, epoch, value, content, version, wanted = packed
        study, number, fence = self._lease.study, self._lease.number, self._lease.fence
        try:
            self._client.put_checkpoint(study, number, step, content, fence, epoch, value, version, wanted)
        except (LeaseLost, TrialFinished):
            raise
        except Problem as error:  # the trial itself can go on without it
            self.note(f"the checkpoint of step {step} was not stored: {error}")
        else:
            self.wanted = max(self.wanted, wanted)

    def note(self, sentence: str) -> None:
        log.warning("trial %s of %s: %s", self._lease.number, self._lease.study, sentence)

    def delete(self) -> None:
        self._place.delete()


def rule_of(task: Mapping[str, object] | None) -> m.CheckpointRule | None:
    """How the trials of a study with this task keep checkpoint folders; None where they have none."""
    if task is None:
        return m.CheckpointRule()
    if task["kind"] not in m.OWN_KINDS or task["checkpoints"] is None:
        return None
    return m.CheckpointRule.model_validate(task["checkpoints"])
