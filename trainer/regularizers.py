"""L2 regularisation: J gains l2 / 2 times the sum of squared weights, dW gains l2 W. On W only, never on b.

The course writes lambda / (2 m); `l2` here is its lambda / m, which does not change its meaning with m.
"""

from __future__ import annotations

import numpy as np

from trainer.parameters import Array


def l2_cost(weights: Array, l2: float) -> Array:
    """l2 / 2 times the sum of squares of the flat W part `[*lead, P_W]`, per model `[*lead]`."""
    cost: Array = l2 / 2 * np.square(weights).sum(axis=-1)
    return cost


def add_l2_gradient(weights: Array, grad: Array, l2: Array | float, scratch: Array) -> None:
    """grad += l2 W, on flat W parts of one shape `[*lead, n]`; l2 is a number or `[*lead, 1]`."""
    np.multiply(weights, l2, out=scratch)
    np.add(grad, scratch, out=grad)
