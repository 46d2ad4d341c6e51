"""A grid, for comparison only (course: "try random values, don't use a grid")."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from sturgeon.messages import LARGEST_GRID, Search
from sturgeon.search.cube import Cube
from sturgeon.search.memo import Memo
from sturgeon.search.samplers import History, RegisteredSampler, Sample, Sampler
from sturgeon.space import Space


def grid_search(space: Space, seed: int, number: int, size: int, *, memo: Memo | None = None) -> Sample:
    """Point `number` of the largest grid of at most `size` points, in an order shuffled by `seed`.

    A number beyond the grid starts it again. `memo` only saves work.
    """
    cube = Cube(space)
    counts = _counts(cube, size)
    total = math.prod(counts)
    order = (memo or Memo()).recall(
        "grid", (seed, total), lambda: np.random.Generator(np.random.Philox(key=seed)).permutation(total)
    )
    cell = np.unravel_index(order[number % total], counts)
    return Sample(cube.settled(tuple((int(i) + 0.5) / k for i, k in zip(cell, counts, strict=True))))


def _counts(cube: Cube, size: int) -> tuple[int, ...]:
    """Points along each coordinate, as even as may be: every coordinate in turn gets one more while all fit."""
    counts = [1] * cube.dimensions
    grown = True
    while grown:
        grown = False
        for j, cells in enumerate(cube.cells):
            if counts[j] < cells and math.prod(counts) // counts[j] * (counts[j] + 1) <= size:
                counts[j] += 1
                grown = True
    return tuple(counts)


def build(options: Mapping[str, Any], memo: Memo) -> Sampler:
    def draw(space: Space, seed: int, number: int, history: History) -> Sample:  # noqa: ARG001
        return grid_search(space, seed, number, options.get("points", 1), memo=memo)

    return Sampler("grid", 1, draw, needs_history=False)


def recorded(search: Search, space: Space, samples: int) -> dict[str, Any]:  # noqa: ARG001
    """A grid of as many points as the study may draw, unless the study says otherwise."""
    return {"points": search.points or min(samples, LARGEST_GRID)}


SAMPLER: Final = RegisteredSampler(build, options=("points",), recorded=recorded)
