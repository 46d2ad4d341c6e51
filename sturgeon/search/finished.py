"""A trial as a sampler sees it: where it lies, and what came of it."""

from __future__ import annotations

from typing import NamedTuple

Point = tuple[float, ...]


class Finished(NamedTuple):
    """A trial that finished: `score` is minimised; None when it diverged. `seconds`: what it cost, if known.

    `complete`: it was not stopped early.
    """

    number: int
    point: Point
    score: float | None
    seconds: float | None = None
    complete: bool = True


class Running(NamedTuple):
    """A trial without a result yet: it runs, or waits for a worker."""

    number: int
    point: Point
