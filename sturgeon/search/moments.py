"""When each trial of a study was seen by samplers, so that what one saw at any moment can be found again."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np

from sturgeon.search.cube import Array, Cube, Indices, Mask
from sturgeon.search.distinct import NO_KEYS, point_keys
from sturgeon.search.evidence import selected, takes_all
from sturgeon.search.finished import Point
from sturgeon.search.keys import Keys, KeySet
from sturgeon.search.results import Results

_NEVER: Final = np.iinfo(np.int64).max


class SeenTrial(NamedTuple):
    """A trial: it runs until `ended`, has a result from then on, if it has one, and is seen until it became `invalid`;
    None: not yet. score: minimised; None where there is none, or it diverged."""

    number: int
    has_result: bool
    ended: int | None
    invalid: int | None
    score: float | None


class Moments:
    """The trials of a study, at any sequence number of the study."""

    def __init__(self, trials: Sequence[SeenTrial]) -> None:
        self._numbers: Indices = np.array([trial.number for trial in trials], dtype=np.int64)
        self._has_result: Mask = np.array([trial.has_result for trial in trials], dtype=bool)
        self._ended = _seqs([trial.ended for trial in trials])
        self._invalid = _seqs([trial.invalid for trial in trials])
        scores = [math.nan if trial.score is None else trial.score for trial in trials]
        self._scores: Array = np.array(scores, dtype=float)

    def running(self, basis: int, below: int, away: Collection[int]) -> list[int]:
        """The numbers less than `below` of the trials that had not ended at `basis`, but those that were `away`."""
        runs = (self._invalid > basis) & (self._ended > basis) & (self._numbers < below)
        numbers: list[int] = self._numbers[runs & ~np.isin(self._numbers, list(away))].tolist()
        return numbers

    def results(self, basis: int) -> ResultsSeen:
        """The results that were seen at `basis`."""
        rows = np.flatnonzero((self._invalid > basis) & self._has_result & (self._ended <= basis))
        rows = rows[np.argsort(self._ended[rows], kind="stable")]
        return ResultsSeen(self._numbers[rows], self._scores[rows])


class ResultsSeen(NamedTuple):
    """The numbers and scores [n] of trials with results, in the order in which they ended."""

    numbers: Indices
    scores: Array

    def chosen(self, first: int) -> list[int]:
        """The numbers of the `first` of them, or of the selection of these."""
        numbers = self.numbers[:first]
        if not takes_all(first):
            unknown, none = np.full(first, math.nan), np.zeros(first, dtype=bool)
            known = Results(numbers, np.empty((first, 0)), self.scores[:first], unknown, none)
            numbers = numbers[selected(known, first)]
        chosen: list[int] = numbers.tolist()
        return chosen


class Taken:
    """The points of trials, of which any that were drawn before another one can be told."""

    def __init__(self, cube: Cube, placed: Sequence[tuple[int, Point]]) -> None:
        self._numbers: Indices = np.array([number for number, _ in placed], dtype=np.int64)
        self._keys: Keys = point_keys(cube, [point for _, point in placed])

    def before(self, number: int) -> KeySet:
        """The points of the trials with lower numbers."""
        return NO_KEYS.with_keys(self._keys[self._numbers < number])


def _seqs(seqs: Sequence[int | None]) -> Indices:
    return np.array([_NEVER if seq is None else seq for seq in seqs], dtype=np.int64)
