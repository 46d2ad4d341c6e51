"""What all samplers take and give; `registry.py` has them by name.

A sampler sees the unit cube only. It is a pure function: the same arguments give the same point, in any process,
so that a study can be drawn again from its record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np

from sturgeon.space import Space

Point = tuple[float, ...]


class Finished(NamedTuple):
    """A trial that finished: `score` is minimised; None when it diverged. `seconds`: what it cost, if known."""

    number: int
    point: Point
    score: float | None
    seconds: float | None = None


class Running(NamedTuple):
    """A trial that was handed out, or waits to be, and has no result yet."""

    number: int
    point: Point


class History(NamedTuple):
    """What a sampler may see: `finished` in the order in which they finished, `running` by number."""

    finished: tuple[Finished, ...]
    running: tuple[Running, ...]


class Sample(NamedTuple):
    """A point of the unit cube, one u in [0, 1] a searched parameter, and where it came from.

    `model`: what chose it among candidates, `gp`, or `boxes` for the boxes alone.
    """

    point: Point
    round: int | None = None
    elite: int | None = None
    level: int | None = None
    model: Literal["gp", "boxes"] | None = None


def nothing_to_prepare(space: Space, seed: int, history: History) -> None:
    """For samplers that learn nothing."""


@dataclass(frozen=True)
class Sampler:
    """A way to draw: `draw(space, seed, number, history)`. Without `needs_history` it depends on (seed, number) alone
    and is drawn inside the write transaction.

    `version` is raised whenever the same arguments would give another point. `prepare(space, seed, history)` does,
    when a result came in, what the next draw would do first.
    """

    name: str
    version: int
    draw: Callable[[Space, int, int, History], Sample]
    needs_history: bool = True
    prepare: Callable[[Space, int, History], None] = nothing_to_prepare


NOTHING: Final = History((), ())


def uniform_point(seed: int, number: int, dimensions: int) -> Point:
    """Uniform in the cube, by a counter-based generator keyed by (seed, number): no state, so any process agrees."""
    # Philox takes a key of 128 bits: the study's seed in the lower half, the trial's number in the upper.
    generator = np.random.Generator(np.random.Philox(key=seed | number << 64))
    return tuple(generator.random(dimensions).tolist())


def random_search(space: Space, seed: int, number: int, history: History) -> Sample:  # noqa: ARG001
    """Random search (course: "try random values, don't use a grid")."""
    return Sample(uniform_point(seed, number, len(space.searched)))


def trial_seed(seed: int, number: int) -> int:
    """The seed of a trial's own randomness, 0 .. 2^63 - 1; apart from the stream of its parameters."""
    generator = np.random.Generator(np.random.Philox(key=seed | number << 64 | 1 << 127))
    return int(generator.integers(2**63 - 1, endpoint=True))
