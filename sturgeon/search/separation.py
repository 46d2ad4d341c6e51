"""Replicates: the mean of scores that differ by their seeds alone, and whether two such means differ significantly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from scipy.special import stdtr

SIGNIFICANCE: Final = 0.05


class Spread(NamedTuple):
    """The mean of `size` scores and its standard error; None of a single one, or where it is beyond a float."""

    mean: float
    standard_error: float | None
    size: int


def spread(scores: Sequence[float]) -> Spread:
    """`scores`: at least one, all finite."""
    n = len(scores)
    mean = sum(score / n for score in scores) if n > 1 else scores[0]  # no sum of them overflows
    widest = max(abs(score - mean) for score in scores)
    if n == 1 or not math.isfinite(widest):
        return Spread(mean, None, n)
    if widest == 0:
        return Spread(mean, 0.0, n)
    variance = sum(((score - mean) / widest) ** 2 for score in scores) / (n - 1)
    return Spread(mean, widest * math.sqrt(variance / n), n)


def mean(scores: Sequence[float | None]) -> float | None:
    """The mean of the scores; None where one of them is unknown."""
    known = [score for score in scores if score is not None]
    return spread(known).mean if len(known) == len(scores) else None


def separable(a: Spread, b: Spread) -> bool:
    """Whether the means differ by more than seeds explain: Welch's t test (1947), two-sided, at 5 %.

    A single score has no known deviation, so it is separable from none.
    """
    if a.standard_error is None or b.standard_error is None:
        return False
    largest = max(a.standard_error, b.standard_error)
    if largest == 0:
        return a.mean != b.mean
    x, y = (a.standard_error / largest) ** 2, (b.standard_error / largest) ** 2
    freedom = (x + y) ** 2 / (x**2 / (a.size - 1) + y**2 / (b.size - 1))
    t = abs(a.mean / largest - b.mean / largest) / math.sqrt(x + y)
    return bool(2.0 * stdtr(freedom, -t) < SIGNIFICANCE)
