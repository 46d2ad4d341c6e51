"""Numbers that go in steps: low, low + step, .. as they are written in decimals."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final

MOST_STEPS: Final = 2**45  # of a range: beyond it a point of the cube cannot tell two neighbours apart


def value_at(low: float, step: float, place: int) -> float:
    """low + place * step in decimals, so that 0.1 + 2 * 0.1 is 0.3."""
    return float(Decimal(repr(float(low))) + place * Decimal(repr(float(step))))


def steps_problem(low: float, high: float, step: float) -> str | None:
    """Why [low, high] cannot be walked in such steps, and what to write instead."""
    steps = (high - low) / step
    if not steps <= MOST_STEPS:
        return "a range may have 2^45 steps at most: write a smaller range or a larger step"
    if step < 8 * math.ulp(max(abs(low), abs(high))):
        return f"the step {step!r} is too small for numbers of this size: write a larger one"
    if abs(steps - round(steps)) <= 1e-9 * max(1.0, steps) and round(steps):
        return None
    nearest = [value_at(low, step, place) for place in (math.floor(steps), math.floor(steps) + 1) if place]
    return f"high cannot be reached from low {low!r} in steps of {step!r}: write high {' or '.join(map(repr, nearest))}"
