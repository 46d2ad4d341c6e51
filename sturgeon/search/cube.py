"""The unit cube of a space, in arrays: where its cells are, and which coordinates are active at a point."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sturgeon.space import AnyParameter, Choice, Fixed, Float, Int, Range, Space
from sturgeon.space.conditions import predicate
from sturgeon.values import value_key

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]

INACTIVE: Final = 0.5
"""Where a coordinate lies whose condition does not hold, so that it adds no distance between two such points."""

ROUNDING: Final = 1e-13
"""The relative error of a value on a log scale is less: a few units in the last place, for each unit of its span."""


class _Steps(NamedTuple):
    """The cells of a number that goes in steps on a log scale, by its `decode`; `start` and `span` are of the scale, in
    its units."""

    parameter: Int | Float
    step: float
    last: int
    start: float
    span: float

    def cell(self, u: Array) -> Array:
        """The cell of each u [m]. Where rounding may turn the array's arithmetic, the parameter itself decides."""
        own = self.parameter
        value = self.start * np.exp(u * self.span)
        place = (value - own.low) / self.step
        cells = np.clip(np.rint(place), 0, self.last)
        doubtful = np.abs(place - np.floor(place) - 0.5) < ROUNDING * value / self.step
        for row in np.flatnonzero(doubtful):
            cells[row] = own.cell(float(u[row]))
        return cells

    def centre(self, cell: Array) -> Array:
        return np.log((self.parameter.low + self.step * cell) / self.start) / self.span


class _Edges(NamedTuple):
    """The cells of a parameter whose values have other shares each: `at` [cells + 1] is where they end."""

    at: Array

    def cell(self, u: Array) -> Array:
        return np.minimum(np.searchsorted(self.at, u, side="right") - 1, len(self.at) - 2).astype(float)

    def centre(self, cell: Array) -> Array:
        place = cell.astype(np.int64)
        return (self.at[place] + self.at[place + 1]) / 2


class _Even(NamedTuple):
    """Cells that all have the same share."""

    cells: float

    def cell(self, u: Array) -> Array:
        return np.minimum(np.floor(u * self.cells), self.cells - 1)

    def centre(self, cell: Array) -> Array:
        return (cell + 0.5) / self.cells


_Cells = _Steps | _Edges | _Even


class _Rule(NamedTuple):
    """`name` is active where each parent is, and lies in one of the wanted cells or in the wanted range (True, False:
    in any, in none)."""

    name: str
    coordinate: int | None
    parents: tuple[tuple[str, int | None, Array | Range | bool], ...]


