"""What all samplers take and return; `registry.py` has them by name.

A sampler sees the unit cube only. It is a pure function: the same arguments give the same point, in any process, so
that every sample of a study can be derived again from its record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import local
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from sturgeon.errors import FieldProblem
from sturgeon.messages import Search
from sturgeon.search.evidence import Evidence, evidence_from
from sturgeon.search.finished import Finished as Finished
from sturgeon.search.finished import Point as Point
from sturgeon.search.finished import Running as Running
from sturgeon.search.keys import KeySet
from sturgeon.search.memo import Memo
from sturgeon.space import Space


class History(NamedTuple):
    """What a sampler may see: `finished` in the order in which they finished, `running` by number.

    `handed_out`: the points of all earlier trials, whatever became of them, or their keys, where a space can repeat
    itself. `evidence`: what there is to learn from all that have finished, where that is known already; then `finished`
    are the results in it.
    """

    finished: Sequence[Finished]
    running: tuple[Running, ...]
    handed_out: tuple[Point, ...] | KeySet = ()
    evidence: Evidence | None = None


def evidence_of(history: History, dimensions: int) -> Evidence:
    """What there is to learn from a history."""
    return evidence_from(history.finished if history.evidence is None else history.evidence, dimensions)


class Sample(NamedTuple):
    """A point of the unit cube, one u in [0, 1] for each searched parameter, and how coarse to fine came to it.

    `round` 0 is the even coverage; `elite` is the trial around which it was drawn, in a box of `level`; `model`: what
    chose it among candidates, the Gaussian process or, with "boxes", nothing.
    """

    point: Point
    round: int | None = None
    elite: int | None = None
    level: int | None = None
    model: Literal["gp", "boxes"] | None = None


def nothing_to_prepare(space: Space, seed: int, history: History) -> None:
    """For samplers that learn nothing from results."""


@dataclass(frozen=True)
class Sampler:
    """A way to draw: `draw(space, seed, number, history)`.

    `needs_history`: without it a point depends on no result, and is drawn inside the write transaction. Of the history
    it then looks only at which points are taken, and only where `looks_back(space)`.
    `version` is raised whenever the same arguments would give another point. `prepare(space, seed, history)` does, when
    a result comes in, what the next draw would do first.
    """

    name: str
    version: int
    draw: Callable[[Space, int, int, History], Sample]
    needs_history: bool = True
    looks_back: Callable[[Space], bool] = lambda _space: True
    prepare: Callable[[Space, int, History], None] = nothing_to_prepare

    def is_quick(self, space: Space) -> bool:
        """Whether a draw is a formula of the seed and the number alone: it looks at nothing and tries nothing out."""
        return not (self.needs_history or self.looks_back(space) or space.constraints)


Build = Callable[[Mapping[str, Any], Memo], Sampler]
"""Makes a study's sampler from its recorded options. What it stores in the memo saves work, and changes no point."""


def nothing_recorded(search: Search, space: Space, samples: int) -> dict[str, Any]:  # noqa: ARG001
    """For samplers without options."""
    return {}


def no_problems(search: Search, space: Space) -> list[FieldProblem]:  # noqa: ARG001
    """For samplers that take every space."""
    return []


@dataclass(frozen=True)
class RegisteredSampler:
    """A sampler that a study can name, as the module of that name offers it to `registry.py`.

    `options`: the fields of `messages.Search` that are its own. `recorded(search, space, samples)`: the values of all
    of them, stored with a study of so many samples, so that a later default changes no study. `problems(search,
    space)`: why it cannot search this space with these options. `left(options, space, seed, history)`: how many samples
    there are still to draw, for a sampler that comes to an end.
    """

    build: Build
    options: tuple[str, ...] = ()
    recorded: Callable[[Search, Space, int], dict[str, Any]] = nothing_recorded
    problems: Callable[[Search, Space], list[FieldProblem]] = no_problems
    left: Callable[[Mapping[str, Any], Space, int, History], int] | None = None

    @property
    def ends(self) -> bool:
        """Whether it comes to an end."""
        return self.left is not None


NOTHING: Final = History((), ())


def uniform_point(seed: int, number: int, dimensions: int) -> Point:
    """A uniform point, by a counter-based generator keyed by (seed, number): it has no state, so any process agrees."""
    # Philox takes a key of 128 bits: the study's seed in the lower half, the trial's number in the upper.
    return tuple(_KEYED.by(seed | number << 64).random(dimensions).tolist())


def trial_seed(seed: int, number: int) -> int:
    """The seed of a trial's own randomness, 0 .. 2^63 - 1, from another stream than its parameters."""
    return int(_KEYED.by(seed | number << 64 | 1 << 127).integers(2**63 - 1, endpoint=True))


class Keyed(local):
    """A generator for each thread: to make one anew takes five times as long as to set its key."""

    def __init__(self) -> None:
        self._generator = np.random.Generator(np.random.Philox(key=0))
        self._key = np.zeros(2, np.uint64)
        zeros = np.zeros(4, np.uint64)
        self._state = {
            "bit_generator": "Philox",
            "state": {"counter": zeros, "key": self._key},
            "buffer": zeros,
            "buffer_pos": 4,  # it is used up
            "has_uint32": 0,
            "uinteger": 0,
        }

    def by(self, key: int) -> np.random.Generator:
        """The generator at the beginning of the stream of `key`, of 128 bits; until the next call."""
        self._key[:] = key & 2**64 - 1, key >> 64
        self._generator.bit_generator.state = self._state
        return self._generator


_KEYED: Final = Keyed()
