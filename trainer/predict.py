"""Predictions of a checkpoint, from the file alone."""

from __future__ import annotations

import numpy as np

from trainer.analysis.evaluation import Evaluator
from trainer.checkpoint import Checkpoint
from trainer.layers.network import ShapeError
from trainer.layers.parameters import Array


def predict(checkpoint: Checkpoint, X: Array) -> tuple[list[str], Array]:
    """A label for each of m examples X `[m, n]` in the units of the original data, and outputs `[m, C]`.

    classes: the name of the most probable class, and the probabilities. labels: the names of those with a
    probability of at least a half, joined by commas, and the probabilities. values: the numbers, in the units
    of the original targets, as text and as numbers. One example alone gives what it gives among many.

    Raises:
        ShapeError: X has another number of features than the model. ValueError: X is not finite numbers.
    """
    outputs = predicted(checkpoint, checkpoint.normalization.apply(_checked(checkpoint, X)))
    names = checkpoint.class_names
    if checkpoint.kind == "classes":
        return [names[label] for label in outputs.argmax(axis=1)], outputs
    if checkpoint.kind == "labels":
        return [",".join(names[i] for i in np.flatnonzero(row >= 0.5)) for row in outputs], outputs
    values = checkpoint.target_normalization.undo(outputs)
    return [",".join(f"{value:.6g}" for value in row) for row in values], values


def predicted(checkpoint: Checkpoint, X: Array) -> Array:
    """A[L] `[m, C]` for examples X `[m, n]` that are normalised already, as those of a `Part` are."""
    evaluator = Evaluator(checkpoint.architecture(), checkpoint.parameters())
    with np.errstate(all="ignore"):
        outputs: Array = evaluator.activations(X.astype(checkpoint.theta.dtype, copy=False))[0]
    return outputs


def _checked(checkpoint: Checkpoint, X: Array) -> Array:
    flat = np.asarray(X, np.float64).reshape(len(X), -1)
    if flat.shape[1] != checkpoint.inputs:
        raise ShapeError(f"The model takes {checkpoint.inputs} features; X has {flat.shape[1]}.")
    if not np.isfinite(flat).all():
        raise ValueError("X must be finite numbers; it holds NaN or infinite ones.")
    return flat
