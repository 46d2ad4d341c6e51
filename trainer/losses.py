"""Losses of the last layer: its activation A = g(Z), the cost, and dZ, which is A - Y for each of them.

Z, A, Y: `[*lead, B, C]`. The mean over the B examples is part of dZ, so no layer below divides by m.
"""

from __future__ import annotations

import numpy as np

from trainer.parameters import Array


class Loss:
    """A loss with its buffers for Z of this shape."""

    def __init__(self, Z: Array) -> None:
        self.A = np.empty_like(Z)
        self.row = np.empty_like(Z[..., :1])
        self.share = 1 / Z.shape[-2]

    def forward(self, Z: Array) -> Array:
        """A = g(Z): what the model predicts."""
        raise NotImplementedError

    def costs(self, Z: Array, Y: Array) -> Array:
        """The loss of every example `[*lead, B]`, from Z and not from A, so that no log of 0 is taken."""
        raise NotImplementedError

    def mistakes(self, Z: Array, Y: Array) -> Array:
        """How wrong each example is, 0 .. 1 `[*lead, B]`; their mean is the error that metrics report."""
        raise NotImplementedError

    def backward(self, Y: Array) -> Array:
        """dZ = (A - Y) / B, in A's memory."""
        np.subtract(self.A, Y, out=self.A)
        np.multiply(self.A, self.share, out=self.A)
        return self.A


class SoftmaxCrossEntropy(Loss):
    """-sum over classes of Y log A, with A = softmax(Z) and Y one-hot."""

    def forward(self, Z: Array) -> Array:
        """softmax(Z); the largest Z of an example is taken away first, so that no exponential overflows."""
        np.maximum.reduce(Z, axis=-1, keepdims=True, out=self.row)
        np.subtract(Z, self.row, out=self.A)
        np.exp(self.A, out=self.A)
        np.add.reduce(self.A, axis=-1, keepdims=True, out=self.row)
        np.divide(self.A, self.row, out=self.A)
        return self.A

    def costs(self, Z: Array, Y: Array) -> Array:
        shifted = Z - Z.max(axis=-1, keepdims=True)
        log_sum = np.log(np.exp(shifted).sum(axis=-1))
        costs: Array = log_sum * Y.sum(axis=-1) - (shifted * Y).sum(axis=-1)
        return costs

    def mistakes(self, Z: Array, Y: Array) -> Array:
        wrong: Array = Z.argmax(axis=-1) != Y.argmax(axis=-1)
        return wrong


LOSSES: dict[str, type[Loss]] = {"softmax": SoftmaxCrossEntropy}
