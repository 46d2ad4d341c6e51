"""Testing whether two parts of the data have one distribution, as train, dev and test should (the course)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trainer.layers.parameters import Array

LARGEST_SAMPLE = 2000
ALARM = 0.001
"""One false alarm in a thousand splits, over all features together."""


@dataclass(frozen=True)
class Difference:
    """The feature that differs most between two samples. p: that of the test of all features together."""

    feature: int
    statistic: float
    p: float

    @property
    def alarming(self) -> bool:
        """Whether two samples of one distribution would hardly ever differ so much."""
        return self.p < ALARM


def largest_difference(first: Array, second: Array, weights: Array | None = None) -> Difference:
    """Two-sample Kolmogorov-Smirnov test of each feature of samples `[m1, n]` and `[m2, n]`, of which at most 2000 rows
    each are used. weights `[m1]`: of the rows of the first; its size is then (sum w)^2 / sum w^2 (Kish).

    p = 2 n exp(-2 D^2 m1 m2 / (m1 + m2)): the first term of Kolmogorov's series, which bounds it from above,
    times the n features (Bonferroni). Equal values only make p larger.
    """
    weights = np.ones(len(_sample(first))) if weights is None else _sample(weights)
    size = float(weights.sum() ** 2 / np.square(weights).sum())
    first, second = _sample(first), _sample(second)
    both = np.sort(np.concatenate([first, second]), axis=0)
    statistics = np.empty(first.shape[1])
    for feature in range(len(statistics)):
        order = np.argsort(first[:, feature], kind="stable")
        reached = np.concatenate([[0.0], np.cumsum(weights[order])]) / weights.sum()
        reached_first = reached[np.searchsorted(first[order, feature], both[:, feature], side="right")]
        reached_second = np.searchsorted(np.sort(second[:, feature]), both[:, feature], side="right") / len(second)
        statistics[feature] = np.abs(reached_first - reached_second).max()
    worst = int(statistics.argmax())
    D = float(statistics[worst])
    exponent = -2 * D * D * size * len(second) / (size + len(second))
    return Difference(worst, D, min(1.0, 2 * len(statistics) * math.exp(exponent)))


def _sample(X: Array) -> Array:
    """At most LARGEST_SAMPLE rows, evenly spread."""
    return X if len(X) <= LARGEST_SAMPLE else X[np.linspace(0, len(X) - 1, LARGEST_SAMPLE).astype(np.intp)]
