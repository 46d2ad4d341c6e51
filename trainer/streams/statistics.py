"""What is known of a stream's inputs from the portions so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer.data import normalization
from trainer.data.normalization import Normalization
from trainer.layers.parameters import Array


@dataclass(frozen=True)
class InputStatistics:
    """What is known of the inputs from the portions so far: how many values of each feature, their mean, sum of squared
    differences from it, and range, `[n]` each. So a normalisation never looks ahead."""

    count: Array
    mean: Array
    squares: Array
    low: Array
    high: Array

    @classmethod
    def nothing(cls, n: int) -> InputStatistics:
        return cls(np.zeros(n), np.zeros(n), np.zeros(n), np.full(n, np.inf), np.full(n, -np.inf))

    def and_of(self, X: Array) -> InputStatistics:
        """With the examples X `[m, n]` as well (Chan, Golub and LeVeque 1983, formula 2.1)."""
        there = ~np.isnan(X)
        m = there.sum(axis=0).astype(float)
        filled = np.where(there, X, 0.0)
        mean = filled.sum(axis=0) / np.maximum(m, 1)
        squares = np.where(there, np.square(X - mean), 0.0).sum(axis=0)
        both = np.maximum(self.count + m, 1)
        gap = mean - self.mean
        return InputStatistics(
            self.count + m,
            np.where(m > 0, self.mean + gap * m / both, self.mean),
            self.squares + squares + np.where(m > 0, gap * gap * self.count * m / both, 0.0),
            np.minimum(self.low, np.where(there, X, np.inf).min(axis=0)),
            np.maximum(self.high, np.where(there, X, -np.inf).max(axis=0)),
        )

    def normalization(self) -> Normalization:
        """Mean 0 and variance 1 by all that was seen; a constant feature keeps sigma 1."""
        deviation = np.sqrt(self.squares / np.maximum(self.count, 1))
        return normalization.of(self.mean, deviation)

    def as_json(self) -> dict[str, Any]:
        return {name: array.tolist() for name, array in vars(self).items()}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> InputStatistics:
        return cls(**{name: np.array(values, np.float64) for name, values in told.items()})
