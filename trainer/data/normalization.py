"""Normalising the inputs: mean 0 and variance 1 over the training part, whose mu and sigma apply to all other parts."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from trainer.layers.parameters import Array

ROUNDING: Final = 1e-14
"""Deviations up to so small a part of the mean are rounding errors of numbers of 53 bits."""

SMALLEST: Final = 1e-140
"""Differences below this are scaled before they are squared: the squares would vanish."""


@dataclass(frozen=True)
class Normalization:
    """mu and sigma, `[n]` each, in float64; they travel in the checkpoint, so predictions use the same ones.

    limit: normalised values are clipped to the range from -limit to limit.
    """

    mean: Array
    deviation: Array
    limit: float = math.inf

    def apply(self, X: Array) -> Array:
        """(X - mu) / sigma as float32 `[m, n]`, clipped; NaN stays NaN."""
        normal: Array = ((X - self.mean) / self.deviation).astype(np.float32)
        return normal if math.isinf(self.limit) else np.clip(normal, -self.limit, self.limit, out=normal)

    def clipped(self, limit: float) -> Normalization:
        """The same normalisation with another limit; 0: no limit."""
        return dataclasses.replace(self, limit=limit or math.inf)

    def undo(self, X: Array) -> Array:
        """X sigma + mu in float64 `[m, n]`."""
        original: Array = X * self.deviation + self.mean
        return original


def fit(X: Array) -> Normalization:
    """mu and sigma of the training examples X `[m, n]`. A constant feature keeps sigma 1, so it becomes 0."""
    mean, deviation, low, high = X.mean(axis=0), X.std(axis=0), X.min(axis=0), X.max(axis=0)
    spread = high - low
    tiny = (spread > 0) & (spread < SMALLEST)
    deviation[tiny] = spread[tiny] * (X[:, tiny] / spread[tiny]).std(axis=0)
    return from_statistics(mean, deviation, low, high)


def from_statistics(mean: Array, deviation: Array, low: Array, high: Array) -> Normalization:
    """From means, standard deviations and ranges `[n]`. A constant feature gets sigma 1."""
    # Which unit a feature is measured in does not matter: only what its mean is rounded by counts as no deviation.
    constant = (low >= high) | (deviation <= ROUNDING * np.abs(mean))
    return Normalization(mean, np.where(constant, 1.0, deviation))


def identity(n: int) -> Normalization:
    """The normalisation that leaves n features as they are."""
    return Normalization(np.zeros(n), np.ones(n))
