"""The unit cube of a space, in arrays: where its cells are, and which coordinates are active at a point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sturgeon.space import Choice, Fixed, Float, Int, Space

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]

INACTIVE: Final = 0.5
"""Where a coordinate lies whose condition does not hold, so that it adds no distance between two such points."""

ROUNDING: Final = 1e-13
"""The relative error of a value on a log scale is less: a few units in the last place, for each unit of its span."""


class _Steps(NamedTuple):
    """The cells of an integer on a log scale, by its `decode`; `start` and `span` are of the scale, in its units."""

    coordinate: int
    parameter: Int
    last: int
    start: float
    span: float

    def cell(self, u: Array) -> Array:
        """The cell of each u [m]. Where rounding may turn the array's arithmetic, the parameter itself decides."""
        own = self.parameter
        value = self.start * np.exp(u * self.span)
        place = (value - own.low) / own.step
        cells = np.clip(np.rint(place), 0, self.last)
        doubtful = np.abs(place - np.floor(place) - 0.5) < ROUNDING * value / own.step
        for row in np.flatnonzero(doubtful):
            cells[row] = (own.decode(float(u[row])) - own.low) // own.step
        return cells

    def centre(self, cell: Array) -> Array:
        return np.log((self.parameter.low + self.parameter.step * cell) / self.start) / self.span


class _Rule(NamedTuple):
    """`name` is active where each parent is, and lies in one of the wanted cells (True, False: in any, in none)."""

    name: str
    coordinate: int | None
    parents: tuple[tuple[str, int | None, Array | bool], ...]


