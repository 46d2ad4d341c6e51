"""Labels and outputs that a checkpoint predicts for raw examples; needs no other file than the checkpoint."""

from __future__ import annotations

import numpy as np

from trainer.analysis.evaluation import predicted_outputs
from trainer.checkpoint import Checkpoint
from trainer.layers.network import ShapeError
from trainer.layers.parameters import Array


def predict(checkpoint: Checkpoint, X: Array) -> tuple[list[str], Array]:
    """A label for each of m examples X `[m, n]` in the units of the original data, and outputs `[m, C]`.

    The kind of the targets decides what the two are:
        classes: the name of the most probable class; the probabilities of all classes.
        labels: the names with a probability of at least 0.5, joined by commas; all probabilities.
        values: the numbers in the units of the original targets, as text and as numbers.
    The prediction for an example does not depend on the other examples of X.

    Raises: ShapeError (X has another number of features than the model), ValueError (X is not finite).
    """
    outputs = predicted_outputs(checkpoint, checkpoint.normalization.apply(_checked_inputs(checkpoint, X)))
    names = checkpoint.class_names
    if checkpoint.kind == "classes":
        return [names[label] for label in outputs.argmax(axis=1)], outputs
    if checkpoint.kind == "labels":
        return [",".join(names[i] for i in np.flatnonzero(row >= 0.5)) for row in outputs], outputs
    values = checkpoint.target_normalization.undo(outputs)
    return [",".join(f"{value:.6g}" for value in row) for row in values], values


def _checked_inputs(checkpoint: Checkpoint, X: Array) -> Array:
    flat = np.asarray(X, np.float64).reshape(len(X), -1)
    if flat.shape[1] != checkpoint.inputs:
        raise ShapeError(f"The model takes {checkpoint.inputs} features; X has {flat.shape[1]}.")
    if not np.isfinite(flat).all():
        raise ValueError("X must be finite numbers; it holds NaN or infinite ones.")
    return flat
