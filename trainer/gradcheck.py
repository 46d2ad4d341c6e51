"""Gradient checking: does backward agree with the change of the cost under small steps?

The slope of J along a direction d is d . grad. The two-sided difference (J(theta + h d) - J(theta - h d)) / 2h gives it
without backward, with an error of order h^2. One random d for each parameter (W1, b1, ..) finds a mistake anywhere in
that parameter and names its layer, for two costs a parameter instead of two a number. As in the course: check in
float64, with the regulariser, without dropout (its masks would differ from cost to cost), and again after some
training, when the weights have moved away from their first values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trainer.layers.network import Network
from trainer.layers.parameters import Array
from trainer.optim.regularizers import add_l2_gradient, l2_cost


class GradientCheckError(ValueError):
    """The check can say nothing about this network."""


@dataclass(frozen=True)
class GradientReport:
    """relative_errors: |difference - backward| / (|difference| + |backward|), by parameter name."""

    relative_errors: dict[str, float]

    @property
    def worst(self) -> str:
        """The name of the parameter with the largest error."""
        return max(self.relative_errors, key=lambda name: self.relative_errors[name])

    @property
    def largest(self) -> float:
        """The largest error. By the course, one below 1e-7 is right, and one above 1e-3 is wrong."""
        return self.relative_errors[self.worst]


def slope(cost: Callable[[], float], at: Array, direction: Array, h: float = 1e-5) -> float:
    """Two-sided difference of the cost along a direction of the array `at`, which the cost reads; `at` is restored.

    h = 1e-5 balances the error of the difference, h^2, against float64's rounding, 1e-16 / h.
    """
    here = at.copy()
    at += h * direction
    above = cost()
    at[...] = here - h * direction
    below = cost()
    at[...] = here
    return (above - below) / (2 * h)


def check_network(network: Network, X: Array, Y: Array, rng: np.random.Generator, l2: float = 0.0) -> GradientReport:
    """Compares backward with differences for each parameter of a network (without model axis) on one batch.

    Raises: GradientCheckError (dropout is on, or the parameters are not float64).
    """
    parameters = network.parameters
    if any(dropout.active for dropout in network.dropouts):
        raise GradientCheckError("Gradients cannot be checked with dropout: its masks change between two costs.")
    if parameters.theta.dtype != np.float64:
        raise GradientCheckError("Gradients are checked in float64: in float32 the differences are all rounding.")
    weights = slice(0, parameters.layout.weights)

    def cost() -> float:
        return float(network.cost(X, Y) + l2_cost(parameters.theta[weights], l2))

    network.gradients(X, Y)
    add_l2_gradient(parameters.theta[None], parameters.grad[None], np.full((1, 1), l2), parameters.layout.weights)
    # A slope that is tiny beside the whole gradient (of beta before another batch norm) is all rounding.
    floor = 1e-4 * float(np.linalg.norm(parameters.grad))
    errors = {}
    for name, values in parameters.values.items():
        direction = rng.standard_normal(values.shape)
        numeric = slope(cost, values, direction / np.linalg.norm(direction))
        analytic = float(np.vdot(parameters.grads[name], direction) / np.linalg.norm(direction))
        errors[name] = abs(numeric - analytic) / max(abs(numeric) + abs(analytic), floor)
    return GradientReport(errors)
