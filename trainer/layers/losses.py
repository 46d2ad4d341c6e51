"""Losses of the last layer: its activation A = g(Z), the cost, and dZ, which is A - Y for each of them.

Z, A, Y: `[*lead, B, C]`. dZ has the division by B in it, so no layer below divides by m.
"""

from __future__ import annotations

import numpy as np

from trainer.layers.activations import sigmoid
from trainer.layers.parameters import Array, aligned_like

FLUSH = 1e-9
LOWEST = -60.0

ROUNDING = 1e-6
"""Normalised targets that differ by less are equal: float32 has 24 bits."""


class Loss:
    """A loss with its buffers for Z of this shape."""

    def __init__(self, Z: Array) -> None:
        self.A = aligned_like(Z)
        self.row = np.empty_like(Z[..., :1])
        self.share = 1 / Z.shape[-2]

    def forward(self, Z: Array) -> Array:
        """A = g(Z), the prediction."""
        raise NotImplementedError

    def costs(self, Z: Array, Y: Array) -> Array:
        """The loss of every example `[*lead, B]`; computed from Z and not from A, so that no log of 0 is taken."""
        raise NotImplementedError

    def error(self, Z: Array, Y: Array) -> Array:
        """The error for examples Z `[*lead, m, C]` with targets Y: a share, per model `[*lead]`."""
        raise NotImplementedError

    def backward(self, Y: Array) -> Array:
        """dZ = (A - Y) / B, in A's memory."""
        np.subtract(self.A, Y, out=self.A)
        # Rounds dZ to multiples of 6e-17 (in float32): products of smaller numbers become denormal, processors are
        # slow with those, and models with large logits would train at half speed.
        np.add(self.A, FLUSH, out=self.A)
        np.subtract(self.A, FLUSH, out=self.A)
        np.multiply(self.A, self.share, out=self.A)
        return self.A


class SoftmaxCrossEntropy(Loss):
    """-sum over classes of Y log A, with A = softmax(Z) and Y one-hot. Error: the share of wrong classes."""

    def forward(self, Z: Array) -> Array:
        """softmax(Z); the largest Z of an example is subtracted first, so that no exponential overflows."""
        np.maximum.reduce(Z, axis=-1, keepdims=True, out=self.row)
        np.subtract(Z, self.row, out=self.A)
        np.maximum(self.A, LOWEST, out=self.A)  # e^-60 is 0 beside 1, and not denormal
        np.exp(self.A, out=self.A)
        np.add.reduce(self.A, axis=-1, keepdims=True, out=self.row)
        np.divide(self.A, self.row, out=self.A)
        return self.A

    def costs(self, Z: Array, Y: Array) -> Array:
        shifted = Z - Z.max(axis=-1, keepdims=True)
        log_sum = np.log(np.exp(np.maximum(shifted, LOWEST)).sum(axis=-1))
        costs: Array = log_sum * Y.sum(axis=-1) - (shifted * Y).sum(axis=-1)
        return costs

    def error(self, Z: Array, Y: Array) -> Array:
        wrong: Array = (Z.argmax(axis=-1) != Y.argmax(axis=-1)).mean(axis=-1)
        return wrong


class Logistic(Loss):
    """-sum over labels of Y log A + (1 - Y) log(1 - A), with A = sigmoid(Z): multi-task, C labels an example.

    A missing label (Y is NaN) has no loss and no gradient. Error: the share of wrong ones among the labels given.
    """

    def __init__(self, Z: Array) -> None:
        super().__init__(Z)
        self.missing = np.empty_like(Z, np.bool_)

    def forward(self, Z: Array) -> Array:
        return sigmoid(Z, self.A)

    def costs(self, Z: Array, Y: Array) -> Array:
        # log(1 + e^Z) - Y Z, written so that it does not overflow.
        each = np.maximum(Z, 0) - Y * Z + np.log1p(np.exp(-np.abs(Z)))
        costs: Array = np.where(np.isnan(Y), 0, each).sum(axis=-1)
        return costs

    def error(self, Z: Array, Y: Array) -> Array:
        wrong = ((Z > 0) != (Y > 0.5)) & ~np.isnan(Y)
        share: Array = wrong.sum(axis=(-1, -2)) / np.maximum(1, (~np.isnan(Y)).sum(axis=(-1, -2)))
        return share

    def backward(self, Y: Array) -> Array:
        """dZ = (A - Y) / B where Y is given, 0 where it is missing."""
        super().backward(Y)
        np.isnan(Y, out=self.missing)
        if self.missing.any():
            np.copyto(self.A, 0, where=self.missing)
        return self.A


class Squared(Loss):
    """Half the sum of (A - Y)^2, with A = Z. Error: the share of the variance of Y left unexplained, 1 - R^2.

    Where the targets Y of a part do not differ, the variance that they were normalised with, 1, takes the place of
    theirs.
    """

    def forward(self, Z: Array) -> Array:
        np.copyto(self.A, Z)
        return self.A

    def costs(self, Z: Array, Y: Array) -> Array:
        costs: Array = np.square(Z - Y).sum(axis=-1) / 2
        return costs

    def error(self, Z: Array, Y: Array) -> Array:
        spread = np.square(Y - Y.mean(axis=-2, keepdims=True)).sum(axis=(-1, -2))
        own = spread if has_spread(Y) else Y.shape[-2] * Y.shape[-1]
        share: Array = np.square(Z - Y).sum(axis=(-1, -2)) / own
        return share


def has_spread(Y: Array) -> bool:
    """Whether normalised targets Y `[*lead, m, C]` differ by more than float32 rounds them by."""
    exact = Y.astype(np.float64)
    return bool((exact.std(axis=-2) > ROUNDING * np.maximum(1, np.abs(exact.mean(axis=-2)))).any())


LOSSES: dict[str, type[Loss]] = {"softmax": SoftmaxCrossEntropy, "logistic": Logistic, "squared": Squared}

LOSS_OF = {"classes": "softmax", "labels": "logistic", "values": "squared"}
"""The loss for each kind of targets, see `datasets.Dataset`."""
