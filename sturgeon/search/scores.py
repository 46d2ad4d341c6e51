"""The scores of finished trials as the models see them, and when a round starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from sturgeon.search.cube import Array
from sturgeon.search.samplers import Finished

FEWEST: Final = 4
GROWTH: Final = 0.15


def standard_scores(finished: Sequence[Finished]) -> Array:
    """Scores [n] with mean 0 and variance 1, less is better, all 0 where they are equal.

    A score is worse than the median by twice the best score's lead at most: so outliers do not flatten the rest. A
    trial that diverged, or has a score that is not finite, gets the worst finite one.
    """
    raw = np.array([math.nan if trial.score is None else trial.score for trial in finished])
    finite = raw[np.isfinite(raw)]
    if not finite.size or finite.min() == finite.max():
        return np.zeros(len(raw))
    largest = np.abs(finite).max()
    y = np.where(np.isfinite(raw), raw, finite.max()) / largest  # no sum of them overflows
    median = float(np.median(y))
    y = np.minimum(y, median + 2.0 * (median - y.min()))
    y -= y.mean()
    deviation = float(y.std())
    # Scores whose differences are mere rounding are equal.
    return y / deviation if deviation > 1e-13 else np.zeros(len(raw))


def first_round_size(dimensions: int) -> int:
    """Trials of round 0, which covers the whole space evenly: clip(d + 1, 4, 10)."""
    return min(max(dimensions + 1, 4), 10)


def round_starts(dimensions: int, finished: int) -> list[int]:
    """How many finished trials each round after round 0 started with, up to `finished`: 15 % more, at least 4."""
    starts: list[int] = []
    size = first_round_size(dimensions)
    while size <= finished:
        starts.append(size)
        size += max(FEWEST, math.ceil(GROWTH * size))
    return starts
