"""What a search learns from: all results, or of very many a selection that costs the same however many there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from sturgeon.search.cube import Indices, Mask
from sturgeon.search.finished import Finished
from sturgeon.search.keys import mixed
from sturgeon.search.results import Results
from sturgeon.search.scores import first_round_size, next_round

MOST_FINISHED: Final = 2000
"""Of more results than this a model learns from a selection."""

BEST: Final = 200
SPREAD: Final = 1000
ROUNDS: Final = 3
"""So many rounds are known by what they began with: the one that draws now, and those before it."""


class Begun(NamedTuple):
    """What a round began with: the first `start` results, all of them or the selection of them."""

    start: int
    results: Results


class Evidence(NamedTuple):
    """What a search learns from: `total` results, all of them or the selection of them in `finished`.

    `rounds`: what the last 3 rounds began with, the present one last; none before round 1.
    """

    finished: Results
    total: int
    rounds: tuple[Begun, ...] = ()

    @property
    def first(self) -> Results:
        """What the present round began with."""
        return self.rounds[-1].results if self.rounds else self.finished[:0]

    @property
    def is_selection(self) -> bool:
        """Whether there are results that `finished` leaves out."""
        return not takes_all(self.total)


def takes_all(total: int) -> bool:
    """Whether a search learns from all of so many results."""
    return total <= MOST_FINISHED


def no_evidence(dimensions: int) -> Evidence:
    """Before the first result."""
    return Evidence(Results.none(dimensions), 0)


def evidence_from(finished: Sequence[Finished] | Evidence, dimensions: int) -> Evidence:
    """What there is to learn from all these results."""
    if isinstance(finished, Evidence):
        return finished
    nothing = no_evidence(dimensions)
    return extended(nothing, Results.of(finished)) if len(finished) else nothing


def extended(evidence: Evidence, new: Results) -> Evidence:
    """`evidence` with `new` results after it. In however many steps they are added, the same comes out."""
    start = next_start(evidence, new.points.shape[1])
    while evidence.total + len(new) >= start:
        before = start - evidence.total
        begun = Begun(start, selection(evidence.finished.followed_by(new[:before]), start))
        evidence, new = Evidence(begun.results, start, (*evidence.rounds, begun)[-ROUNDS:]), new[before:]
        start = next_round(start)
    total = evidence.total + len(new)
    return evidence._replace(finished=selection(evidence.finished.followed_by(new), total), total=total)


def next_start(evidence: Evidence, dimensions: int) -> int:
    """With how many results the next round begins."""
    return next_round(evidence.rounds[-1].start) if evidence.rounds else first_round_size(dimensions)


def selection(results: Results, count: int) -> Results:
    """What is learnt from of the first `count` results, of which these are all, or a part that holds it."""
    return results if takes_all(count) else results.rows(selected(results, count))


def selected(results: Results, count: int) -> Mask:
    """Which of `results` [n] are in the selection of `count` results, of which they are all or a part that holds it.

    The best 200, of equals the first drawn; and 500 to 1000 by chance. So the selection is a function of the set, can
    be made step by step, and a database finds it without reading all.
    """
    mask = is_spread(results.numbers, count)
    finite = np.flatnonzero(np.isfinite(results.scores))
    best = np.lexsort((results.numbers[finite], results.scores[finite]))[:BEST]
    mask[finite[best]] = True
    return mask


def chosen_by_chance(below: int, count: int) -> list[int]:
    """The trial numbers below this one that are in the selection of `count` results by chance."""
    numbers = np.arange(below)
    chosen: list[int] = numbers[is_spread(numbers, count)].tolist()
    return chosen


def is_spread(numbers: Indices, count: int) -> Mask:
    """Which trial numbers are in the selection of `count` results by chance: those whose key is below a limit, which is
    halved when there are twice as many results."""
    halvings = max(0, math.ceil(math.log2(count / SPREAD)))
    if halvings == 0:
        return np.ones(len(numbers), dtype=bool)
    return np.asarray(mixed(numbers.astype(np.uint64)) >> np.uint64(64 - halvings) == 0)
