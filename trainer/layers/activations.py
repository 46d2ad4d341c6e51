"""Activations g: A = g(Z), and dZ = dA * g'(Z), each forward beside its backward.

Z, A, dA: `[*lead, B, n]` (B examples, n units; the course writes the transpose, n x m). An activation owns the A of its
layer and the buffers of its backward, which writes dZ over dA. All slopes are computed from A.

To add one: a class here and its name in ACTIVATIONS; then the name in `sturgeon.training.Activation`.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from trainer.layers.compiled import compiled
from trainer.layers.parameters import Array, aligned_like


class Activation:
    """g of one layer, with its buffers for Z of this shape. initializer: the one that suits g, used for "auto"."""

    initializer: ClassVar[str] = "xavier"

    def __init__(self, Z: Array) -> None:
        self.A, self.slope = aligned_like(Z), aligned_like(Z)

    def forward(self, Z: Array) -> Array:
        """A = g(Z)."""
        raise NotImplementedError

    def backward(self, dA: Array) -> Array:
        """dZ = dA * g'(Z), in dA's memory."""
        raise NotImplementedError


class Linear(Activation):
    """g(Z) = Z."""

    def forward(self, Z: Array) -> Array:
        return Z

    def backward(self, dA: Array) -> Array:
        return dA


class Relu(Activation):
    """max(0, Z), in Z's memory. Its slope at 0 is taken as 0."""

    leak: ClassVar[float] = 0.0
    initializer = "he"

    def __init__(self, Z: Array) -> None:
        self.A = Z

    def forward(self, Z: Array) -> Array:
        rectify(Z.reshape(-1, copy=False), self.leak)
        return Z

    def backward(self, dA: Array) -> Array:
        times_slope(dA.reshape(-1, copy=False), self.A.reshape(-1), self.leak)
        return dA


class LeakyRelu(Relu):
    """max(0.01 Z, Z): no unit is ever dead. The slope of 0.01 is the course's."""

    leak = 0.01


@compiled
def rectify(Z: Array, leak: float) -> None:
    """Z *= 1 where Z > 0, and leak elsewhere; NaN stays NaN. Flat."""
    for i in range(len(Z)):
        Z[i] *= Z.dtype.type(leak if Z[i] <= 0 else 1.0)


@compiled
def times_slope(dA: Array, A: Array, leak: float) -> None:
    """dA *= 1 where A > 0, and leak elsewhere. All flat."""
    for i in range(len(dA)):
        dA[i] *= dA.dtype.type(1.0 if A[i] > 0 else leak)


class Tanh(Activation):
    """tanh Z; g' = 1 - A^2."""

    def forward(self, Z: Array) -> Array:
        return np.tanh(Z, out=self.A)

    def backward(self, dA: Array) -> Array:
        np.multiply(self.A, self.A, out=self.slope)
        np.subtract(1, self.slope, out=self.slope)
        return np.multiply(dA, self.slope, out=dA)


class Sigmoid(Activation):
    """1 / (1 + e^-Z); g' = A (1 - A)."""

    def forward(self, Z: Array) -> Array:
        return sigmoid(Z, self.A)

    def backward(self, dA: Array) -> Array:
        np.subtract(1, self.A, out=self.slope)
        np.multiply(self.slope, self.A, out=self.slope)
        return np.multiply(dA, self.slope, out=dA)


def sigmoid(Z: Array, out: Array) -> Array:
    """1 / (1 + e^-Z) into out, as (1 + tanh(Z / 2)) / 2, which never overflows."""
    np.multiply(Z, 0.5, out=out)
    np.tanh(out, out=out)
    np.add(out, 1, out=out)
    return np.multiply(out, 0.5, out=out)


ACTIVATIONS: dict[str, type[Activation]] = {
    "relu": Relu,
    "leaky_relu": LeakyRelu,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "linear": Linear,
}
