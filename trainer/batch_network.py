"""A network for batches of one size, with the buffers into which the examples of a batch are gathered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.layers.network import Architecture, Network
from trainer.layers.parameters import Array, Parameters, aligned_like, aligned_zeros


@dataclass(frozen=True)
class BatchNetwork:
    """The training network of K models for B examples, and its buffers X `[K, B, n]` and Y `[K, B, C]`.

    Y lies in memory as the last layer's Z does, class by class; it is gathered row by row into Y_rows first.
    """

    network: Network
    X: Array
    Y_rows: Array
    Y: Array

    @classmethod
    def build(
        cls, shape: Architecture, parameters: Parameters, batch: int, sources: Sequence[np.random.BitGenerator]
    ) -> BatchNetwork:
        """For batches of this size; sources: a bit generator for the dropout masks of each model."""
        network = Network(shape, parameters, batch, training=True, sources=sources)
        Z = network.denses[-1].Z
        X = aligned_zeros((*Z.shape[:-1], shape.sizes[0]), Z.dtype)
        return cls(network, X, aligned_zeros(Z.shape, Z.dtype), aligned_like(Z))

    def fill(self, X: Array, Y: Array, indices: Array) -> None:
        """Gathers the examples of a batch from X `[m, n]` and Y `[m, C]`; indices `[K, B]`."""
        # Without mode="clip" NumPy would gather into a buffer first.
        np.take(X, indices, axis=0, out=self.X, mode="clip")
        np.take(Y, indices, axis=0, out=self.Y_rows, mode="clip")
        np.copyto(self.Y, self.Y_rows)
