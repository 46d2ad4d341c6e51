"""Loss curves that stay small: a long curve shows some of its epochs, evenly spread, and both ends."""

from __future__ import annotations


def shows_epoch(epoch: int, epochs: int, limit: int = 500) -> bool:
    """Whether a curve of at most `limit` points shows this epoch, counted from 1, of a run of `epochs` epochs.

    It always shows the first and the last one. If `epochs` is raised during a run, the points are even from there on.
    """
    if epochs <= limit or epoch in (1, epochs):
        return True
    return epoch * (limit - 1) // epochs != (epoch - 1) * (limit - 1) // epochs
