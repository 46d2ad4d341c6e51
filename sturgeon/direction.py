"""The direction of a metric, and the one sign that turns a value into a score, which is always minimised."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

Direction = Literal["minimize", "maximize"]

_SIGNS: Final[dict[Direction, float]] = {"minimize": 1.0, "maximize": -1.0}


def sign_of(direction: Direction) -> float:
    """1 where less is better, -1 where more is: score = sign * value, and value = sign * score."""
    return _SIGNS[direction]


def less_is_better(direction: Direction) -> bool:
    """Whether the metric is minimised."""
    return direction == "minimize"


def best_value(values: Iterable[float], direction: Direction) -> float | None:
    """The best of the values; None when there are none."""
    return (min if less_is_better(direction) else max)(values, default=None)
