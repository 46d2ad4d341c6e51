"""A fully connected layer: Z = A_prev W + b."""

from __future__ import annotations

import numpy as np

from trainer.layers.compiled import compiled
from trainer.layers.parameters import Array, aligned_like, aligned_zeros, by_model


class Dense:
    """Z `[*lead, B, n]` from A_prev `[*lead, B, n_prev]`, W `[*lead, n_prev, n]` and b `[*lead, 1, n]`.

    Examples are rows here: Z = A_prev W + b is the transpose of the course's Z = W A_prev + b, and dW =
    A_prev^T dZ of its dW = dZ A_prev^T / m (the 1 / m is in the loss's dZ). This way round the slow product,
    the one with a transposed W, is that for dA_prev, which the first layer never needs. b is None before batch norm,
    which subtracts it with the mean.
    """

    def __init__(
        self, W: Array, b: Array | None, dW: Array, db: Array | None, batch: int, *, first: bool, last: bool
    ) -> None:
        self.W, self.b, self.dW, self.db = W, b, dW, db
        lead, (n_prev, n) = W.shape[:-2], W.shape[-2:]
        # The last Z lies class by class in memory, so that softmax adds and compares whole rows of examples.
        by_class, by_example = (*lead, n, batch), (*lead, batch, n)
        self.Z = aligned_zeros(by_class, W.dtype).swapaxes(-1, -2) if last else aligned_zeros(by_example, W.dtype)
        self.dA_prev = None if first else aligned_zeros((*lead, batch, n_prev), W.dtype)
        # A row apart from theta: the loop is fast on numbers that lie side by side, which b's part of theta does not.
        self.row = None if b is None or last else aligned_like(b)
        self.ones = np.ones((1, batch), W.dtype)

    def forward(self, A_prev: Array) -> Array:
        """Z = A_prev W + b; A_prev may lack the model axis (all models then see the same examples)."""
        self.A_prev = A_prev
        np.matmul(A_prev, self.W, out=self.Z)
        if self.b is None:
            return self.Z
        if self.row is None:
            return np.add(self.Z, self.b, out=self.Z)
        np.copyto(self.row, self.b)
        add_row(by_model(self.Z), by_model(self.row))
        return self.Z

    def backward(self, dZ: Array) -> Array | None:
        """dW = A_prev^T dZ, db = column sums of dZ; returns dA_prev = dZ W^T (None for the first layer)."""
        np.matmul(self.A_prev.swapaxes(-1, -2), dZ, out=self.dW)
        if self.db is not None:
            # A product with ones is three times as fast as a sum over axis -2.
            np.matmul(self.ones, dZ, out=self.db)
        return None if self.dA_prev is None else np.matmul(dZ, self.W.swapaxes(-1, -2), out=self.dA_prev)


@compiled
def add_row(Z: Array, b: Array) -> None:
    """Z += b, for Z `[K, B, n]` and b `[K, 1, n]`."""
    for k in range(len(Z)):
        for i in range(Z.shape[1]):
            for j in range(Z.shape[2]):
                Z[k, i, j] += b[k, 0, j]
