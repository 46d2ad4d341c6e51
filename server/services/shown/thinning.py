"""Fewer points of a curve that looks the same: the lowest and the highest of each of some equal parts, and both ends.

So every extreme is kept, of which an average or every n-th point would lose most. (Largest-Triangle-Three-Buckets,
Steinarsson 2013, keeps the shape as well, but may drop the one point at which a curve was best.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

LEAST: Final = 4
"""Points that a thinned curve may have at least: both ends, the lowest and the highest."""


def kept(values: Sequence[float], most: int) -> Sequence[int]:
    """The places of at most `most` (LEAST or more) of the values, in their order: both ends, and the lowest and the
    highest of each of (most - 2) // 2 parts of those between. All of them where there are no more."""
    count = len(values)
    if count <= most:
        return range(count)
    parts = (most - 2) // 2
    places = [0]
    for part in range(parts):
        inside = range(1 + part * (count - 2) // parts, 1 + (part + 1) * (count - 2) // parts)
        lowest, highest = min(inside, key=values.__getitem__), max(inside, key=values.__getitem__)
        places += sorted({lowest, highest})
    return [*places, count - 1]
