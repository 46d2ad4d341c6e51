"""Mini-batches: each epoch goes through all examples in a new random order; the last batch may be smaller."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.layers.parameters import Array


def example_order(seed: int, epoch: int, m: int, again: int = 0) -> Array:
    """The order of the m training examples in this epoch. A function of its arguments, so that nothing is stored.

    again: the number of the pass within the epoch, from 0.
    """
    stream = np.random.SeedSequence(seed, spawn_key=(1, epoch, again) if again else (1, epoch))
    return np.random.Generator(np.random.PCG64(stream)).permutation(m)


def batch_size_for(wanted: int | str, m: int) -> int:
    """Examples in a batch: a number (at most m), "full" for all m, or "auto".

    auto is the course's rule: all if there are fewer than 2000, else a power of 2 from 64 to 512; which one is chosen
    so that an epoch has at least 256 steps.
    """
    if wanted == "full" or (wanted == "auto" and m < 2000):
        return m
    if isinstance(wanted, str):
        return int(min(512, max(64, 2 ** int(np.log2(m / 256)))))
    return min(wanted, m)


def batches_per_epoch(m: int, batch_size: int, passes: int = 1) -> int:
    """Steps in an epoch; the last batch of each pass counts, even if it is smaller."""
    return -(-m // batch_size) * passes


class Batches:
    """The batches of one epoch for K models, each in the order of its own seed; passes: through the examples."""

    def __init__(self, m: int, batch_size: int, seeds: Sequence[int], epoch: int, passes: int = 1) -> None:
        self.indices: list[Array] = []
        for again in range(passes):
            orders = np.stack([example_order(seed, epoch, m, again) for seed in seeds])
            # Each batch's indices in memory of their own: np.take copies strided indices at every call.
            self.indices += [
                np.ascontiguousarray(orders[:, start : start + batch_size]) for start in range(0, m, batch_size)
            ]

    def __getitem__(self, position: int) -> Array:
        """Indices `[K, B]` of the batch at this position in the epoch."""
        return self.indices[position]

    def __len__(self) -> int:
        return len(self.indices)
