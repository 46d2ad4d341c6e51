"""Normalised inputs: mean 0 and variance 1 by the training part's own figures, applied unchanged everywhere
else.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from trainer.layers.parameters import Array


@dataclass(frozen=True)
class Normalization:
    """mu and sigma, `[n]` each in float64; they travel in the checkpoint, so predictions use the same ones.

    limit: normalised values are clipped at it, on both sides.
    """

    mean: Array
    deviation: Array
    limit: float = math.inf

    def apply(self, X: Array) -> Array:
        """(X - mu) / sigma as float32 `[m, n]`, clipped; NaN stays NaN."""
        normal: Array = ((X - self.mean) / self.deviation).astype(np.float32)
        return normal if math.isinf(self.limit) else np.clip(normal, -self.limit, self.limit, out=normal)

    def clipped(self, limit: float) -> Normalization:
        """The same with another limit; 0: none."""
        return dataclasses.replace(self, limit=limit or math.inf)

    def undo(self, X: Array) -> Array:
        """X sigma + mu in float64 `[m, n]`."""
        original: Array = X * self.deviation + self.mean
        return original


def fit(X: Array) -> Normalization:
    """mu and sigma of the training examples X `[m, n]`. A constant feature keeps sigma 1, so it becomes 0."""
    return of(X.mean(axis=0), X.std(axis=0))


def of(mean: Array, deviation: Array) -> Normalization:
    """From means and standard deviations `[n]`. A constant feature gets sigma 1."""
    # A constant column's deviation may come out as rounding error of its mean instead of 0.
    constant = deviation <= 1e-12 * np.maximum(1, np.abs(mean))
    return Normalization(mean, np.where(constant, 1.0, deviation))


def identity(n: int) -> Normalization:
    """Leaves n features as they are."""
    return Normalization(np.zeros(n), np.ones(n))
