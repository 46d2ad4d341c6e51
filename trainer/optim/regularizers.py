"""L2 regularisation: J gains l2 / 2 times the sum of squared weights, dW gains l2 W. On W only, never on b.

The course writes lambda / (2 m); `l2` here is its lambda / m, which does not change its meaning with m.
"""

from __future__ import annotations

import numpy as np

from trainer.layers.compiled import compiled
from trainer.layers.parameters import Array


def l2_cost(weights: Array, l2: float) -> Array:
    """l2 / 2 times the sum of squares of the flat W part `[*lead, P_W]`, per model `[*lead]`."""
    cost: Array = l2 / 2 * np.square(weights).sum(axis=-1)
    return cost


@compiled
def add_l2_gradient(theta: Array, grad: Array, l2: Array, weights: int) -> None:
    """grad += l2 W, in the first `weights` columns of theta and grad `[K, P]`; l2 `[K, 1]`."""
    for k in range(len(theta)):
        for i in range(weights):
            grad[k, i] += theta[k, i] * l2[k, 0]
