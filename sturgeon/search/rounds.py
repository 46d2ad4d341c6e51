"""Coarse to fine for people: what each round knew when it began, in the parameters' own units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from sturgeon.search.boxes import LEVELS, half_widths
from sturgeon.search.coarse_to_fine import (
    DEFAULT,
    Options,
    best_rows,
    boxes_alone,
    kernel_params_of,
    posterior_of,
    recommend,
)
from sturgeon.search.cube import Array, Cube
from sturgeon.search.evidence import Begun, Evidence, evidence_from
from sturgeon.search.memo import Memo
from sturgeon.search.results import Results
from sturgeon.search.samplers import Finished
from sturgeon.space import AnyParameter, Choice, Normal, Space

AT_THE_END: Final = 0.05
"""A parameter counts as at an end of its range when it is nearer to it than this share of the range."""


class Box(NamedTuple):
    """Where a round draws: around trial `elite`; `level` k has half widths of 2^-k of the cube, times the stretch.

    `ranges`: {"low", "high"} of a number, {"values"} of a choice; the whole range where the parameter is inactive in
    the elite.
    """

    elite: int
    level: int
    ranges: dict[str, dict[str, object]]


class Round(NamedTuple):
    """A round that began with the first `start` finished trials, and draws around `elites`: trial numbers, best first.

    `relevance`: how much each parameter matters, summing to 1; empty without a model. `best`: the trial to take as the
    winner then. `alarms`: sentences about ranges that seem too narrow.
    """

    number: int
    start: int
    relevance: dict[str, float]
    elites: tuple[int, ...]
    boxes: tuple[Box, ...]
    best: int | None
    alarms: tuple[str, ...]
    model: Literal["gp", "boxes"] | None = None

    def body(self) -> dict[str, Any]:
        """What is stored of a round, and sent: there the relevance is called `bars`."""
        body = self._asdict()
        body["bars"] = body.pop("relevance")
        return body | {"boxes": [box._asdict() for box in self.boxes]}


class Importance(NamedTuple):
    """How much a parameter matters: the mean of its relevance over the last rounds, and the standard deviation."""

    share: float
    spread: float


def round_at(
    space: Space,
    seed: int,
    first: Sequence[Finished],
    number: int,
    options: Options = DEFAULT,
    start: int | None = None,
) -> Round:
    """Round `number`, which began with the `first` trials, or with `start` of which they are the selection. A fit takes
    up to 20 ms; boxes alone have no relevance."""
    cube, memo = Cube(space), Memo()
    evidence = evidence_from(first, cube.dimensions)
    if start is not None:
        evidence = Evidence(Results.of(first), start, (Begun(start, Results.of(first)),))
    first = evidence.finished
    if boxes_alone(cube, options):
        return _plain_round(cube, evidence, number)
    posterior = posterior_of(cube, seed, evidence, memo)
    relevance = _named(cube, posterior.kernel_params.relevance)
    best = recommend(space, seed, evidence, memo)
    elites = tuple(first[posterior.rows[row]].number for row in posterior.elites)
    boxes = tuple(_boxes(cube, elites, posterior.points[posterior.elites], posterior.stretch))
    return Round(
        number, evidence.total, relevance, elites, boxes, best, edge_alarms(cube, first, relevance, best), "gp"
    )


def _plain_round(cube: Cube, evidence: Evidence, number: int) -> Round:
    first = evidence.finished
    rows = best_rows(cube, first)
    points = cube.snap(first.points[rows])
    elites = tuple(first[row].number for row in rows)
    boxes = tuple(_boxes(cube, elites, points, np.ones(cube.dimensions)))
    alarms = edge_alarms(cube, first, None, elites[0])
    return Round(number, evidence.total, {}, elites, boxes, elites[0], alarms, "boxes")


def importance(space: Space, seed: int, finished: Sequence[Finished] | Evidence) -> dict[str, Importance]:
    """How much each parameter matters, by the last 3 rounds; empty before round 1.

    It rests on as many trials as the last round began with.
    """
    cube = Cube(space)
    rounds = evidence_from(finished, cube.dimensions).rounds
    if not rounds:
        return {}
    relevance = np.array([kernel_params_of(cube, seed, begun.results).relevance for begun in rounds])
    means, deviations = relevance.mean(axis=0).tolist(), relevance.std(axis=0).tolist()
    return {name: Importance(share, spread) for name, share, spread in zip(cube.names, means, deviations, strict=True)}


def edge_alarms(
    cube: Cube, finished: Sequence[Finished], relevance: dict[str, float] | None, best: int | None
) -> tuple[str, ...]:
    """A sentence for each parameter that matters and lies at an end of its range in the `best` trial.

    Without `relevance` any parameter may matter, and each gets its sentence.
    """
    if best is None:
        return ()
    point = next(trial.point for trial in finished if trial.number == best)
    at = cube.snap(np.array([point]))
    active = cube.active(at)[0]
    alarms = []
    for j, name in enumerate(cube.names):
        # A parameter that does not matter lies anywhere, at an end one time in ten.
        matters = relevance is None or relevance[name] >= 0.5 / cube.dimensions
        if active[j] and not cube.choice[j] and matters:
            first, last = cube.ends(j) if cube.cells[j] >= 5 else (0.0, 1.0)
            if at[0, j] <= max(AT_THE_END, first):
                alarms.append(_sentence(cube.space, name, "lower"))
            elif at[0, j] >= min(1.0 - AT_THE_END, last):
                alarms.append(_sentence(cube.space, name, "upper"))
    return tuple(alarms)


def _sentence(space: Space, name: str, end: str) -> str:
    if isinstance(space[name], Choice):
        value = "first" if end == "lower" else "last"
        return f"the best {name} is the {value} of its values: add one beyond it"
    if isinstance(space[name], Normal):
        return f"the best {name} lies in the {end} tail of its distribution: move its mean, or raise its sd"
    return f"the best {name} lies at the {end} end: widen it"


def _boxes(cube: Cube, elites: Sequence[int], points: Array, stretch: Array) -> list[Box]:
    """The nested boxes around the `elites`, trial numbers at `points` [e, d]."""
    boxes = []
    for number, point in zip(elites, points, strict=True):
        centre = np.repeat(point[None], len(LEVELS), axis=0)
        half = half_widths(np.array(LEVELS), stretch, ~cube.active(centre))
        low, high = np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
        for level in range(len(LEVELS)):
            ranges = {
                name: _range(cube.space[name], low[level, j], high[level, j], centre[level, j])
                for j, name in enumerate(cube.names)
            }
            boxes.append(Box(number, level + 1, ranges))
    return boxes


def _range(parameter: AnyParameter, low: float, high: float, centre: float) -> dict[str, object]:
    if not isinstance(parameter, Choice):
        return {"low": parameter.decode(low), "high": parameter.decode(high)}
    if high - low >= 1.0:
        return {"values": list(parameter.values)}
    if not parameter.ordered:
        return {"values": [parameter.decode(centre)]}
    return {"values": parameter.values[parameter.cell(low) : parameter.cell(high) + 1]}


def _named(cube: Cube, values: Array) -> dict[str, float]:
    return dict(zip(cube.names, values.tolist(), strict=True))
