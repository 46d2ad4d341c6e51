"""Wrong labels: adding some, to see how robust training is; and finding labels that look wrong.

The course: deep learning is robust to random errors in the training labels, less so to systematic ones.
"""

from __future__ import annotations

import numpy as np

from trainer.layers.parameters import Array


def with_noise(y: Array, classes: int, share: float, seed: int) -> Array:
    """Labels y `[m]` with round(share m) of them replaced by another class, each equally likely."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(3,)))
    rows = rng.permutation(len(y))[: round(share * len(y))]
    noisy = y.copy()
    noisy[rows] = (y[rows] + rng.integers(1, classes, len(rows))) % classes
    return noisy


def suspected(probabilities: Array, y: Array) -> Array:
    """The examples whose labels y `[m]` look wrong to a model with these probabilities `[m, C]`: their positions, those
    with the smallest p(label) first.

    Confident learning (Northcutt et al. 2021): the model is confident of class j for an example if p(j) is at least the
    mean of p(j) over the examples labelled j; so a class that it is often unsure of is not suspected as a whole. A
    label looks wrong if the most probable class that the model is confident of is another one.
    """
    classes = probabilities.shape[1]
    members = y[:, None] == np.arange(classes)
    counts = np.maximum(members.sum(axis=0), 1)
    thresholds = np.where(members.any(axis=0), (probabilities * members).sum(axis=0) / counts, np.inf)
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    best = confident.argmax(axis=1)
    rows = np.flatnonzero((confident.max(axis=1) > 0) & (best != y))
    order: Array = rows[np.argsort(probabilities[rows, y[rows]], kind="stable")]
    return order
