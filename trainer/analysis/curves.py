"""Loss curves that stay small: of many points, some that are evenly spread, the ends among them."""

from __future__ import annotations


def kept(epoch: int, epochs: int, limit: int = 500) -> bool:
    """Whether a curve of at most `limit` points shows this epoch of a run of so many, both counted from 1.

    The first and the last epoch always; a run that was extended on its way stays even from there on.
    """
    if epochs <= limit or epoch in (1, epochs):
        return True
    return epoch * (limit - 1) // epochs != (epoch - 1) * (limit - 1) // epochs
