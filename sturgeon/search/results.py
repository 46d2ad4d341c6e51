"""The results of finished trials as arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np

from sturgeon.search.cube import Array, Indices, Mask, point_array
from sturgeon.search.finished import Finished


@dataclass(frozen=True, eq=False)
class Results(Sequence[Finished]):
    """n results in the order in which they came. It is not written to once it is made.

    `numbers` [n]; `points` [n, d]; `scores` [n], minimised, NaN of a trial that diverged; `seconds` [n], NaN where
    unknown; `complete` [n]: the trial was not stopped early.
    """

    numbers: Indices
    points: Array
    scores: Array
    seconds: Array
    complete: Mask

    @staticmethod
    def of(finished: Sequence[Finished], dimensions: int | None = None) -> Results:
        """The same results as arrays. dimensions: of the space, known from the points where there are any."""
        if isinstance(finished, Results):
            return finished
        if dimensions is None:
            dimensions = len(finished[0].point) if finished else 0
        return Results(
            np.array([trial.number for trial in finished], dtype=np.int64),
            point_array([trial.point for trial in finished], dimensions),
            _column(trial.score for trial in finished),
            _column(trial.seconds for trial in finished),
            np.array([trial.complete for trial in finished], dtype=bool),
        )

    @staticmethod
    def none(dimensions: int) -> Results:
        """No result, in a space of so many searched parameters."""
        nothing = np.empty(0)
        return Results(nothing.astype(np.int64), np.empty((0, dimensions)), nothing, nothing, nothing.astype(bool))

    def followed_by(self, other: Results) -> Results:
        """These, and then `other`."""
        if not len(self) or not len(other):
            return other if len(other) else self
        return Results(
            np.concatenate([self.numbers, other.numbers]),
            np.concatenate([self.points, other.points]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.seconds, other.seconds]),
            np.concatenate([self.complete, other.complete]),
        )

    def rows(self, which: slice | Mask | Indices) -> Results:
        """Some of them."""
        return Results(
            self.numbers[which], self.points[which], self.scores[which], self.seconds[which], self.complete[which]
        )

    @cached_property
    def content(self) -> bytes:
        """All of it as bytes: equal where, and only where, the results are."""
        arrays = (self.numbers, self.points, self.scores, self.seconds, self.complete)
        return b"".join(array.tobytes() for array in arrays)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Results) and len(self) == len(other) and self.content == other.content

    def __hash__(self) -> int:
        return hash(self.content)

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, place: int) -> Finished: ...

    @overload
    def __getitem__(self, place: slice) -> Results: ...

    def __getitem__(self, place: int | slice) -> Finished | Results:
        if isinstance(place, slice):
            return self.rows(place)
        score, seconds = float(self.scores[place]), float(self.seconds[place])
        return Finished(
            int(self.numbers[place]),
            tuple(self.points[place].tolist()),
            None if math.isnan(score) else score,
            None if math.isnan(seconds) else seconds,
            bool(self.complete[place]),
        )


def _column(values: Iterable[float | None]) -> Array:
    return np.array([math.nan if value is None else value for value in values], dtype=float)
