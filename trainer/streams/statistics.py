"""Statistics of a stream's inputs over the portions so far, from which the inputs are normalised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer.data import normalization
from trainer.data.normalization import Normalization
from trainer.layers.parameters import Array


@dataclass(frozen=True)
class InputStatistics:
    """Of each of n features over the portions so far, `[n]` each: how many values, their mean, the sum of their squared
    differences from it, and their range. No later portion is in them, so a normalisation never looks ahead.
    """

    count: Array
    mean: Array
    squares: Array
    low: Array
    high: Array

    @classmethod
    def empty(cls, n: int) -> InputStatistics:
        """Of n features and no example."""
        return cls(np.zeros(n), np.zeros(n), np.zeros(n), np.full(n, np.inf), np.full(n, -np.inf))

    def including(self, X: Array) -> InputStatistics:
        """The statistics with the examples X `[m, n]` as well (Chan, Golub and LeVeque 1983, formula 2.1)."""
        present = ~np.isnan(X)
        m = present.sum(axis=0).astype(float)
        filled = np.where(present, X, 0.0)
        mean = filled.sum(axis=0) / np.maximum(m, 1)
        squares = np.where(present, np.square(X - mean), 0.0).sum(axis=0)
        both = np.maximum(self.count + m, 1)
        gap = mean - self.mean
        return InputStatistics(
            self.count + m,
            np.where(m > 0, self.mean + gap * m / both, self.mean),
            self.squares + squares + np.where(m > 0, gap * gap * self.count * m / both, 0.0),
            np.minimum(self.low, np.where(present, X, np.inf).min(axis=0)),
            np.maximum(self.high, np.where(present, X, -np.inf).max(axis=0)),
        )

    def normalization(self) -> Normalization:
        """Mean 0 and variance 1 over all these examples; a constant feature keeps sigma 1."""
        deviation = np.sqrt(self.squares / np.maximum(self.count, 1))
        return normalization.from_statistics(self.mean, deviation, self.low, self.high)

    def as_json(self) -> dict[str, Any]:
        return {name: array.tolist() for name, array in vars(self).items()}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> InputStatistics:
        return cls(**{name: np.array(values, np.float64) for name, values in stored.items()})
