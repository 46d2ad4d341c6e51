"""How good models are on a part of the data: mean loss (without the L2 term) and error."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from trainer.checkpoint import Checkpoint
from trainer.layers.losses import LOSSES
from trainer.layers.network import Architecture, Network
from trainer.layers.parameters import Array, Parameters

SMALL_CHUNK, LARGE_CHUNK = 64, 512
SMALL_NETWORK = 1 << 16
"""Examples that are evaluated at once. Networks of up to SMALL_NETWORK parameters take small chunks: their weights stay
in the cache, so their activations should as well. Larger networks read all weights for each chunk, so they take few
large ones."""


class Score(NamedTuple):
    """loss and error of each model, `[K]` each; the class of the loss defines the error.

    not_finite: the models (by row) whose outputs are NaN or infinite, and the layer in which that began.
    """

    loss: Array
    error: Array
    not_finite: dict[int, str]


class Evaluator:
    """Measures K models of one architecture with their test-time parameters, all on the same examples."""

    def __init__(self, shape: Architecture, parameters: Parameters) -> None:
        self.shape = shape
        self.parameters = parameters
        self.networks: dict[int, Network] = {}
        self.not_finite: dict[int, str] = {}

    def score(self, X: Array, Y: Array) -> Score:
        """Loss and error on examples X `[m, n]` with targets Y `[m, C]`, m > 0."""
        return self.score_outputs(self.outputs(X), Y)

    def score_outputs(self, Z: Array, Y: Array) -> Score:
        """Loss and error of Z `[K, m, C]`, which the last call of `outputs` gave."""
        loss = LOSSES[self.shape.loss](Z)
        return Score(loss.costs(Z, Y).mean(axis=-1, dtype=np.float64), loss.error(Z, Y), self.not_finite)

    def activate(self, Z: Array) -> Array:
        """A[L] `[K, m, C]` of outputs Z[L]: probabilities, or values."""
        return LOSSES[self.shape.loss](Z).forward(Z)

    def outputs(self, X: Array) -> Array:
        """Z[L] `[K, m, C]` of examples X `[m, n]`."""
        models, outputs = len(self.parameters.theta), self.shape.sizes[-1]
        # Class by class in memory, as losses want it.
        Z = np.empty((models, outputs, len(X)), self.parameters.theta.dtype).swapaxes(-1, -2)
        self.not_finite = {}
        chunk = SMALL_CHUNK if self.parameters.layout.size <= SMALL_NETWORK else LARGE_CHUNK
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


def predicted_outputs(checkpoint: Checkpoint, X: Array) -> Array:
    """A[L] `[m, C]` of a checkpoint's model for examples X `[m, n]` that are normalised already, as in a `Part`."""
    evaluator = Evaluator(checkpoint.architecture(), checkpoint.parameters())
    with np.errstate(all="ignore"):
        Z = evaluator.outputs(X.astype(checkpoint.theta.dtype, copy=False))
        outputs: Array = evaluator.activate(Z)[0]
    return outputs
