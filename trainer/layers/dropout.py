"""Inverted dropout: each unit is kept with probability keep_prob and then divided by it, so that nothing needs to be
done at test time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.layers.compiled import compiled
from trainer.layers.parameters import Array, aligned_like

LEVELS = 256


class Dropout:
    """A * D / keep_prob for A `[K, B, n]`; each model has a bit generator and a keep_prob of its own.

    A random byte decides about a unit, which is ten times as fast as a random float. So keep_prob is rounded to 1/256;
    the division uses the rounded value, so that the expected A is exact.
    """

    def __init__(self, A: Array, sources: Sequence[np.random.BitGenerator]) -> None:
        self.sources = sources
        self.A = aligned_like(A)
        self.D = aligned_like(A)
        self.D[...] = 1
        self.levels = [LEVELS] * len(sources)

    def set_keep_probs(self, keep_probs: Sequence[float]) -> None:
        """Sets the keep_prob of each model from the next forward on."""
        self.levels = [min(LEVELS, max(1, round(keep * LEVELS))) for keep in keep_probs]

    @property
    def active(self) -> bool:
        """Whether any model drops units."""
        return any(level < LEVELS for level in self.levels)

    def forward(self, A: Array) -> Array:
        """A * D / keep_prob with a fresh mask; A itself if no model drops anything."""
        if not self.active:
            return A
        for D, source, level in zip(self.D, self.sources, self.levels, strict=True):
            if level == LEVELS:  # draws nothing, so that a model's masks do not depend on its neighbours
                D[...] = 1
            else:
                draw_mask(D.reshape(-1), source.random_raw(-(-D.size // 8)).view(np.uint8), level)
        return np.multiply(A, self.D, out=self.A)

    def backward(self, dA: Array) -> Array:
        """dA * D / keep_prob, in place."""
        return np.multiply(dA, self.D, out=dA) if self.active else dA


@compiled
def draw_mask(D: Array, bits: Array, level: int) -> None:
    """D = 1 / keep_prob where the random byte is below `level` of 256, else 0; D flat, bits no shorter."""
    for i in range(len(D)):
        D[i] = LEVELS / level if bits[i] < level else 0.0
