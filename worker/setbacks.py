"""Studies that the worker could not run, and for how long it asks for none of their trials."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

FIRST_S: Final = (5.0, 15.0)
SHORT_S: Final = 60.0
"""Failures within so many seconds belong together; from the third of them on the worker waits as long, then longer."""
LONGEST_S: Final = 600.0


@dataclass
class _Setback:
    at: list[float] = field(default_factory=list)
    delay_s: float = 0.0
    until: float = 0.0


class Setbacks:
    """Which studies to leave out for now. For one thread.

    clock: a monotonic clock in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of: dict[str, _Setback] = {}

    def note(self, study: str) -> float:
        """The worker could not run a trial of the study; for how many seconds it leaves the study out from now on.
        Trials that were under way at the last time count with it."""
        now, setback = self._clock(), self._of.setdefault(study, _Setback())
        if setback.until <= now:
            setback.at = [at for at in setback.at if now - at <= SHORT_S] + [now]
            setback.delay_s = _next_delay(setback)
            setback.until = now + setback.delay_s
        return setback.until - now

    def clear(self, study: str) -> None:
        """A trial of the study ran."""
        self._of.pop(study, None)

    def skipped(self) -> list[str]:
        """The studies to leave out now, the newest at most as many as a request may name."""
        now = self._clock()
        return [study for study, setback in self._of.items() if setback.until > now][-1000:]

    def seconds_left(self) -> float:
        """Until the first of them may be asked for again; infinite where none is left out."""
        now = self._clock()
        return min((one.until - now for one in self._of.values() if one.until > now), default=math.inf)


def _next_delay(setback: _Setback) -> float:
    if setback.delay_s >= SHORT_S:
        return min(2 * setback.delay_s, LONGEST_S)
    return SHORT_S if len(setback.at) > len(FIRST_S) else FIRST_S[len(setback.at) - 1]
