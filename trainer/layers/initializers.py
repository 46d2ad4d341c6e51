"""First weights: random, to break symmetry, and scaled so that Z varies as much in each layer as in the last.

To add one: a function here and its name in INITIALIZERS; then the name in `sturgeon.training.Initializer`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from trainer.layers.activations import ACTIVATIONS
from trainer.layers.parameters import Array


def he(n_in: int, _scale: float) -> float:
    """sqrt(2 / n_in), for relu, which halves the variance (He et al. 2015; the course)."""
    return math.sqrt(2.0 / n_in)


def xavier(n_in: int, _scale: float) -> float:
    """sqrt(1 / n_in), for tanh and sigmoid (the course's form of Glorot and Bengio 2010)."""
    return math.sqrt(1.0 / n_in)


def normal(_n_in: int, scale: float) -> float:
    """The given scale in every layer: in deep networks gradients then vanish or explode."""
    return scale


INITIALIZERS: dict[str, Callable[[int, float], float]] = {"he": he, "xavier": xavier, "normal": normal}
"""By name: the standard deviation of a layer's first W, from its number of inputs and `init_scale`."""


def weight_deviation(initializer: str, activation: str, n_in: int, scale: float) -> float:
    """Standard deviation of the first W of a layer with n_in inputs and this activation; auto: as suits it."""
    name = ACTIVATIONS[activation].initializer if initializer == "auto" else initializer
    return INITIALIZERS[name](n_in, scale)


def draw_weights(rng: np.random.Generator, shape: tuple[int, int], deviation: float) -> Array:
    """Normal W `[n_in, n_out]` in float64; biases start at zero and need no draw."""
    return rng.standard_normal(shape) * deviation
