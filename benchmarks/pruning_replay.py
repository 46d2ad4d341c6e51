"""A study's run under a pruning rule, from the whole curves of its trials, in the order in which its reports arrive.

It decides as the service does, with the service's own rules: at the report that brings a trial past an epoch where the
rule looks, by what has arrived before. tests/server/test_pruning.py plays such a run to a server and compares.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from benchmarks.pruning_curves import Trained
from sturgeon.search.pruning import BACK, Earlier, Settings, judge, look

HEARD_AFTER_S: Final = 0.05
"""From the end of an epoch until the worker has the answer to its report, as measured (docs/pruning.md)."""


class Word(NamedTuple):
    """A report of an epoch, and whether its answer says stop; or with `end` the tell."""

    trial: int
    epoch: int
    stop: bool
    end: Literal["complete", "pruned", "diverged"] | None = None


@dataclass
class Replayed:
    """What came of each trial, by its number, and everything that was said, in its order."""

    epochs: list[int]
    seconds: float = 0.0
    complete: dict[int, float] = field(default_factory=dict)
    words: list[Word] = field(default_factory=list)

    @property
    def winner(self) -> int:
        """The best complete trial, the earlier of two equals."""
        return min(self.complete, key=lambda number: (self.complete[number], number))


def replay(
    settings: Settings,
    trials: Sequence[Trained],
    slots: int = 8,
    heard_after_s: float = HEARD_AFTER_S,
    *,
    steady: bool = False,
) -> Replayed:
    """Run the trials on so many slots; an epoch takes the seconds that it took when the curve was made.

    steady: the forecasts of `curve` fall with its `power`, however fast a trial has fallen, as they once did.
    """
    found = Replayed([0] * len(trials))
    stopped: dict[int, float] = {}
    best: dict[int, float] = {}
    rung_scores: dict[int, dict[int, float]] = defaultdict(dict)
    waiting = iter(range(len(trials)))
    # (when the epoch ends, trial, epoch): the first free slot takes the next trial.
    ends = [(trials[number].epoch_s, number, 1) for _, number in zip(range(slots), waiting, strict=False)]
    heapq.heapify(ends)
    while ends:
        now, number, epoch = heapq.heappop(ends)
        trial = trials[number]
        if epoch <= len(trial.curve):
            best[number] = min(best.get(number, math.inf), trial.curve[epoch - 1])
            stop = number in stopped or _stops(
                settings, number, epoch, rung_scores, best, () if steady else trial.curve
            )
            if stop:
                stopped.setdefault(number, now + heard_after_s)
            found.words.append(Word(number, epoch, stop))
        found.epochs[number] = epoch
        found.seconds += trial.epoch_s
        end = _end(settings, trial, epoch, heard=stopped.get(number, math.inf) < now)
        if end is None:
            heapq.heappush(ends, (now + trial.epoch_s, number, epoch + 1))
            continue
        if end == "diverged":
            del best[number]
        if end == "complete" and trial.value is not None:
            found.complete[number] = trial.value
        found.words.append(Word(number, epoch, stop=False, end=end))
        if (following := next(waiting, None)) is not None:
            heapq.heappush(ends, (now + trials[following].epoch_s, following, 1))
    return found


def _end(
    settings: Settings, trial: Trained, epoch: int, *, heard: bool
) -> Literal["complete", "pruned", "diverged"] | None:
    """How a trial ends with this epoch. A stop that is heard within an epoch is obeyed at its end."""
    if epoch > len(trial.curve):
        return "diverged"
    if epoch == settings.epochs:
        return "complete"
    return "pruned" if heard else None


def _stops(
    settings: Settings,
    number: int,
    epoch: int,
    rung_scores: dict[int, dict[int, float]],
    best: dict[int, float],
    curve: Sequence[float],
) -> bool:
    if look(settings, epoch - 1, epoch) is None:
        return False
    others = [score for other, score in rung_scores[epoch].items() if other != number]
    rung_scores[epoch][number] = best[number]
    incumbent = min((score for other, score in best.items() if other != number), default=math.inf)
    return judge(settings, epoch, best[number], others, incumbent, lambda: earlier(curve, epoch)).stop


def earlier(curve: Sequence[float], epoch: int) -> Earlier | None:
    """The trial's score at a third of its epochs; None before it has one."""
    then = epoch // BACK
    return Earlier(then, curve[then - 1]) if 0 < then <= len(curve) else None