class Cube:
    """The unit cube of a space with d searched parameters.

    `choice` [d] is true for unordered choices, whose neighbours are not alike: distances there are 0 or 1. `cells` [d]:
    how many values each coordinate can take, infinity for a real number.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.identity: Final = space.identity()
        self.names: Final = space.searched
        self.dimensions: Final = len(self.names)
        parameters = [space[name] for name in self.names]
        self.choice: Final[Mask] = np.array([isinstance(p, Choice) and not p.ordered for p in parameters])
        self.cells: Final[Array] = np.array([_cells(p) for p in parameters])
        self._even: Final[Mask] = np.isfinite(self.cells)
        self._logs: Final = [_steps(j, p) for j, p in enumerate(parameters) if isinstance(p, Int) and p.scale == "log"]
        self._even[[steps.coordinate for steps in self._logs]] = False
        self._rules: Final = _rules(space)
        self._plain: Final = np.flatnonzero(~self.choice)
        self._hot, self._hot_cell = _hot_columns(self.choice, self.cells)

    def snap(self, points: Array) -> Array:
        """`points` [m, d] moved to the centres of their cells, inactive coordinates to 0.5; a new array."""
        snapped = np.clip(points, 0.0, 1.0)
        if self._even.any():
            k = self.cells[self._even]
            snapped[:, self._even] = (np.minimum(np.floor(snapped[:, self._even] * k), k - 1) + 0.5) / k
        for steps in self._logs:
            snapped[:, steps.coordinate] = steps.centre(steps.cell(snapped[:, steps.coordinate]))
        if self._rules:
            snapped[~self.active(snapped)] = INACTIVE
        return snapped

    def settled(self, point: Sequence[float]) -> tuple[float, ...]:
        """One point, snapped."""
        return tuple(self.snap(np.array([point]))[0].tolist())

    def all_cells(self, most: int) -> Array | None:
        """All points that `snap` can give [n, d]; None where there are more than `most`, as with a float."""
        if self.combinations(self.cells, most) > most:
            return None
        cells = self.expanded({j: self.centres(j) for j in range(self.dimensions) if np.isfinite(self.cells[j])}, most)
        return None if cells is None else self.snap(cells)

    def combinations(self, counts: Sequence[float] | Array, most: int) -> float:
        """How many sets of parameters so many values of each coordinate make, where conditions hold; infinite beyond
        `most` of those that conditions depend on."""
        parents = sorted({j for rule in self._rules for _, j, _ in rule.parents if j is not None})
        if any(counts[j] > most for j in parents):
            return math.inf
        rows = self.expanded({j: self.values(j, int(counts[j])) for j in parents}, most)
        if rows is None:
            return math.inf
        others = [j for j in range(self.dimensions) if j not in parents]
        varied = np.where(self.active(rows)[:, others], np.array(counts, float)[others], 1.0)
        with np.errstate(over="ignore"):
            return float(varied.prod(axis=1).sum())

    def expanded(self, values: Mapping[int, Array], most: int) -> Array | None:
        """All combinations of these values (u) of some coordinates, varied only where they are active [n, d]; the other
        coordinates are at 0.5. None where there are more than `most`."""
        points = np.full((1, self.dimensions), INACTIVE)
        for j in self._parents_first():
            if j not in values:
                continue
            if len(values[j]) == 1:
                points[:, j] = values[j]
                continue
            active = self.active(points)[:, j]
            varied = int(active.sum())
            if len(points) + varied * (len(values[j]) - 1) > most:
                return None
            varying = np.repeat(points[active], len(values[j]), axis=0)
            varying[:, j] = np.tile(values[j], varied)
            points = np.concatenate([points[~active], varying])
        return points

    def values(self, coordinate: int, count: int) -> Array:
        """So many u along a coordinate, even on its scale; all that it can take where there are no more."""
        return self.centres(coordinate) if count == self.cells[coordinate] else (np.arange(count) + 0.5) / count

    def _parents_first(self) -> list[int]:
        conditional = [rule.coordinate for rule in self._rules if rule.coordinate is not None]
        return [*(j for j in range(self.dimensions) if j not in conditional), *conditional]

    def centres(self, coordinate: int) -> Array:
        """The u of each value that a coordinate can take."""
        cells = np.arange(self.cells[coordinate])
        log = next((steps for steps in self._logs if steps.coordinate == coordinate), None)
        return log.centre(cells) if log else (cells + 0.5) / self.cells[coordinate]

    def active(self, points: Array) -> Mask:
        """Which coordinates are active [m, d] at `points` [m, d]: their `when` holds, and that of all their parents."""
        active = np.ones(points.shape, dtype=bool)
        counts: dict[str, Mask] = {}
        everywhere = np.ones(len(points), dtype=bool)
        for rule in self._rules:
            mask = everywhere
            for parent, coordinate, wanted in rule.parents:
                mask = mask & counts.get(parent, everywhere) & self._holds(points, coordinate, wanted)
            counts[rule.name] = mask
            if rule.coordinate is not None:
                active[:, rule.coordinate] = mask
        return active

    def features(self, points: Array, weights: Array) -> Array:
        """`points` [m, d] in coordinates whose squared distance is the sum over j of (weights[j] distance_j)^2.

        An unordered choice becomes one-hot times 0.7071 (distance 1 between any two values). Result [m, D >= d].
        """
        if not len(self._hot):
            return points * weights
        features = np.empty((len(points), len(self._plain) + len(self._hot)))
        features[:, : len(self._plain)] = points[:, self._plain] * weights[self._plain]
        k = self.cells[self._hot]
        is_cell = np.minimum(np.floor(points[:, self._hot] * k), k - 1) == self._hot_cell
        features[:, len(self._plain) :] = is_cell * (math.sqrt(0.5) * weights[self._hot])
        return features

    def gaps(self, a: Array, b: Array) -> Array:
        """Distances along each coordinate between `a` [.., d] and `b` [.., d]: 0 or 1 along an unordered choice."""
        difference = np.abs(a - b)
        return np.where(self.choice, np.ceil(difference), difference)

    def _holds(self, points: Array, coordinate: int | None, wanted: Array | bool) -> Mask | np.bool_:
        if coordinate is None or isinstance(wanted, bool):
            return np.bool_(wanted)
        u = points[:, coordinate]
        log = next((steps for steps in self._logs if steps.coordinate == coordinate), None)
        k = self.cells[coordinate]
        cell = log.cell(u) if log else np.minimum(np.floor(u * k), k - 1)
        return np.asarray((cell[:, None] == wanted).any(axis=1))


def point_array(points: Sequence[Sequence[float]], dimensions: int) -> Array:
    """Points as an array [n, d], also when there are none."""
    return np.array(points, dtype=float).reshape(len(points), dimensions)


def _cells(parameter: Float | Int | Choice | Fixed) -> float:
    """How many cells divide the interval; infinitely many for a real number."""
    if isinstance(parameter, Choice):
        return float(len(parameter.values))
    if isinstance(parameter, Int):
        return float((parameter.high - parameter.low) // parameter.step + 1)
    return math.inf


def _steps(coordinate: int, parameter: Int) -> _Steps:
    start, end = parameter.low - parameter.step / 2, parameter.high + parameter.step / 2
    return _Steps(coordinate, parameter, int(_cells(parameter)) - 1, start, math.log(end) - math.log(start))


def _rules(space: Space) -> list[_Rule]:
    """The conditions, parents before children. `Space.problems` has refused circles."""
    coordinates = {name: j for j, name in enumerate(space.searched)}
    rules: dict[str, _Rule] = {}

    def add(name: str) -> None:
        conditions = space[name].when
        if not conditions or name in rules:
            return
        for parent in conditions:
            add(parent)
        parents = tuple((p, coordinates.get(p), _wanted(space[p], wanted)) for p, wanted in conditions.items())
        rules[name] = _Rule(name, coordinates.get(name), parents)

    for name in space:
        add(name)
    return list(rules.values())


def _wanted(parent: Float | Int | Choice | Fixed, wanted: Sequence[object]) -> Array | bool:
    if isinstance(parent, Choice):
        return np.array([int(parent.encode(value) * len(parent.values)) for value in wanted], dtype=float)
    if isinstance(parent, Int):
        return np.array([(int(str(value)) - parent.low) // parent.step for value in wanted], dtype=float)
    return any(_encodes(parent, value) for value in wanted)


def _encodes(parent: Float | Fixed, value: object) -> bool:
    try:
        parent.encode(value)
    except ValueError:
        return False
    return True


def _hot_columns(choice: Mask, cells: Array) -> tuple[Indices, Array]:
    """The coordinate and the cell of each one-hot feature."""
    pairs = [(j, cell) for j in np.flatnonzero(choice).tolist() for cell in range(int(cells[j]))]
    return np.array([j for j, _ in pairs], dtype=np.int64), np.array([cell for _, cell in pairs], dtype=float)
