"""Transfer learning: begin with another model's layers, with a new head where the task is new, and freeze
some.

With few examples of one's own: freeze many layers and train the rest; with more: fewer, or none
(fine-tuning).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from trainer.checkpoint import Checkpoint
from trainer.config import ConfigError
from trainer.layers.parameters import Array, Parameters


def transferred(fresh: Checkpoint, source: Checkpoint) -> Checkpoint:
    """A model at step 0 with the weights and batch-norm statistics of the source's layers.

    The head, layer L, is taken too, unless config.new_head is set or the number of outputs differs; then it
    stays as drawn. The data must be normalised as the source's were: see `preparation.prepare`.

    Raises:
        ConfigError: a hidden layer, the inputs or batch_norm differ from the source's.
    """
    shape, other = fresh.architecture(), source.architecture()
    if (shape.sizes[:-1], shape.activations, shape.batch_norm) != (
        other.sizes[:-1],
        other.activations,
        other.batch_norm,
    ):
        told = f"layers {other.sizes[:-1]} with {', '.join(other.activations)}"
        raise ConfigError(f"start_from has {told}: take the same inputs, hidden layers and batch_norm.")
    parameters, given = shape.parameters((1,), fresh.theta.dtype), source.parameters()
    parameters.theta[0] = fresh.theta
    head = {f"W{shape.depth}", f"b{shape.depth}"}
    new_head = fresh.config.new_head or shape.sizes[-1] != other.sizes[-1]
    for name, values in parameters.values.items():
        if not (new_head and name in head):
            values[...] = given.values[name]
    started = dataclasses.replace(fresh, theta=parameters.theta[0])
    if "statistics" not in source.sums:
        return started
    # As the sum of an average that has seen everything: the bias correction has nothing left to do.
    beta = fresh.config.running_beta
    return dataclasses.replace(
        started,
        sums={"statistics": given.running_statistics[0] / (1 - beta)},
        betas={"statistics": beta},
        products={"statistics": 0.0},
    )


class Freezer:
    """Holds the first layers of models where they are, while the optimiser steps over all parameters."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.held: list[tuple[Array, Array, Array]] = []

    def freeze(self, layers: Sequence[int]) -> None:
        """Freezes the first so many layers of each model at their present values, and no others."""
        self.held = []
        for row, count in enumerate(layers):
            names = {f"{kind}{layer}" for kind in ("W", "b", "gamma", "beta") for layer in range(1, count + 1)}
            for name in sorted(names & set(self.parameters.values)):
                values, grads = self.parameters.values[name][row], self.parameters.grads[name][row]
                self.held.append((values, grads, values.copy()))

    def take_gradients(self) -> None:
        """Takes the frozen gradients away, so that moments and clipping do not see them."""
        for _, grads, _ in self.held:
            grads[...] = 0

    def put_back(self) -> None:
        """Puts the frozen parameters back, which decay or old moments may have moved."""
        for values, _, kept in self.held:
            np.copyto(values, kept)
