"""A grid, for comparison only (course: "try random values, don't use a grid")."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np

from sturgeon.messages import LARGEST_GRID, Search
from sturgeon.search.cube import Array, Cube
from sturgeon.search.distinct import taken
from sturgeon.search.feasible import feasible
from sturgeon.search.keys import keys_of
from sturgeon.search.memo import Memo
from sturgeon.search.samplers import NOTHING, History, RegisteredSampler, Sample, Sampler
from sturgeon.space import Space

FINEST: Final = 16
"""Of a grid under constraints, at most so many times as many points are looked at as may be drawn."""


def grid_search(space: Space, seed: int, number: int, size: int, history: History = NOTHING) -> Sample:
    """Point `number` of the largest grid of at most `size` points, in an order shuffled by `seed`; if it was handed out
    before, the next one that was not.

    A number beyond the grid starts it again.
    """
    points = grid_points(space, seed, size)
    start = number % len(points)
    gone = taken(Cube(space), history)
    places = (start + np.arange(len(points))) % len(points)
    free = places[~gone.holds(keys_of(points[places]))]
    place = int(free[0]) if len(free) else start
    return Sample(tuple(points[place].tolist()))


def grid_left(space: Space, seed: int, size: int, history: History) -> int:
    """How many points of the grid no trial has had yet."""
    gone = taken(Cube(space), history)
    return int(np.count_nonzero(~gone.holds(keys_of(grid_points(space, seed, size)))))


def grid_points(space: Space, seed: int, size: int) -> Array:
    """The largest grid of at most `size` points [n, d], in an order shuffled by `seed`, each set of parameters once."""
    return _points_of(space.identity(), seed, size)


@lru_cache(maxsize=4)  # of at most 100,000 points each
def _points_of(identity: str, seed: int, size: int) -> Array:
    cube = Cube(Space.of_identity(identity))
    points = _satisfying(cube, size) if cube.space.constraints else _whole_grid(cube, size)
    points = points[np.random.Generator(np.random.Philox(key=seed)).permutation(len(points))]
    # On a log scale neighbouring points may be one integer.
    return points[list({point.tobytes(): row for row, point in reversed(list(enumerate(points)))}.values())[::-1]]


def _whole_grid(cube: Cube, size: int) -> Array:
    counts = _counts(cube, size)
    points = cube.expanded({j: cube.values(j, count) for j, count in enumerate(counts)}, size)
    assert points is not None  # the counts are chosen so
    return cube.snap(points)


def _satisfying(cube: Cube, size: int) -> Array:
    """At most `size` points that satisfy the constraints, of a grid that is finer the fewer of its points do."""
    points = feasible(cube.space).points[:1]
    whole = size
    while whole <= min(FINEST * size, LARGEST_GRID):
        grid = _whole_grid(cube, whole)
        found = grid[cube.satisfied(grid)]
        if len(found) > size:
            break
        points = found if len(found) else points
        whole *= 2
    return points


def _counts(cube: Cube, size: int) -> list[int]:
    """Points along each coordinate, as even as may be: all get as many as fit, and then in turn one more while that
    fits. What depends on a condition varies only where it holds."""
    fitting, most = 1, size
    while fitting < most:
        middle = (fitting + most + 1) // 2
        if cube.combinations(_level(cube, middle), size) <= size:
            fitting = middle
        else:
            most = middle - 1
    counts, grown = _level(cube, fitting), True
    made = cube.combinations(counts, size)
    while grown:
        grown = False
        for j, cells in enumerate(cube.cells):
            more = [*counts[:j], counts[j] + 1, *counts[j + 1 :]]
            # More values of what is active nowhere would make no more points.
            if counts[j] < cells and made < (making := cube.combinations(more, size)) <= size:
                counts, made, grown = more, making, True
    return counts


def _level(cube: Cube, count: int) -> list[int]:
    return [int(min(cells, count)) for cells in cube.cells]


def build(options: Mapping[str, Any], memo: Memo) -> Sampler:  # noqa: ARG001
    def draw(space: Space, seed: int, number: int, history: History) -> Sample:
        return grid_search(space, seed, number, options.get("points", 1), history)

    return Sampler("grid", 2, draw, needs_history=False)


def recorded(search: Search, space: Space, samples: int) -> dict[str, Any]:  # noqa: ARG001
    """A grid of as many points as the study may draw, unless the study says otherwise."""
    return {"points": search.points or min(samples, LARGEST_GRID)}


def left(options: Mapping[str, Any], space: Space, seed: int, history: History) -> int:
    return grid_left(space, seed, options.get("points", 1), history)


SAMPLER: Final = RegisteredSampler(build, options=("points",), recorded=recorded, left=left)
