"""Coarse to fine for people: what each round believed when it began, in the parameters' own units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from sturgeon.search.boxes import LEVELS, half_widths
from sturgeon.search.coarse_to_fine import DEFAULT, Options, best_rows, boxes_alone, posterior_of, recommend, shape_of
from sturgeon.search.cube import Array, Cube, point_array
from sturgeon.search.memo import Memo
from sturgeon.search.samplers import Finished
from sturgeon.search.scores import round_starts
from sturgeon.space import Choice, Fixed, Float, Int, Space

AT_THE_END: Final = 0.05
"""How near to an end of its range, as a share of it, a parameter lies at the end."""


class Box(NamedTuple):
    """Where a round draws: around trial `elite`; `level` k has half widths of 2^-k of the cube, times the stretch.

    `ranges`: {"low", "high"} of a number, {"values"} of a choice; whole where the elite leaves the parameter out.
    """

    elite: int
    level: int
    ranges: dict[str, dict[str, Any]]


class Round(NamedTuple):
    """A round began with the first `start` finished trials. `bars` sum to 1; `elites` are trial numbers, best first.

    Round 0, the even coverage, has none of them. `alarms` are sentences about ranges that seem too narrow.
    """

    number: int
    start: int
    bars: dict[str, float]
    elites: tuple[int, ...]
    boxes: tuple[Box, ...]
    best: int | None
    alarms: tuple[str, ...]
    model: Literal["gp", "boxes"] | None = None


class Importance(NamedTuple):
    """How much a parameter matters: the mean of its bars in the last rounds, and their standard deviation."""

    share: float
    spread: float


def rounds(space: Space, seed: int, finished: tuple[Finished, ...], options: Options = DEFAULT) -> tuple[Round, ...]:
    """All rounds so far, round 0 first. A round costs a fit, up to 20 ms, and never changes: store it once it began."""
    starts = round_starts(len(space.searched), len(finished))
    return (
        Round(0, 0, {}, (), (), None, ()),
        *(round_at(space, seed, finished[:start], number, options) for number, start in enumerate(starts, 1)),
    )


def round_at(space: Space, seed: int, first: tuple[Finished, ...], number: int, options: Options = DEFAULT) -> Round:
    """Round `number`, which began with the `first` trials. Boxes alone learn no importance: they have no bars."""
    cube, memo = Cube(space), Memo()
    if boxes_alone(cube, first, options):
        return _plain_round(cube, first, number)
    posterior = posterior_of(cube, seed, first, memo)
    bars = _named(cube, posterior.shape.bars)
    best = recommend(space, seed, first, memo)
    elites = tuple(first[posterior.rows[row]].number for row in posterior.elites)
    boxes = tuple(_boxes(cube, elites, posterior.points[posterior.elites], posterior.stretch))
    return Round(number, len(first), bars, elites, boxes, best, edge_alarms(cube, first, bars, best), "gp")


def _plain_round(cube: Cube, first: tuple[Finished, ...], number: int) -> Round:
    rows = best_rows(cube, first)
    points = cube.snap(point_array([first[row].point for row in rows], cube.dimensions))
    elites = tuple(first[row].number for row in rows)
    boxes = tuple(_boxes(cube, elites, points, np.ones(cube.dimensions)))
    alarms = edge_alarms(cube, first, None, elites[0])
    return Round(number, len(first), {}, elites, boxes, elites[0], alarms, "boxes")


def importance(space: Space, seed: int, finished: tuple[Finished, ...], last: int = 3) -> dict[str, Importance]:
    """What the bars of the `last` rounds say of each parameter; nothing before round 1.

    It rests on as many trials as the last round began with.
    """
    cube = Cube(space)
    starts = round_starts(cube.dimensions, len(finished))[-last:]
    if not starts:
        return {}
    bars = np.array([shape_of(cube, seed, finished[:start]).bars for start in starts])
    return {
        name: Importance(share, spread)
        for name, share, spread in zip(cube.names, bars.mean(axis=0).tolist(), bars.std(axis=0).tolist(), strict=True)
    }


def edge_alarms(
    cube: Cube, finished: tuple[Finished, ...], bars: dict[str, float] | None, best: int | None
) -> tuple[str, ...]:
    """A sentence for each parameter that matters and lies at an end of its range in the `best` trial.

    Without `bars` nobody knows what matters, and all are told.
    """
    if best is None:
        return ()
    point = next(trial.point for trial in finished if trial.number == best)
    at = cube.snap(np.array([point]))
    active = cube.active(at)[0]
    found = []
    for j, name in enumerate(cube.names):
        # A parameter that does not matter lies anywhere, at an end one time in ten.
        matters = bars is None or bars[name] >= 0.5 / cube.dimensions
        if active[j] and not cube.choice[j] and matters:
            margin = max(AT_THE_END, 0.75 / cube.cells[j] if cube.cells[j] >= 5 else 0.0)
            if at[0, j] <= margin:
                found.append(_sentence(cube.space, name, "lower"))
            elif at[0, j] >= 1.0 - margin:
                found.append(_sentence(cube.space, name, "upper"))
    return tuple(found)


def _sentence(space: Space, name: str, end: str) -> str:
    if isinstance(space[name], Choice):
        value = "first" if end == "lower" else "last"
        return f"the best {name} is the {value} of its values: add one beyond it"
    return f"the best {name} lies at the {end} end: widen it"


def _boxes(cube: Cube, elites: Sequence[int], points: Array, stretch: Array) -> list[Box]:
    """The nested boxes around the `elites`, trial numbers at `points` [e, d]."""
    found = []
    for number, point in zip(elites, points, strict=True):
        centre = np.repeat(point[None], len(LEVELS), axis=0)
        half = half_widths(np.array(LEVELS), stretch, ~cube.active(centre))
        low, high = np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
        for level in range(len(LEVELS)):
            ranges = {
                name: _range(cube.space[name], low[level, j], high[level, j], centre[level, j])
                for j, name in enumerate(cube.names)
            }
            found.append(Box(number, level + 1, ranges))
    return found


def _range(parameter: Float | Int | Choice | Fixed, low: float, high: float, centre: float) -> dict[str, Any]:
    if not isinstance(parameter, Choice):
        return {"low": parameter.decode(low), "high": parameter.decode(high)}
    if high - low >= 1.0:
        return {"values": list(parameter.values)}
    if not parameter.ordered:
        return {"values": [parameter.decode(centre)]}
    k = len(parameter.values)
    return {"values": parameter.values[min(int(low * k), k - 1) : int(high * k) + 1]}


def _named(cube: Cube, values: Array) -> dict[str, float]:
    return dict(zip(cube.names, values.tolist(), strict=True))
