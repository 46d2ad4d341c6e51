"""Keeps a run that is steered near what the server has answered: the answer to a report may change it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from worker.child.protocol import DesiredRun, Progress

MOST_UNANSWERED: Final = 1
"""How many reports may be unanswered while a run trains on. So a change is in force at the second report after the
last one that was answered without it, or earlier. One and not none: a run whose epochs take longer than a report does
not wait."""

PORTION_UNANSWERED: Final = 0
"""As MOST_UNANSWERED, on a stream: what a policy makes of a portion counts before the model is trained on it."""

ANSWER_S: Final = 10.0
"""So long a run waits for an answer. It goes on without a server that is away longer, until that answers again."""

LOOK_EVERY_S: Final = 0.002


class Answers:
    """Counts the reports of a run, and waits while more than `most` of them are unanswered."""

    def __init__(self, most: int = MOST_UNANSWERED) -> None:
        self._most = most
        self._reported = self._answered = 0
        self._is_away = False

    def numbered(self, report: Progress) -> Progress:
        """The report, which is the next, with its number."""
        self._reported += 1
        return replace(report, number=self._reported)

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
        if now.answered is None or now.leave:
            return False
        if now.answered > self._answered:
            self._answered, self._is_away = now.answered, False
        return self._answered < self._reported - self._most and not self._is_away
