"""Retests: when to search again for the optimum of a panda whose data change, and whether it has moved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The trial with the least error, and by how much that is less than the incumbent's, with its standard error."""

    best: int
    gain: float
    uncertainty: float

    @property
    def moved(self) -> bool:
        """Whether the best is better by two standard errors."""
        return self.gain > 2 * self.uncertainty


def is_due(portions: int, seconds: float, after_portions: int | None, after_s: float | None) -> bool:
    """Whether enough portions or seconds have passed since the last retest, or the start; never without a new portion.

    portions, seconds: since then; after_portions, after_s: how many are enough, None for no such limit.
    """
    if portions < 1:
        return False
    return (after_portions is not None and portions >= after_portions) or (after_s is not None and seconds >= after_s)


def compare(errors: Mapping[int, float], examples: float) -> Finding:
    """errors: by trial number, all measured on as many examples; trial 0 has the incumbent's parameters.

    The standard error is that of a difference of two independent errors: on the same examples it is less, so this one
    is never too small.
    """
    best = min(errors, key=lambda number: errors[number])
    shares = [min(1.0, max(0.0, errors[number])) for number in (0, best)]
    variance = sum(share * (1 - share) for share in shares) / examples
    return Finding(best, errors[0] - errors[best], max(math.sqrt(variance), 1 / examples))
