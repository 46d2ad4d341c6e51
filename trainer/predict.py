"""Predictions of a checkpoint, from the file alone."""

from __future__ import annotations

import numpy as np

from trainer.checkpoint import Checkpoint
from trainer.network import Architecture, Network, ShapeError
from trainer.parameters import Array, Parameters

CHUNK = 1024


def predict(checkpoint: Checkpoint, X: Array) -> tuple[list[str], Array]:
    """Class names `[m]` and probabilities `[m, C]` for examples X `[m, n]` in the units of the original data.

    Raises:
        ShapeError: X has another number of features than the model. ValueError: X is not finite numbers.
    """
    flat = np.asarray(X, np.float64).reshape(len(X), -1)
    if flat.shape[1] != checkpoint.inputs:
        raise ShapeError(f"The model takes {checkpoint.inputs} features; X has {flat.shape[1]}.")
    if not np.isfinite(flat).all():
        raise ValueError("X must be finite numbers; it holds NaN or infinite ones.")
    shape = Architecture.of(checkpoint.config, checkpoint.inputs, checkpoint.outputs)
    parameters = Parameters(shape.layout(), (), checkpoint.theta.dtype)
    parameters.theta[...] = checkpoint.theta
    normal = checkpoint.normalization.apply(flat).astype(checkpoint.theta.dtype)
    probabilities = np.empty((len(normal), checkpoint.outputs), checkpoint.theta.dtype)
    for start in range(0, len(normal), CHUNK):
        x = normal[start : start + CHUNK]
        network = Network(shape, parameters, len(x))
        probabilities[start : start + CHUNK] = network.loss.forward(network.forward(x))
    return [checkpoint.class_names[label] for label in probabilities.argmax(axis=1)], probabilities
