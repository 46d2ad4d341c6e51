"""Transfer learning: start from another model's layers, with a new head if the task is new, and freeze some layers.

With few examples of the new task freeze many layers and train the rest; with more examples freeze fewer, or none
(fine-tuning).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from trainer.checkpoint import Checkpoint
from trainer.config import ConfigError
from trainer.layers.network import Architecture
from trainer.layers.parameters import Array, Parameters


def transferred(first: Checkpoint, source: Checkpoint) -> Checkpoint:
    """A model at step 0 with the weights and batch-norm statistics of the source's layers.

    The head, layer L, stays as it was drawn if config.new_head is set or the number of outputs differs; otherwise it is
    the source's, too. The data must be normalised as the source's were: see `preparation.prepare`.

    Raises: ConfigError (a hidden layer, the inputs or batch_norm differ from the source's).
    """
    shape, other = first.architecture(), source.architecture()
    _check_alike(shape, other)
    parameters, given = shape.parameters((1,), first.theta.dtype), source.parameters()
    parameters.theta[0] = first.theta
    head = {f"W{shape.depth}", f"b{shape.depth}"}
    new_head = first.config.new_head or shape.sizes[-1] != other.sizes[-1]
    for name, values in parameters.values.items():
        if not (new_head and name in head):
            values[...] = given.values[name]
    started = dataclasses.replace(first, theta=parameters.theta[0])
    if "statistics" not in source.sums:
        return started
    # As the sum of an average over infinitely many steps: it needs no bias correction.
    beta = first.config.running_beta
    return dataclasses.replace(
        started,
        sums={"statistics": given.running_statistics[0] / (1 - beta)},
        betas={"statistics": beta},
        products={"statistics": 0.0},
    )


def _check_alike(shape: Architecture, source: Architecture) -> None:
    """Of the inputs, the hidden layers and batch norm; the heads may differ."""
    if (shape.sizes[:-1], shape.activations, shape.batch_norm) != (
        source.sizes[:-1],
        source.activations,
        source.batch_norm,
    ):
        layers = f"layers {source.sizes[:-1]} with {', '.join(source.activations)}"
        raise ConfigError(f"start_from has {layers}: take the same inputs, hidden layers and batch_norm.")


class Freezer:
    """Keeps the first layers of models as they are, while the optimiser steps over all parameters."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.frozen: list[tuple[Array, Array, Array]] = []

    def freeze(self, layers: Sequence[int]) -> None:
        """Freezes the first so many layers of each model at their present values, and no others."""
        self.frozen = []
        for row, count in enumerate(layers):
            names = {f"{kind}{layer}" for kind in ("W", "b", "gamma", "beta") for layer in range(1, count + 1)}
            for name in sorted(names & set(self.parameters.values)):
                values, grads = self.parameters.values[name][row], self.parameters.grads[name][row]
                self.frozen.append((values, grads, values.copy()))

    def zero_gradients(self) -> None:
        """Makes the frozen gradients zero, so that moments and clipping do not count them."""
        for _, grads, _ in self.frozen:
            grads[...] = 0

    def restore_values(self) -> None:
        """Undoes what weight decay or old moments did to the frozen parameters."""
        for values, _, frozen in self.frozen:
            np.copyto(values, frozen)
