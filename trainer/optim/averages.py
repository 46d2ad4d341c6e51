"""Exponentially weighted averages v_t = beta v_{t-1} + (1 - beta) x_t, with bias correction.

Stored is the sum s_t = beta s_{t-1} + x_t, so that adding an x costs one multiplication and one addition; then
v_t = (1 - beta) s_t. Bias correction: in the first steps v is too small, because it starts at 0; v_t / (1 - beta^t) is
not. The product of all betas is stored in place of beta^t, so that the correction is right when beta changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.layers.parameters import Array

FLUSH = 1e-30


class Average:
    """Averages of K models over one flat array of sums `[K, P]`, each with a beta of its own."""

    def __init__(self, total: Array) -> None:
        self.total = total
        self.betas = [0.0] * len(total)
        self.products = [1.0] * len(total)
        self.factor = np.zeros((len(total), 1), total.dtype)

    def advance(self, betas: Sequence[float]) -> None:
        """Begins a step with these betas. A changed beta rescales the sum, so that v does not jump."""
        for model, (old, new) in enumerate(zip(self.betas, betas, strict=True)):
            if old != new:
                self.total[model] *= (1 - old) / (1 - new)
                self.betas[model] = new
                self.factor[model] = new
            self.products[model] *= new

    def restore(self, model: int, total: Array, beta: float, product: float) -> None:
        """Sets one model's sum, beta and product to those of a checkpoint."""
        self.total[model] = total
        self.betas[model] = beta
        self.products[model] = product
        self.factor[model] = beta

    def add(self, x: Array) -> None:
        """s = beta s + x, for x `[K, P]`."""
        np.multiply(self.total, self.factor, out=self.total)
        np.add(self.total, x, out=self.total)

    def flush(self) -> None:
        """Makes sums below 1e-37 zero: the sums of dead units fade for ever."""
        flush(self.total)

    def value(self, start: Array) -> Array:
        """v of each model, bias-corrected, `[K, P]`; a model without any x yet has its row of `start`."""
        values = start.copy()
        for model, product in enumerate(self.products):
            if product < 1:
                np.multiply(self.total[model], self.weight(model, corrected=True), out=values[model])
        return values

    def weight(self, model: int, *, corrected: bool) -> float:
        """The factor of the sum that gives v, with or without bias correction."""
        plain = 1 - self.betas[model]
        return plain / (1 - self.products[model]) if corrected else plain


def flush(x: Array) -> None:
    """Makes numbers below 1e-37 zero, in place: processors are slow with denormal numbers."""
    np.add(x, FLUSH, out=x)
    np.subtract(x, FLUSH, out=x)
