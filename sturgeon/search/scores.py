"""The scores of finished trials as the models see them, and when a round starts."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from sturgeon.search.cube import Array
from sturgeon.search.finished import Finished
from sturgeon.search.results import Results

FEWEST: Final = 4
GROWTH: Final = 0.15

FAR: Final = 5.0
"""A lead of so many typical ones is far; a larger one counts for less than twice as much."""

LEAST_GAP: Final = 1e3
BY_CHANCE: Final = 1e-8
ROUNDING: Final = 1e-13
"""Scores whose deviation is less than this share of the largest of them are equal but for rounding."""


def standard_scores(finished: Sequence[Finished]) -> Array:
    """Scores [n] with mean 0 and variance 1, less is better, all 0 where they are equal.

    No single score flattens the others, however large it is: outliers are drawn in first, at either end, and only then
    is the scale taken. A score is worse than the median by twice the best score's lead at most. A trial that diverged,
    or has a score that is not finite, gets the worst finite one.
    """
    raw = Results.of(finished).scores
    finite = raw[np.isfinite(raw)]
    if not finite.size or finite.min() == finite.max():
        return np.zeros(len(raw))
    y, ordered = _in_range(np.where(np.isfinite(raw), raw, finite.max()))
    median = _median(_comparable(ordered))
    y = median - _drawn_in(median - y, _typical_lead(ordered, median))
    y = np.minimum(y, _worst_told_apart(y, median))
    largest = float(np.abs(y).max())
    y -= y.min()
    width = float(y.max())
    if width == 0.0:
        return np.zeros(len(raw))
    y /= width
    y -= y.mean()
    deviation = float(y.std())
    return y / deviation if deviation > ROUNDING * (largest / width) else np.zeros(len(raw))


def _in_range(scores: Array) -> tuple[Array, Array]:
    """`scores` [n], finite, times a power of two, so that no difference of them overflows, and the least numbers are
    not lost beside a penalty; and the same in order. A score far from the better half may be made less: it is clipped
    to much less later."""
    ordered = np.sort(scores)
    better_half = max(-ordered[0], abs(ordered[len(ordered) // 2]))
    if 0.0 < better_half < 1e-290:
        return np.minimum(scores, 1e200) * 2.0**200, np.minimum(ordered, 1e200) * 2.0**200
    if max(-ordered[0], ordered[-1]) <= 1e300:
        return scores, ordered
    if better_half <= 1e290:
        return np.minimum(scores, 1e300), np.minimum(ordered, 1e300)
    return scores * 0.125, ordered * 0.125


def _worst_told_apart(y: Array, median: float) -> float:
    return float(median + 2.0 * (median - y.min()))


def too_bad_to_tell(finished: Sequence[Finished]) -> set[int]:
    """The numbers of the trials that `standard_scores` does not tell apart from less bad ones: their score is clipped,
    or not finite. The models do not know how bad they are."""
    raw = Results.of(finished).scores
    finite = raw[np.isfinite(raw)]
    bad = ~np.isfinite(raw)
    if finite.size and finite.min() < finite.max():
        y, ordered = _in_range(np.where(bad, finite.max(), raw))
        median = _median(_comparable(ordered))
        drawn_in = _drawn_in(median - y, _typical_lead(ordered, median))
        bad |= y > _worst_told_apart(median - drawn_in, median)
    return set(Results.of(finished).numbers[bad].tolist())


def without_outliers(values: Array) -> Array:
    """`values` [n], finite; those that are far from the median, at either end, are drawn in, and their order stays."""
    ordered = np.sort(values)
    median = _median(ordered)
    raised = median - _drawn_in(median - values, _typical_lead(ordered, median))
    return np.asarray(median + _drawn_in(raised - median, _typical_lead(-np.sort(raised)[::-1], -median)))


def _median(ordered: Array) -> float:
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return float(low + (high - low) / 2.0)


def _comparable(ordered: Array) -> Array:
    """The scores of `ordered` [n] below the gap that sets most of them apart, as when most parameters get a penalty.

    A gap is a lead over the best that is 1/r of the next one, r >= 1000. That the leads of m scores all lie below it by
    chance has the probability r^-m; it counts below 1e-8. Only a gap below the median is of interest.
    """
    leads = ordered - ordered[0]
    real = leads > ROUNDING * np.abs(ordered)
    half = len(ordered) // 2
    unreal = np.flatnonzero(~real[:half])
    first = max(2, int(unreal[-1]) + 2) if len(unreal) else 2  # place - 1 and all after it are real
    if first > half:
        return ordered
    if not (leads[first : half + 1] / (0.999 * LEAST_GAP) >= leads[first - 1 : half]).any():
        return ordered  # as nearly always; the logarithms, which decide, round
    steps = np.diff(np.log10(leads[first - 1 : half + 1]))
    is_gap = (steps >= math.log10(LEAST_GAP)) & (steps * np.cumsum(real)[first - 1 : half] >= -math.log10(BY_CHANCE))
    gaps = np.flatnonzero(is_gap)
    return _comparable(ordered[: first + int(gaps[-1])]) if len(gaps) else ordered


def _typical_lead(ordered: Array, median: float) -> float:
    """The median of the leads over `median` of the scores of `ordered` [n], of those over 0; 0 without one."""
    ahead = int(ordered.searchsorted(median))
    if not ahead:
        return 0.0
    low, high = median - ordered[ahead - 1 - (ahead - 1) // 2], median - ordered[ahead - 1 - ahead // 2]
    return float(low + (high - low) / 2.0)


def _drawn_in(leads: Array, typical: float) -> Array:
    """`leads` [n] over the median, where those over 5 times the typical one grow to less than 10 times it.

    The order stays: far leads grow by a function of their logarithms.
    """
    limit = FAR * typical
    far = leads > limit
    if not (limit and far.any()):
        return leads
    drawn_in = leads.copy()
    drawn_in[far] = limit * (2.0 - 1.0 / (1.0 + np.log(leads[far]) - math.log(limit)))
    return drawn_in


def first_round_size(dimensions: int) -> int:
    """Trials of round 0, which covers the whole space evenly: clip(d + 1, 4, 10)."""
    return min(max(dimensions + 1, 4), 10)


def round_starts(dimensions: int, finished: int) -> list[int]:
    """How many finished trials each round after round 0 started with, up to `finished`: 15 % more, at least 4."""
    first = first_round_size(dimensions)
    starts = _starts_up_to(first, 1 << max(finished, first).bit_length())
    return starts[: bisect_right(starts, finished)]


@lru_cache(maxsize=64)
def _starts_up_to(first: int, most: int) -> list[int]:
    starts = [first]
    while starts[-1] <= most:
        starts.append(next_round(starts[-1]))
    return starts


def next_round(start: int) -> int:
    """How many finished trials the round after one of `start` starts with."""
    return start + max(FEWEST, math.ceil(GROWTH * start))
