"""When a study has had enough: epochs, seconds, or a good enough trial. The count of trials is the store's own."""

from __future__ import annotations

from typing import Literal, NamedTuple

Enough = Literal["max_epochs", "max_seconds", "stop_when"]


class Limits(NamedTuple):
    """None: no limit. `below`: a score (minimised) that ends the search when a trial has less."""

    max_epochs: int | None = None
    max_seconds: float | None = None
    below: float | None = None


class Spent(NamedTuple):
    """What all trials of a study have used, running ones included, and its best score (minimised), if any."""

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
