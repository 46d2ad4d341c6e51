"""Nested boxes around the best points, and candidates drawn from them and from the whole space."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from sturgeon.search.cube import Array, Cube, Indices, Mask

LEVELS: Final = (1 / 2, 1 / 4, 1 / 8, 1 / 16)
"""Half widths of the nested boxes, in widths of the cube, before they are stretched."""

ELITES: Final = 3
APART: Final = 0.1
WHOLE_SPACE: Final = -1


class Candidates(NamedTuple):
    """`points` [m, d], and for each the index of its elite and of its level [m]; -1 where it is of the whole space."""

    points: Array
    elite: Indices
    level: Indices


def elite_rows(cube: Cube, points: Array, order: Indices) -> list[int]:
    """At most 3 rows of `points` [n, d], taken in `order`, each over 0.1 from the others along some coordinate."""
    elites: list[int] = []
    left = order
    while len(left) and len(elites) < ELITES:
        row = int(left[0])
        elites.append(row)
        left = left[cube.gaps(points[left], points[row]).max(axis=1) > APART]
    return elites


def half_widths(level: Array, stretch: Array, idle: Mask) -> Array:
    """Half widths [m, d] of boxes of sizes `level` [m], in widths of the cube.

    Wide along parameters that do not matter (`stretch` [d]), whole along those inactive at the centre (`idle` [m, d]).
    """
    half = np.minimum(1.0, np.multiply.outer(level, stretch))
    half[idle] = 1.0
    return half


def draw(cube: Cube, elites: Array, stretch: Array, count: int, random: np.random.Generator) -> Candidates:
    """`count` candidates: a fifth uniform in the cube, the rest in boxes around `elites` [e, d], e >= 1.

    Elites come in turn, levels in equal parts. Every second pass over the elites moves only a random part of the
    coordinates (TuRBO, NeurIPS 2019): each with probability max(0.3, 1/d), at least one.
    """
    turns = _turns(count, len(elites))
    whole = count - len(turns.elite)
    moved = _moved(turns.partly, cube.dimensions, random)
    half = half_widths(turns.size, stretch, ~cube.active(elites)[turns.elite])
    inside = _in_boxes(cube, elites[turns.elite], half, moved, random)
    points = np.concatenate([random.random((whole, cube.dimensions)), inside])
    outside = np.full(whole, WHOLE_SPACE)
    return Candidates(cube.snap(points), np.concatenate([outside, turns.elite]), np.concatenate([outside, turns.level]))


class _Turns(NamedTuple):
    """Whose turn it is for each candidate in a box [m]: the index of its elite, that of its level, and its half width;
    `partly`: whether only a part of the coordinates moves."""

    elite: Indices
    level: Indices
    size: Array
    partly: Mask


@lru_cache(maxsize=64)
def _turns(count: int, elites: int) -> _Turns:
    boxed = np.arange(count - count // 5)
    level = boxed * len(LEVELS) // len(boxed)
    return _Turns(boxed % elites, level, np.array(LEVELS)[level], boxed // elites % 2 == 1)


def draw_one(cube: Cube, elites: Array, random: np.random.Generator) -> Candidates:
    """One candidate of the textbook zoom: in the whole cube one time in five, else in a cubic box of any level."""
    if random.random() < 0.2:
        outside = np.full(1, WHOLE_SPACE)
        return Candidates(cube.snap(random.random((1, cube.dimensions))), outside, outside)
    elite, level = random.integers(len(elites), size=1), random.integers(len(LEVELS), size=1)
    half = half_widths(np.array(LEVELS)[level], np.ones(cube.dimensions), ~cube.active(elites[elite]))
    moved = _moved(random.random(1) < 0.5, cube.dimensions, random)
    return Candidates(cube.snap(_in_boxes(cube, elites[elite], half, moved, random)), elite, level)


def near(cube: Cube, centre: Array, stretch: Array, count: int, random: np.random.Generator) -> Array:
    """`count` points [count, d] around `centre` [d], itself the first, at distances from 0.05 down to 0.0016.

    Choices stay as they are.
    """
    radius = 0.05 * 10.0 ** (-1.5 * random.random((count, 1)))
    points = centre + radius * stretch * random.standard_normal((count, cube.dimensions)) * ~cube.choice
    points[0] = centre
    return cube.snap(points)


def _moved(partly: Mask, dimensions: int, random: np.random.Generator) -> Mask:
    """Which coordinates move [m, d]: all of them; where `partly` [m] a random part, at least one."""
    moved = random.random((len(partly), dimensions)) < max(0.3, 1 / dimensions)
    moved[np.arange(len(partly)), random.integers(dimensions, size=len(partly))] |= ~moved.any(axis=1)
    return moved | ~partly[:, None]


def _in_boxes(  # centre, half, moved and the result: [m, d]
    cube: Cube, centre: Array, half: Array, moved: Mask, random: np.random.Generator
) -> Array:
    low, high = np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
    points = low + (high - low) * random.random(centre.shape)
    if cube.choice.any():
        redrawn = random.random(centre.shape) < np.minimum(0.8, 0.1 + half / 2)
        points = np.where(cube.choice, np.where(redrawn, random.random(centre.shape), centre), points)
    return np.where(moved, points, centre)
