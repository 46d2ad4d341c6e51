"""Keeps a run near what the server has answered: the answer to a report may change it, or stop it.

For a run that is steered each answer counts, for any other those to the reports at which a pruning rule looks; a run
that nobody steers or prunes never waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from sturgeon.messages import Looks as PruningLooks
from worker.child.looks import Looks
from worker.child.protocol import DesiredRun, Progress

MOST_UNANSWERED: Final = 1
"""How many reports a run may make, from one whose answer counts on, before it waits for that answer. So a change is in
force at the second report after the last one that was answered without it, or earlier; and a run that is pruned trains
at most one epoch after the one at which the rule looked. One and not none: a run whose epochs take longer than a report
does not wait."""

PORTION_UNANSWERED: Final = 0
"""As MOST_UNANSWERED, on a stream: what a policy makes of a portion counts before the model is trained on it."""

ANSWER_S: Final = 10.0
"""So long a run waits for an answer. It goes on without a server that is away longer, until that answers again."""

LOOK_EVERY_S: Final = 0.002


class Answers:
    """Counts the reports of a run, and waits while more than `most` of them are unanswered. looks: where a pruning rule
    looks at the run."""

    def __init__(self, most: int = MOST_UNANSWERED, looks: PruningLooks | None = None) -> None:
        self._most, self._looks = most, Looks(looks)
        self._reported = self._answered = 0
        self._looked: list[int] = []
        """The numbers of the reports at which the rule looks and whose answer has not come, the oldest first."""
        self._is_away = False

    def numbered(self, report: Progress) -> Progress:
        """The report, which is the next, with its number."""
        self._reported += 1
        looked = self._looks.at(report.step if report.epoch is None else report.epoch)
        if looked:
            self._looked.append(self._reported)
        return replace(report, number=self._reported, looked=looked)

    def wait(self, desired: Callable[[], DesiredRun]) -> DesiredRun:
        """What is desired as soon as the run may train on, or nobody waits for it any more."""
        until = time.monotonic() + ANSWER_S
        while self._must_wait(now := desired()):
            if time.monotonic() >= until:
                self._is_away = True
                return now
            time.sleep(LOOK_EVERY_S)
        return now

    def _must_wait(self, now: DesiredRun) -> bool:
        if now.leave:
            return False
        answered = max(now.answered or 0, now.looked)
        if answered > self._answered:
            self._answered, self._is_away = answered, False
            self._looked = [number for number in self._looked if number > answered]
        newest = self._reported - self._most
        is_late = now.answered is not None and self._answered < newest
        return not self._is_away and (is_late or any(number <= newest for number in self._looked))
