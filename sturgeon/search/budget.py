"""When a study ends before its trials do: epochs or seconds are used up, or a trial is good enough."""

from __future__ import annotations

from typing import Literal, NamedTuple

Enough = Literal["max_epochs", "max_seconds", "stop_when"]


class Limits(NamedTuple):
    """None means no limit. `below`: a trial with a score (minimised) less than this ends the search."""

    max_epochs: int | None = None
    max_seconds: float | None = None
    below: float | None = None


class Spent(NamedTuple):
    """The epochs and seconds that all trials of a study took, running ones included, and the best score (minimised)."""

    epochs: float
    seconds: float
    best: float | None


def enough(limits: Limits, spent: Spent) -> Enough | None:
    """The first limit that is reached, None while none is."""
    if limits.below is not None and spent.best is not None and spent.best < limits.below:
        return "stop_when"
    if limits.max_epochs is not None and spent.epochs >= limits.max_epochs:
        return "max_epochs"
    if limits.max_seconds is not None and spent.seconds >= limits.max_seconds:
        return "max_seconds"
    return None
