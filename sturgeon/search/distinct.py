"""No set of parameters is drawn again while another one is left: to measure noise there are replicates.

Two points of the cube have the same parameters when `Cube.snap` makes them equal. By chance that happens where no float
is always active: in spaces of choices and integers, and where a condition leaves nothing else to vary. A sampler that
moves only a part of the coordinates of an earlier point can repeat it in any space.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sturgeon.search.cube import Array, Cube, Mask, point_array
from sturgeon.search.feasible import MOST_CELLS, feasible
from sturgeon.search.memo import Memo
from sturgeon.search.samplers import History, Point
from sturgeon.space import Space

BATCH: Final = 1024
BATCHES: Final = 64
_STREAM: Final = 1 << 124


def can_repeat(space: Space) -> bool:
    """Whether two uniform draws may give the same parameters: not where a float is active in all of them."""
    return not any(space[name].is_real and not space[name].when for name in space)


@dataclass(frozen=True)
class Unseen:
    """What may be drawn of a cube: all that satisfies its constraints but `seen`, the bytes of snapped points.
    `cells` [n, d]: all that satisfies them, more than is seen; None where there is too much to count, or nothing is to
    be avoided."""

    cube: Cube
    seen: frozenset[bytes] = frozenset()
    cells: Array | None = None

    def mask(self, points: Array) -> Mask:
        """Which of the snapped `points` [m, d] may be drawn."""
        may = self.cube.satisfied(points)
        if self.seen:
            may &= np.array([point.tobytes() not in self.seen for point in points], dtype=bool)
        return may

    def best(self, points: Array, values: Array) -> int | None:
        """The row of the snapped `points` [m, d] with the least of `values` [m] that may be drawn; None without one."""
        order = np.argsort(values, kind="stable").tolist()
        satisfied = self.cube.satisfied(points)
        return next((row for row in order if satisfied[row] and points[row].tobytes() not in self.seen), None)

    def first(self, points: Iterable[Array]) -> Point | None:
        """The first that may be drawn of batches of points [m, d], snapped; None without one."""
        for batch in points:
            snapped = self.cube.snap(batch)
            if len(rows := np.flatnonzero(self.mask(snapped))):
                return tuple(snapped[rows[0]].tolist())
        return None

    def instead(self, point: Point, seed: int, number: int, others: Iterable[Array] = ()) -> Point:
        """`point` if it may be drawn, else the first of `others` that may, else one by chance, by (seed, number)."""
        is_free = not self.seen and not self.cube.space.constraints
        if is_free or self.mask(self.cube.snap(np.array([point])))[0]:
            return point
        if (found := self.first(others)) is not None:
            return found
        random = np.random.Generator(np.random.Philox(key=seed | number << 64 | _STREAM))
        if self.cells is not None:
            left = self.cells[self.mask(self.cells)]
            return tuple(left[random.integers(len(left))].tolist())
        return self.first(_uniform(random, self.cube.dimensions)) or self._seen_before(point, random)

    def _seen_before(self, point: Point, random: np.random.Generator) -> Point:
        """`point` if it satisfies the constraints, or one that does, where nothing else was found."""
        if self.cube.satisfied(self.cube.snap(np.array([point])))[0]:
            return point
        known = feasible(self.cube.space).points
        if not len(known):
            raise ValueError("no point of the space satisfies its constraints")
        return tuple(known[random.integers(len(known))].tolist())


def unseen_of(cube: Cube, history: History, memo: Memo) -> Unseen:
    """What no earlier trial had; when all was handed out, what has neither a result nor a running trial: it failed, or
    was cancelled; and when there is none of that, all."""
    cells = memo.recall("cells", (cube.identity,), lambda: _all_of(cube))
    finished = memo.recall(
        "finished_keys", (cube.identity, history.finished), lambda: _keys(cube, [t.point for t in history.finished])
    )
    with_result = finished | _keys(cube, [trial.point for trial in history.running])
    for seen in (with_result | _keys(cube, history.handed_out), with_result):
        if cells is None or len(seen) < len(cells):
            return Unseen(cube, seen, cells)
    return Unseen(cube)


def _all_of(cube: Cube) -> Array | None:
    """All that satisfies the constraints; None where there is too much to count."""
    cells = cube.all_cells(MOST_CELLS)
    return None if cells is None else cells[cube.satisfied(cells)]


def taken(cube: Cube, history: History) -> frozenset[bytes]:
    """The bytes of the snapped points of all earlier trials."""
    seen = [trial.point for trial in history.finished] + [trial.point for trial in history.running]
    return _keys(cube, [*seen, *history.handed_out])


def _keys(cube: Cube, points: Sequence[Point]) -> frozenset[bytes]:
    if not points:
        return frozenset()
    return frozenset(point.tobytes() for point in cube.snap(point_array(points, cube.dimensions)))


def _uniform(random: np.random.Generator, dimensions: int) -> Iterator[Array]:
    return (random.random((BATCH, dimensions)) for _ in range(BATCHES))
