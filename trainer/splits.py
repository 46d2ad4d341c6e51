"""Train, dev and test parts: seeded, and with the same mix of classes in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainer.datasets import DataError
from trainer.parameters import Array


@dataclass(frozen=True)
class Split:
    """Row numbers of a data set; each row is in exactly one part."""

    train: Array
    dev: Array
    test: Array


def stratified(y: Array, dev_share: float, test_share: float, seed: int) -> Split:
    """Splits m examples with classes y `[m]` into round(share m) for dev and for test, and the rest to train.

    The r-th of the n_c examples of a class, in random order, gets the place (r + 1/2) / n_c. Sorted by place,
    any run of examples holds each class in its share, so dev is the first run, test the next. A class with a
    single example goes to train.

    Raises:
        DataError: a share that was asked for comes out empty, or nothing is left to train.
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(y))
    places = np.empty(len(y))
    for label in np.unique(y):
        members = shuffled[y[shuffled] == label]
        places[members] = (np.arange(len(members)) + 0.5) / len(members)
    order = shuffled[np.argsort(places[shuffled], kind="stable")]
    dev, test = round(dev_share * len(y)), round(test_share * len(y))
    for part, share, size in (("dev", dev_share, dev), ("test", test_share, test)):
        if share > 0 and size == 0:
            raise DataError(
                f"The {part} part would be empty: {share:g} of {len(y)} examples is less than one."
            )
    if dev + test >= len(y):
        raise DataError(f"No examples are left to train: dev takes {dev} and test {test} of {len(y)}.")
    return Split(
        train=np.sort(order[dev + test :]), dev=np.sort(order[:dev]), test=np.sort(order[dev : dev + test])
    )
