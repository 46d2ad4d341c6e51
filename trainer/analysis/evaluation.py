"""How good models are on a part of the data: mean loss (without the L2 term) and error."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from trainer.layers.losses import LOSSES
from trainer.layers.network import Architecture, Network
from trainer.layers.parameters import Array, Parameters

FEW, MANY = 64, 512
SMALL = 1 << 16
"""Examples evaluated at once: few for networks of up to so many parameters, whose W stay in the cache, so that the
activations do, too; many for larger ones, which read all W for each chunk."""


class Score(NamedTuple):
    """loss and error of each model, `[K]` each; what an error is says the loss.

    not_finite: the models (by row) whose outputs are NaN or infinite, and the layer in which that began.
    """

    loss: Array
    error: Array
    not_finite: dict[int, str]


class Evaluator:
    """Measures K models that share parameters, as at test time. Every model sees the same examples."""

    def __init__(self, shape: Architecture, parameters: Parameters) -> None:
        self.shape = shape
        self.parameters = parameters
        self.networks: dict[int, Network] = {}
        self.not_finite: dict[int, str] = {}

    def score(self, X: Array, Y: Array) -> Score:
        """Loss and error on examples X `[m, n]` with targets Y `[m, C]`, m > 0."""
        return self.score_of(self.outputs(X), Y)

    def score_of(self, Z: Array, Y: Array) -> Score:
        """The same of the newest `outputs`."""
        loss = LOSSES[self.shape.loss](Z)
        return Score(loss.costs(Z, Y).mean(axis=-1, dtype=np.float64), loss.error(Z, Y), self.not_finite)

    def activations(self, X: Array) -> Array:
        """A[L] `[K, m, C]`: probabilities, or values."""
        return self.activations_of(self.outputs(X))

    def activations_of(self, Z: Array) -> Array:
        """The same of outputs Z[L]."""
        return LOSSES[self.shape.loss](Z).forward(Z)

    def outputs(self, X: Array) -> Array:
        """Z[L] `[K, m, C]`."""
        models, outputs = len(self.parameters.theta), self.shape.sizes[-1]
        # Class by class in memory, as losses want it.
        Z = np.empty((models, outputs, len(X)), self.parameters.theta.dtype).swapaxes(-1, -2)
        self.not_finite = {}
        chunk = FEW if self.parameters.layout.size <= SMALL else MANY
        for start in range(0, len(X), chunk):
            x, z = X[start : start + chunk], Z[:, start : start + chunk]
            network = self._network(len(x))
            z[...] = network.forward(x)
            for row in np.flatnonzero(~np.isfinite(z).all(axis=(-1, -2))).tolist():
                self.not_finite.setdefault(row, network.first_not_finite(row) or "the last layer")
        return Z

    def _network(self, batch: int) -> Network:
        if batch not in self.networks:
            self.networks[batch] = Network(self.shape, self.parameters, batch)
        return self.networks[batch]
