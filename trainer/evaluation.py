"""How good models are on a part of the data: mean loss (without the L2 term) and share of errors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from trainer.network import Architecture, Network
from trainer.parameters import Array, Parameters

CHUNK = 512
"""Examples evaluated at once: few enough for the activations to stay in the cache."""


class Score(NamedTuple):
    """loss and error of each model, `[K]` each; an error is a share, 0 .. 1.

    not_finite: the models (by row) whose loss is NaN or infinite, and the layer in which that began.
    """

    loss: Array
    error: Array
    not_finite: dict[int, str]


class Evaluator:
    """Measures K models that share parameters, with dropout off. Every model sees the same examples."""

    def __init__(self, shape: Architecture, parameters: Parameters) -> None:
        self.shape = shape
        self.parameters = parameters
        self.networks: dict[int, Network] = {}

    def score(self, X: Array, Y: Array) -> Score:
        """Loss and error on examples X `[m, n]` with targets Y `[m, C]`, m > 0."""
        models = len(self.parameters.theta)
        losses, errors = np.zeros(models), np.zeros(models)
        not_finite: dict[int, str] = {}
        for start in range(0, len(X), CHUNK):
            x, y = X[start : start + CHUNK], Y[start : start + CHUNK]
            network = self._network(len(x))
            Z = network.forward(x)
            losses += network.loss.costs(Z, y).sum(axis=-1, dtype=np.float64)
            errors += network.loss.mistakes(Z, y).sum(axis=-1, dtype=np.float64)
            for row in np.flatnonzero(~np.isfinite(losses)).tolist():
                not_finite.setdefault(row, network.first_not_finite(row) or "loss")
        return Score(losses / len(X), errors / len(X), not_finite)

    def _network(self, batch: int) -> Network:
        if batch not in self.networks:
            self.networks[batch] = Network(self.shape, self.parameters, batch)
        return self.networks[batch]
