"""Streams made of real data whose distribution changes at a known portion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import rotate

from trainer.data.datasets import Dataset
from trainer.layers.parameters import Array
from trainer.streams.stream import END

PORTIONS = 40
SHIFT = 20
"""The first portion that is changed, counted from 0."""

SHIFTS = {
    "none": "nothing changes (the control)",
    "rotated": "images are turned by 90 degrees",
    "reweighted": "classes 5 to 9 take 97 % of the examples, before they had 3 %",
    "labels": "every label becomes the next one: the same image means another class",
    "noisy": "Gaussian noise of a quarter of the range is added to every pixel",
}


def portions_of(dataset: Dataset, shift: str, seed: int) -> list[tuple[Array, Array]]:
    """PORTIONS portions (X, y) of equal size, no example in two of them."""
    rng = np.random.default_rng(seed)
    X, y, classes = dataset.X, dataset.y, len(dataset.names)
    side, top = round(X.shape[1] ** 0.5), X.max()
    portions = []
    for number, rows in enumerate(_rows(y, classes, shift, rng)):
        x, label = X[rows], y[rows]
        if number >= SHIFT and shift == "rotated":
            x = rotate(x.reshape(-1, side, side), 90, axes=(1, 2), reshape=False, order=1).reshape(x.shape)
        elif number >= SHIFT and shift == "noisy":
            x = np.clip(x + rng.normal(0, 0.25 * top, x.shape), 0, top)
        elif number >= SHIFT and shift == "labels":
            label = (label + 1) % classes
        portions.append((x, label))
    return portions


def _rows(y: Array, classes: int, shift: str, rng: np.random.Generator) -> list[Array]:
    order = rng.permutation(len(y))
    size = len(y) // PORTIONS
    if shift != "reweighted":
        return [order[start : start + size] for start in range(0, PORTIONS * size, size)]
    low, high = order[y[order] < classes // 2].tolist(), order[y[order] >= classes // 2].tolist()
    few = round(0.03 * size)
    rows = []
    for number in range(PORTIONS):
        many, rare = (low, high) if number < SHIFT else (high, low)
        taken = [many.pop() for _ in range(min(size - few, len(many)))] + [rare.pop() for _ in range(few)]
        rows.append(np.array(taken))
    return rows


def write(portions: list[tuple[Array, Array]], names: tuple[str, ...], folder: Path) -> None:
    """As a stream's files, with its end."""
    for number, (X, y) in enumerate(portions):
        np.savez(folder / f"{number:03}.npz", X=X, y=y, class_names=np.array(names))
    (folder / END).touch()
