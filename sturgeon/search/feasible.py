"""How much of a space satisfies its constraints, and points that do."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from sturgeon.errors import FieldProblem
from sturgeon.search.cube import Array, Cube
from sturgeon.space import Space

BATCH: Final = 4096
BATCHES: Final = 16
MOST_CELLS: Final = 2**16
"""In a space of more sets of parameters, those that satisfy its constraints are looked for by chance alone."""

_STREAM: Final = 1 << 123


class Feasible(NamedTuple):
    """`share`: of uniform points, those whose parameters satisfy the constraints. `points` [n, d]: some that do,
    snapped; none where none was found."""

    share: float
    points: Array


def feasible(space: Space) -> Feasible:
    """What is known of a space, from 4,096 uniform points; where none of them will do, from 65,536, and from all sets
    of parameters where these are few."""
    return _feasible(space.identity())


@lru_cache(maxsize=64)
def _feasible(identity: str) -> Feasible:
    cube = Cube(Space.of_identity(identity))
    random = np.random.Generator(np.random.Philox(key=_STREAM))
    for batch in range(1, BATCHES + 1):
        points = cube.snap(random.random((BATCH, cube.dimensions)))
        if (holds := cube.satisfied(points)).any():
            return Feasible(float(holds.sum()) / (batch * BATCH), points[holds])
    cells = cube.all_cells(MOST_CELLS)
    return Feasible(0.0, np.empty((0, cube.dimensions)) if cells is None else cells[cube.satisfied(cells)])


def constraint_problems(space: Space) -> list[FieldProblem]:
    """What is wrong with the constraints of a space that is valid in itself, with pointers into their list."""
    if not space.constraints or (problems := space.constraint_problems()):
        return problems if space.constraints else []
    if len(feasible(space).points):
        return []
    detail = (
        f"none of {BATCH * BATCHES} points of the space satisfies all constraints: loosen them, or narrow the space"
    )
    return [FieldProblem("", detail)]
