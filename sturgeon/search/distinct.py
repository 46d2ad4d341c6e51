"""No set of parameters is drawn again while another one is left: to measure noise there are replicates.

Two points of the cube have the same parameters when `Cube.snap` makes them equal. By chance that happens where no float
is always active: in spaces of choices and integers, and where a condition leaves nothing else to vary. A sampler that
moves only a part of the coordinates of an earlier point can repeat it in any space.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sturgeon.search.cube import Array, Cube, Mask, point_array
from sturgeon.search.feasible import MOST_CELLS, feasible
from sturgeon.search.keys import Keys, KeySet, keys_of
from sturgeon.search.memo import Memo
from sturgeon.search.results import Results
from sturgeon.search.samplers import History, Point
from sturgeon.space import Space

BATCH: Final = 1024
BATCHES: Final = 64
NO_KEYS: Final = KeySet()
_STREAM: Final = 1 << 124


def can_repeat(space: Space) -> bool:
    """Whether two uniform draws may give the same parameters: not where a float is active in all of them."""
    return not any(space[name].is_real and not space[name].when for name in space)


@dataclass(frozen=True)
class Unseen:
    """What may be drawn of a cube: all that satisfies its constraints but what is in `seen`, the keys of snapped
    points.

    `cells` [n, d]: all that satisfies them, more than is seen; None where there is too much to count, or nothing is to
    be avoided. `centres` [e, d]: what is drawn around, where not all that was drawn before is in `seen`: then a real
    number has to move, by which no point is drawn twice.
    """

    cube: Cube
    seen: KeySet = NO_KEYS
    cells: Array | None = None
    centres: Array | None = None

    def mask(self, points: Array) -> Mask:
        """Which of the snapped `points` [m, d] may be drawn."""
        may = self.cube.satisfied(points)
        if len(self.seen):
            may &= ~self.seen.holds(keys_of(points))
        if self.centres is not None:
            real = ~np.isfinite(self.cube.cells)
            for centre in self.centres:
                may &= (points[:, real] != centre[real]).any(axis=1)
        return may

    def best(self, points: Array, values: Array) -> int | None:
        """The row of the snapped `points` [m, d] with the least of `values` [m] that may be drawn; None without one."""
        least = int(values.argmin())  # a NaN, if there is one
        if not math.isnan(values[least]) and self.mask(points[least : least + 1])[0]:
            return least
        order = np.argsort(values, kind="stable")
        may = order[self.mask(points)[order]]
        return int(may[0]) if len(may) else None

    def first(self, points: Iterable[Array]) -> Point | None:
        """The first that may be drawn of batches of points [m, d], snapped; None without one."""
        for batch in points:
            snapped = self.cube.snap(batch)
            if len(rows := np.flatnonzero(self.mask(snapped))):
                return tuple(snapped[rows[0]].tolist())
        return None

    def instead(self, point: Point, seed: int, number: int, others: Iterable[Array] = ()) -> Point:
        """`point` if it may be drawn, else the first of `others` that may, else one by chance, by (seed, number)."""
        is_free = not len(self.seen) and self.centres is None and not self.cube.space.constraints
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
    with_result = _with_result(cube, history, memo)
    for seen in (_with_handed_out(cube, with_result, history.handed_out), with_result):
        if cells is None or len(seen) < len(cells):
            return Unseen(cube, seen, cells)
    return Unseen(cube)


def _all_of(cube: Cube) -> Array | None:
    """All that satisfies the constraints; None where there is too much to count."""
    cells = cube.all_cells(MOST_CELLS)
    return None if cells is None else cells[cube.satisfied(cells)]


def taken(cube: Cube, history: History) -> KeySet:
    """The keys of the snapped points of all earlier trials."""
    return _with_handed_out(cube, _with_result(cube, history, Memo()), history.handed_out)


def _with_result(cube: Cube, history: History, memo: Memo) -> KeySet:
    if not len(history.finished):
        return NO_KEYS.with_keys(point_keys(cube, [trial.point for trial in history.running]))
    points = Results.of(history.finished).points

    def with_more(before: tuple[Array, KeySet]) -> tuple[Array, KeySet]:
        known, keys = before if np.array_equal(before[0], points[: len(before[0])]) else nothing
        more = points[len(known) :]
        return points, keys.with_keys(keys_of(cube.snap(more))) if len(more) else keys

    nothing = (points[:0], NO_KEYS)
    _, finished = memo.grown("finished_keys", (cube.identity,), nothing, with_more)
    if not history.running:
        return finished
    return finished.with_keys(point_keys(cube, [trial.point for trial in history.running]))


def _with_handed_out(cube: Cube, keys: KeySet, handed_out: Sequence[Point] | KeySet) -> KeySet:
    """The union: to the larger set the smaller one is added."""
    if not isinstance(handed_out, KeySet):
        return keys.with_keys(point_keys(cube, handed_out))
    return handed_out.with_keys(keys.keys) if len(handed_out) else keys


def point_keys(cube: Cube, points: Sequence[Point]) -> Keys:
    """The keys of points, snapped."""
    return keys_of(cube.snap(point_array(points, cube.dimensions)))


def _uniform(random: np.random.Generator, dimensions: int) -> Iterator[Array]:
    return (random.random((BATCH, dimensions)) for _ in range(BATCHES))