class _Columns:
    """The algebra of constraints on columns of values [m], in doubles as that of single values is."""

    def number(self, value: Any) -> Any:
        return value if np.isscalar(value) else np.asarray(value, dtype=float)

    def quotient(self, a: Any, b: Any) -> Any:
        return a / np.where(np.equal(b, 0.0), np.nan, b)

    def is_value(self, value: Any, key: Hashable) -> Any:
        return np.array([value_key(one) == key for one in value], dtype=bool)


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
        unordered = [isinstance(p, Choice) and not p.ordered for p in parameters]
        self.choice: Final[Mask] = np.array(unordered, dtype=bool)  # of no parameters, too: a panda may search none
        self.cells: Final[Array] = np.array([p.cells for p in parameters], dtype=float)
        self._divided: Final = {j: cells for j, p in enumerate(parameters) if (cells := _divided(p)) is not None}
        even = [isinstance(self._divided.get(j), _Even) for j in range(self.dimensions)]
        self._even: Final[Mask] = np.array(even, dtype=bool)
        self._uneven: Final = {j: cells for j, cells in self._divided.items() if not self._even[j]}
        self._rules: Final = _rules(space)
        self._constraints: Final = space.constraints
        self._plain: Final = np.flatnonzero(~self.choice)
        self._hot, self._hot_cell = _hot_columns(self.choice, self.cells)
        self._choices: Final[list[int]] = np.flatnonzero(self.choice).tolist()
        self._hot_place: Final = np.searchsorted(self._choices, self._hot)

    def snap(self, points: Array) -> Array:
        """`points` [m, d] moved to the centres of their cells, inactive coordinates to 0.5; a new array."""
        snapped = np.clip(points, 0.0, 1.0)
        if self._even.any():
            k = self.cells[self._even]
            snapped[:, self._even] = (np.minimum(np.floor(snapped[:, self._even] * k), k - 1) + 0.5) / k
        for j, cells in self._uneven.items():
            snapped[:, j] = cells.centre(cells.cell(snapped[:, j]))
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
        return self._divided[coordinate].centre(np.arange(self.cells[coordinate]))

    def ends(self, coordinate: int) -> tuple[float, float]:
        """The u up to which the first value of a coordinate reaches, and the u from which on the last one does."""
        edges = self._divided.get(coordinate)
        if isinstance(edges, _Edges):
            return float(edges.at[1]), float(edges.at[-2])
        share = 0.75 / self.cells[coordinate]
        return share, 1.0 - share

    def active(self, points: Array) -> Mask:
        """Which coordinates are active [m, d] at `points` [m, d]: their `when` holds, and that of all their parents."""
        active = np.ones(points.shape, dtype=bool)
        by_name = self._active_names(points)
        for rule in self._rules:
            if rule.coordinate is not None:
                active[:, rule.coordinate] = by_name[rule.name]
        return active

    def features(self, points: Array, weights: Array) -> Array:
        """`points` [m, d] in coordinates whose squared distance is the sum over j of (weights[j] distance_j)^2.

        An unordered choice becomes one-hot times 0.7071 (distance 1 between any two values). Result [m, D >= d].
        """
        if not len(self._hot):
            return points * weights
        features = np.empty((len(points), len(self._plain) + len(self._hot)))
        features[:, : len(self._plain)] = points[:, self._plain] * weights[self._plain]
        cells = np.column_stack([self._divided[j].cell(points[:, j]) for j in self._choices])
        is_cell = cells[:, self._hot_place] == self._hot_cell
        features[:, len(self._plain) :] = is_cell * (math.sqrt(0.5) * weights[self._hot])
        return features

    def gaps(self, a: Array, b: Array) -> Array:
        """Distances along each coordinate between `a` [.., d] and `b` [.., d]: 0 or 1 along an unordered choice."""
        difference = np.abs(a - b)
        return np.where(self.choice, np.ceil(difference), difference)

    def satisfied(self, points: Array) -> Mask:
        """Which of the snapped `points` [m, d] have parameters that satisfy all constraints of the space."""
        holds = np.ones(len(points), dtype=bool)
        if not self._constraints or not len(points):
            return holds
        columns = {name: self._column(name, points) for one in self._constraints for name in one.names}
        active = self._active_names(points)
        for one in self._constraints:
            with np.errstate(all="ignore"):
                met = np.asarray(one.tree.evaluate(columns, _Columns()))
            for name in one.names:
                met = met | ~active.get(name, holds)
            holds = holds & met
        return holds

    def _column(self, name: str, points: Array) -> Any:
        """The values of a parameter at `points` [m, d], by its own `decode`: to the last bit what a trial gets."""
        parameter = self.space[name]
        if isinstance(parameter, Fixed):
            return [parameter.value] * len(points)
        decoded: dict[float, Any] = {}
        column = points[:, self.names.index(name)].tolist()
        for u in column:
            if u not in decoded:
                decoded[u] = parameter.decode(u)
        return [decoded[u] for u in column]

    def _active_names(self, points: Array) -> dict[str, Mask]:
        """Where each conditional parameter is active [m]: its `when` holds, and that of all its parents."""
        everywhere = np.ones(len(points), dtype=bool)
        active: dict[str, Mask] = {}
        for rule in self._rules:
            mask = everywhere
            for parent, coordinate, wanted in rule.parents:
                mask = mask & active.get(parent, everywhere) & self._holds(points, coordinate, wanted)
            active[rule.name] = mask
        return active

    def _holds(self, points: Array, coordinate: int | None, wanted: Array | Range | bool) -> Mask | np.bool_:
        if coordinate is None or isinstance(wanted, bool):
            return np.bool_(wanted)
        if isinstance(wanted, Range):
            values = self._column(self.names[coordinate], points)
            return np.array([wanted.holds(value) for value in values], dtype=bool)
        cell = self._divided[coordinate].cell(points[:, coordinate])
        return np.asarray((cell[:, None] == wanted).any(axis=1))


def point_array(points: Sequence[Sequence[float]], dimensions: int) -> Array:
    """Points as an array [n, d], also when there are none."""
    return np.array(points, dtype=float).reshape(len(points), dimensions)


def _divided(parameter: AnyParameter) -> _Cells | None:
    """The cells of a parameter; None of a real number."""
    if parameter.is_real:
        return None
    if isinstance(parameter, Int | Float) and parameter.scale == "log":
        step = float(parameter.step or 1)
        start, end = parameter.low - step / 2, parameter.high + step / 2
        return _Steps(parameter, step, int(parameter.cells) - 1, start, math.log(end) - math.log(start))
    return _Even(parameter.cells) if parameter.edges is None else _Edges(np.array(parameter.edges))


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


def _wanted(parent: AnyParameter, wanted: Sequence[object] | Range) -> Array | Range | bool:
    if isinstance(parent, Fixed):
        return predicate(wanted)(parent.value)
    if isinstance(wanted, Range):
        return wanted
    return np.array([parent.cell(parent.encode(value)) for value in wanted], dtype=float)


def _hot_columns(choice: Mask, cells: Array) -> tuple[Indices, Array]:
    """The coordinate and the cell of each one-hot feature."""
    pairs = [(j, cell) for j in np.flatnonzero(choice).tolist() for cell in range(int(cells[j]))]
    return np.array([j for j, _ in pairs], dtype=np.int64), np.array([cell for _, cell in pairs], dtype=float)
