"""Random search: independent points, uniform in the cube."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sturgeon.search.cube import Cube
from sturgeon.search.distinct import Unseen, can_repeat, unseen_of
from sturgeon.search.memo import Memo
from sturgeon.search.samplers import History, RegisteredSampler, Sample, Sampler, uniform_point
from sturgeon.space import Space


def random_search(space: Space, seed: int, number: int, history: History, *, memo: Memo | None = None) -> Sample:
    """Random search (course: "try random values, don't use a grid"), without what was drawn before and
    what breaks a constraint. `memo` only saves work."""
    point = uniform_point(seed, number, len(space.searched))
    if can_repeat(space):
        return Sample(unseen_of(Cube(space), history, memo or Memo()).instead(point, seed, number))
    return Sample(Unseen(Cube(space)).instead(point, seed, number) if space.constraints else point)


def build(options: Mapping[str, Any], memo: Memo) -> Sampler:  # noqa: ARG001
    def draw(space: Space, seed: int, number: int, history: History) -> Sample:
        return random_search(space, seed, number, history, memo=memo)

    return Sampler("random", 2, draw, needs_history=False, looks_back=can_repeat)


SAMPLER: Final = RegisteredSampler(build)
