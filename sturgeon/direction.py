"""Whether less or more is better: the one place where a direction becomes a sign."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Direction = Literal["minimize", "maximize"]


def sign_of(direction: Direction) -> float:
    """1 to minimize, -1 to maximize: the sign times a score is better where it is less."""
    return 1.0 if direction == "minimize" else -1.0


def best_score(scores: Iterable[float], direction: Direction) -> float | None:
    """The best of the scores; None when there are none."""
    return (min if direction == "minimize" else max)(scores, default=None)
