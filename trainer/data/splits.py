"""Splitting into train, dev and test: seeded, and with the same shares of the classes in each part."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trainer.data.errors import DataError
from trainer.layers.parameters import Array

LARGEST_PART = 10_000
"""Dev and test need enough examples to tell models apart, and no more, however many there are (the course)."""


def shares(m: int, dev_share: float | str, test_share: float | str) -> tuple[float, float]:
    """The shares of dev and test; "auto" depends on the number of examples m, as in the course:

    60 / 20 / 20 up to 50,000 examples, then 10,000 each: 98 / 1 / 1 at a million. Without a dev part 70 / 30.
    """
    dev = min(0.2, LARGEST_PART / m) if isinstance(dev_share, str) else dev_share
    if isinstance(test_share, str):
        test_share = min(0.2 if dev else 0.3, LARGEST_PART / m)
    return dev, test_share


def stratified(y: Array, wanted: Mapping[str, float], seed: int) -> dict[str, Array]:
    """Splits m examples with classes y `[m]` into parts of round(share m) rows each; the rest is "train".

    The r-th of the n_c examples of a class, in random order, gets the position (r + 1/2) / n_c. Sorted by position,
    any run of examples holds each class in its share, so the first part is the first run, and so on. A class
    with a single example goes to train. Gives row numbers by part name, in ascending order.

    Raises: DataError (a share that was asked for is less than one example, or nothing is left to train).
    """
    m = len(y)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(m)
    places = np.empty(m)
    for label in np.unique(y):
        members = shuffled[y[shuffled] == label]
        places[members] = (np.arange(len(members)) + 0.5) / len(members)
    order = shuffled[np.argsort(places[shuffled], kind="stable")]
    parts, start = {}, 0
    for name, share in wanted.items():
        stop = start + round(share * m)
        if share > 0 and stop == start:
            raise DataError(f"The {name} part would be empty: {share:g} of {m} examples is less than one.")
        parts[name], start = np.sort(order[start:stop]), stop
    if start >= m:
        sizes = ", ".join(f"{name} takes {len(rows)}" for name, rows in parts.items())
        raise DataError(f"No examples are left to train: {sizes} of {m}.")
    return parts | {"train": np.sort(order[start:])}
