"""Points that depend on (seed, number) alone: a scrambled Sobol sequence, and the grid that it is compared with."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from sturgeon.search.cube import Cube
from sturgeon.search.memo import Memo
from sturgeon.search.samplers import History, Point, Sample
from sturgeon.space import Space

LONGEST: Final = 2**20
"""After so many points the sequence starts again: to go forward costs time in proportion, 10 ms to here."""


def sobol_point(seed: int, number: int, dimensions: int) -> Point:
    """Point `number` of the Sobol sequence scrambled by `seed` (Owen 1998): even in the cube from the first on."""
    from scipy.stats import qmc  # takes half a second, and only the first rounds of a study need it

    sequence = qmc.Sobol(dimensions, scramble=True, rng=seed)
    if number % LONGEST:  # SciPy cannot go forward by nothing
        sequence.fast_forward(number % LONGEST)
    # One point a call: more at once are warned of unless their number is a power of two.
    return tuple(sequence.random(1)[0].tolist())


def sobol_search(space: Space, seed: int, number: int, history: History) -> Sample:  # noqa: ARG001
    """Even coverage of the space, without looking at results."""
    return settled(Cube(space), sobol_point(seed, number, len(space.searched)))


def grid_search(space: Space, seed: int, number: int, size: int, *, memo: Memo | None = None) -> Sample:
    """Point `number` of the largest grid of at most `size` points, in an order shuffled by `seed`.

    For comparison only (course: "try random values, don't use a grid"). A number beyond the grid starts it again.
    `memo` only saves work.
    """
    cube = Cube(space)
    counts = _counts(cube, size)
    total = math.prod(counts)
    order = (memo or Memo()).recall(
        "grid", (seed, total), lambda: np.random.Generator(np.random.Philox(key=seed)).permutation(total)
    )
    cell = np.unravel_index(order[number % total], counts)
    return settled(cube, tuple((int(i) + 0.5) / k for i, k in zip(cell, counts, strict=True)))


def settled(cube: Cube, point: Point) -> Sample:
    """A sample at `point` with integers and choices in the middle of their cells and inactive coordinates at 0.5."""
    return Sample(tuple(cube.snap(np.array([point]))[0].tolist()))


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
