"""Random search: independent points, uniform in the cube."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sturgeon.search.memo import Memo
from sturgeon.search.samplers import History, RegisteredSampler, Sample, Sampler, uniform_point
from sturgeon.space import Space


def random_search(space: Space, seed: int, number: int, history: History) -> Sample:  # noqa: ARG001
    """Random search (course: "try random values, don't use a grid")."""
    return Sample(uniform_point(seed, number, len(space.searched)))


def build(options: Mapping[str, Any], memo: Memo) -> Sampler:  # noqa: ARG001
    return Sampler("random", 1, random_search, needs_history=False)


SAMPLER: Final = RegisteredSampler(build)
