"""First weights: random, to break symmetry, and so wide that Z varies as much in each layer as in the last."""

from __future__ import annotations

import math

import numpy as np

from trainer.layers.parameters import Array


def spread(initializer: str, activation: str, n_in: int, scale: float) -> float:
    """Standard deviation of the first W of a layer with n_in inputs and this activation.

    he: sqrt(2 / n_in), for relu, which halves the variance (He et al. 2015; the course). xavier: sqrt(1 /
    n_in), for tanh and sigmoid (the course's form of Glorot and Bengio 2010). auto: the one that fits the
    activation. normal: the given scale, whatever the layer; deep networks then show vanishing or exploding
    gradients.
    """
    if initializer == "normal":
        return scale
    if initializer == "auto":
        initializer = "he" if activation in ("relu", "leaky_relu") else "xavier"
    return math.sqrt({"he": 2.0, "xavier": 1.0}[initializer] / n_in)


def draw_weights(rng: np.random.Generator, shape: tuple[int, int], deviation: float) -> Array:
    """Normal W `[n_in, n_out]` in float64; biases start at zero and need no draw."""
    return rng.standard_normal(shape) * deviation
