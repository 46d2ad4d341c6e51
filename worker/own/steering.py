"""What is desired of a running program: written where it can read it, and acknowledged when the program obeys.

A program that reads its parameters again acknowledges a change by that. One that does not is started again from its
checkpoint folder: at once if it has never read any, else when it has reported twice without. A program that asks
whether it shall stop or pause is given its grace time to do so; any other gets a signal at once.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sturgeon.folder_keeping import FolderKeeper
from sturgeon.values import Json
from worker.child.protocol import Applied, ChildMessage, DesiredRun, Job, SavedCheckpoint
from worker.own.curve import Curve
from worker.own.limits import Limits
from worker.own.output import KeptOutput
from worker.own.said import HasRead

UNHEEDED_REPORTS: Final = 2
"""A program that has reported so often since a change without reading its parameters does not read them again."""


class Steering:
    """Obeys what is desired of one run. `file` is what the program reads."""

    def __init__(
        self, job: Job, limits: Limits, curve: Curve, keeper: FolderKeeper | None, file: Path, log: KeptOutput
    ) -> None:
        self._job, self._limits, self._curve, self._keeper = job, limits, curve, keeper
        self._file, self._log = file, log
        self._obeyed = DesiredRun()
        self._newest = DesiredRun()
        self._live: Json = {}
        self._new_from = 0
        self.since_step = 0
        self._asks = self._is_draining = False
        self._read_version = -1
        self._started_at = time.monotonic()
        self._asked_step = self._asked_reports = 0
        self._is_noted = False

    @property
    def version(self) -> int:
        """The version that is in force."""
        return self._obeyed.version

    @property
    def newest(self) -> DesiredRun:
        """What is desired now, obeyed or not."""
        return self._newest

    @property
    def params(self) -> Json:
        """All parameters as they shall be now."""
        return dict(self._job.params) | self._live

    def begun(self, now: DesiredRun) -> Iterator[ChildMessage]:
        """Before the first start: where the run goes on from, with all changes that were made so far.

        Raises: Damaged (the checkpoint cannot be unpacked).
        """
        resume, step = self._job.resume, 0
        if resume is not None:
            self._obeyed = DesiredRun(version=resume.version, rollback_generation=resume.leg)
            # Their parameters are among those that are desired; what is new counts after them.
            self._new_from = max((change.step for change in resume.timeline), default=0)
        if self._keeper is not None:
            step = 0 if resume is None or self._job.start is None else resume.step
            memory = self._keeper.begin(self._job.start if step else None, step, self._obeyed.version)
            self._curve.go_on_from(step)
            self._curve.remember(memory)
        self._newest = now
        self._live |= now.params
        if now.version > self._obeyed.version:
            yield from self._take(now)

    def started(self) -> None:
        """The program is about to start, with `params`."""
        self._started_at, self._read_version, self._asks = time.monotonic(), -1, False
        self._write(self._newest)

    def heard(self, read: HasRead) -> Iterator[ChildMessage]:
        """The program has read its parameters."""
        self._read_version = max(self._read_version, read.version)
        yield from self._obey_newest()

    def asks(self) -> None:
        """The program looks by itself whether it shall stop or pause."""
        self._asks = True

    def obey(self, now: DesiredRun) -> Iterator[ChildMessage]:
        """Do what is desired now, as far as it can be done."""
        if now.leave:
            self._limits.end_now("leave")
        if now.leave or now.version < self._newest.version:
            return
        if now.drain and not self._is_draining:
            self._is_draining = True
            self._write(self._newest)
            self._limits.end("pause", is_told=self._asks)
        if now.version > self._newest.version:
            self._newest = now
            if not self.goes_back:
                self._let_know(now)
        yield from self._obey_newest()

    @property
    def goes_back(self) -> bool:
        """Whether the run shall go on from an earlier checkpoint."""
        return self._newest.rollback_generation > self._obeyed.rollback_generation

    def _let_know(self, now: DesiredRun) -> None:
        self._live = self._live | now.params
        self._asked_step, self._is_noted = self._curve.step, False
        self._asked_reports = self._curve.reports
        self._write(now)
        if now.stop:
            self._limits.end("stop", is_told=self._asks)
        elif now.pause:
            self._limits.end("pause", is_told=self._asks)
        elif not self._is_draining:
            self._limits.take_back()

    def _obey_newest(self) -> Iterator[ChildMessage]:
        now = self._newest
        if self.goes_back:
            self._limits.end("rollback")
        elif now.version > self._obeyed.version:
            is_changed = now.params != self._obeyed.params
            if is_changed and self._read_version < now.version:
                self._start_again_if_it_must(now)
            elif is_changed or self._has_what_is_asked_for(now):
                yield from self._take(now)

    def _start_again_if_it_must(self, now: DesiredRun) -> None:
        if now.stop or now.pause:
            return
        if self._read_version >= 0:
            may_come = self._curve.reports - self._asked_reports < UNHEEDED_REPORTS
        else:
            may_come = not self._curve.reports and time.monotonic() - self._started_at < self._limits.grace_s
        if may_come:
            return
        if self._keeper is not None:
            self._limits.end("restart")
        elif not self._is_noted:
            self._is_noted = True
            self._log.note(
                "parameters were changed, but this program neither reads them again nor has a checkpoint folder: "
                "they stay as they are"
            )

    def _has_what_is_asked_for(self, now: DesiredRun) -> bool:
        """Whether nothing has to be waited for: a checkpoint, if it was asked for, is that of a step since then."""
        if self._keeper is None or now.keep <= self._obeyed.version or now.stop or now.pause:
            return True
        if self._keeper.has_one_since(self._asked_step):
            return True
        self._keeper.want()
        return False

    def _take(self, now: DesiredRun) -> Iterator[ChildMessage]:
        if now.keep > self._obeyed.version and self._keeper is not None:  # before it is applied: to go back to
            saved = self._keeper.newest(wanted=now.keep)
            if saved is not None:
                yield SavedCheckpoint(*saved)
        yield from self._acknowledged(now, max(self._curve.step, self._new_from))

    def _acknowledged(self, now: DesiredRun, step: int) -> Iterator[Applied]:
        generation = self._obeyed.rollback_generation
        self._obeyed, self.since_step = dataclasses.replace(now, rollback_generation=generation), step
        yield Applied(now.version, step)

    def ended(self, step: int) -> Iterator[ChildMessage]:
        """The program has ended, to be started again or to wait: what is desired counts from this step on."""
        now = self._newest
        if now.version > self._obeyed.version and not self.goes_back:
            self._live = self._live | now.params
            self._curve.repeat_from(step)
            yield from self._take(now)
        else:
            self._curve.repeat_from(step)

    def back(self) -> Iterator[ChildMessage]:
        """Begin a new rollback generation, from the checkpoint that came with it. Raises: Damaged."""
        now = self._newest
        self._obeyed = dataclasses.replace(self._obeyed, rollback_generation=now.rollback_generation)
        self._new_from, self._live = 0, dict(now.params)
        if self._keeper is not None:
            memory = self._keeper.begin(now.content, now.restore, now.version)
            self._curve.go_on_from(now.restore)
            self._curve.remember(memory)
        else:
            self._curve.go_on_from(0)
        yield from self._acknowledged(now, now.restore)

    def _write(self, now: DesiredRun) -> None:
        """Replace what the program reads; it never sees half of it."""
        why = ("pruned" if now.pruned else "stopped") if now.stop else None
        pause = now.pause or self._is_draining
        told = {"version": now.version, "params": self.params, "stop": now.stop, "why": why, "pause": pause}
        beside = self._file.with_suffix(".new")
        beside.write_text(json.dumps(told | {"restore": None}), encoding="utf-8")
        beside.replace(self._file)
