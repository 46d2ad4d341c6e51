"""Polling a study for what is new, until the study ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from sturgeon.cli.paging import every_item
from sturgeon.identifiers import TrialNumber
from sturgeon.states import TERMINAL

if TYPE_CHECKING:
    from sturgeon.client import Client
    from sturgeon.messages import Best, ReportedMetrics, Study, Trial

FAILURES: Final = 3
"""How many of the trials that failed a snapshot has."""

Ending = tuple[int, datetime]
"""A trial's number and when it ended; a requeued trial ends again."""


@dataclass(frozen=True)
class Snapshot:
    """A study at one moment. `finished` are the trials that ended since the last snapshot, oldest first; `latest` has
    the newest report of the first few running trials, by their number; `failures` are the trials that failed last."""

    study: Study
    running: list[Trial]
    latest: dict[TrialNumber, ReportedMetrics]
    finished: list[Trial]
    best: Best
    failures: list[Trial] = field(default_factory=list)

    @property
    def done(self) -> int:
        return sum(self.study.counts.get(state, 0) for state in TERMINAL)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen. Trials in the queue of a stopped study are never handed out."""
        running = self.study.counts.get("running", 0)
        return self.study.state in ("completed", "cancelled") or (self.study.state == "stopped" and not running)


@dataclass
class Follower:
    """Polls a study every `every_s` seconds, for its `best` best trials and the reports of its `detailed` first running
    trials.

    starting: workers that were started beside it. Until one of them has called the server, no snapshot says what the
    study waits for: the next moment brings it.
    """

    client: Client
    name: str
    every_s: float = 1.0
    best: int = 5
    detailed: int = 0
    sleep: Callable[[float], None] = time.sleep
    starting: Collection[str] = ()
    known: set[Ending] = field(default_factory=set)

    def __iter__(self) -> Iterator[Snapshot]:
        """Snapshots, the last one when the study has ended. Trials that ended before the first are not `finished`.

        Raises: NotFound (there is no such study, or it has been deleted).
        """
        newest = self.client.trials(self.name, sort="-finished_at", page_size=100)
        self.known = {(trial.number, trial.finished_at) for trial in newest.items if trial.finished_at}
        while True:
            snapshot = self._snapshot()
            yield snapshot
            if snapshot.ended:
                return
            self.sleep(self.every_s)

    def _snapshot(self) -> Snapshot:
        # The study comes first: all trials that it counts as finished are then among those that are read after it.
        study = self._study()
        running = list(self.client.all_trials(self.name, state="running", sort="number"))
        latest = {trial.number: report for trial in running[: self.detailed] if (report := self._last_report(trial))}
        finished, best = self._newly_finished(), self.client.best(self.name, self.best)
        return Snapshot(study, running, latest, finished, best, self._failures(study))

    def _study(self) -> Study:
        if self.starting and any(worker.name in self.starting for worker in every_item(self.client.workers)):
            self.starting = ()
        study = self.client.study(self.name)  # read after the workers: what it waits for is then what they lack
        return study.model_copy(update={"waits_for": None}) if self.starting else study

    def _failures(self, study: Study) -> list[Trial]:
        if not self.detailed or not study.counts.get("failed"):
            return []
        return self.client.trials(self.name, state="failed", sort="-finished_at", page_size=FAILURES).items

    def _newly_finished(self) -> list[Trial]:
        """Read from the newest back to the last known one; several may have ended at the same time."""
        newest = max((at for _, at in self.known), default=None)
        finished: dict[Ending, Trial] = {}
        for trial in self.client.all_trials(self.name, sort="-finished_at", page_size=100):
            if trial.finished_at is None or (newest is not None and trial.finished_at < newest):
                break
            if (ending := (trial.number, trial.finished_at)) not in self.known:
                finished[ending] = trial
        self.known.update(finished)
        return list(finished.values())[::-1]

    def _last_report(self, trial: Trial) -> ReportedMetrics | None:
        reports = every_item(partial(self.client.trial_metrics, self.name, trial.number))
        return max(reports, key=lambda report: (report.fence, report.step), default=None)
