"""Testing an objective before a search spends hours on it; no server is needed.

from sturgeon import testing

def test_my_objective():
    testing.check_objective(objective, SPACE, metric="dev_loss")
"""

from __future__ import annotations

import itertools
import operator
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, SupportsFloat, SupportsIndex

from sturgeon import objective as objectives
from sturgeon.errors import Invalid
from sturgeon.space import Choice, Fixed, Space
from sturgeon.tuning.params import Params
from sturgeon.values import same_value

__all__ = ["Objective", "ObjectiveFault", "Report", "Trial", "check_objective", "edge_points", "run"]

Objective = Callable[..., object]
Point = dict[str, Any]
MOST_POINTS = 60
MOST_BETWEEN = 4
DRAWS = 10_000


class ObjectiveFault(AssertionError):
    """What is wrong with an objective; one line for each fault."""


class Report(NamedTuple):
    """What was reported at one step."""

    step: int
    metrics: dict[str, float]


class Trial:
    """A trial without a server: it has the given parameters and keeps what is reported.

    stop_after: the number of reports after which `should_stop` is true; None never stops.
    reports: what was reported, in order. result: the metrics at the end, after `run`.
    """

    study, attempt = "test", 0

    def __init__(
        self, params: Mapping[str, Any], *, seed: int = 0, number: int = 0, stop_after: int | None = None
    ) -> None:
        self.params, self.seed, self.number = Params(params), seed, number
        self.reports: list[Report] = []
        self.result: dict[str, float] = {}
        self._stop_after = stop_after

    @property
    def checkpoint(self) -> None:
        """A test has no checkpoint folder."""
        return

    def saved(self, step: SupportsIndex) -> None:
        """Nothing is kept."""

    @property
    def should_stop(self) -> bool:
        return self._stop_after is not None and len(self.reports) >= self._stop_after

    @property
    def should_pause(self) -> bool:
        return False

    def report(
        self,
        step: SupportsIndex | None = None,
        values: Mapping[str, SupportsFloat] | None = None,
        *,
        epoch: SupportsFloat | None = None,  # noqa: ARG002 - the shape of a trial
        **metrics: SupportsFloat,
    ) -> None:
        """Keep the report. Raises: TypeError, as a real trial does; ValueError (the step had other values before)."""
        named = objectives.metrics_of({**(values or {}), **metrics}, None)
        if not named:
            raise TypeError("Report at least one metric, like report(step, dev_loss=0.2).")
        number = operator.index(step) if step is not None else self.reports[-1].step + 1 if self.reports else 0
        if any(one.step == number and not _same(one.metrics, named) for one in self.reports):
            raise ValueError(f"Step {number} was reported before with other values; count the steps over all epochs.")
        self.reports.append(Report(number, named))
        self.result |= named


def run(
    objective: Objective,
    params: Mapping[str, Any],
    *,
    metric: str = "loss",
    seed: int = 0,
    stop_after: int | None = None,
) -> Trial:
    """Call the objective with these parameters, as a study does; the trial has its reports and its result.

    Raises: what the objective raises.
    """
    trial = Trial(params, seed=seed, stop_after=stop_after)
    trial.result |= objectives.run(objective, trial, metric)
    return trial


def edge_points(space: Mapping[str, Any] | Space, constraints: Sequence[str] = ()) -> list[Point]:
    """Parameters at the corners of a space: its middle, all lowest, all highest, and each value of each choice. Those
    that break a constraint are left out; where all do, some from between that break none take their place.

    Raises: Invalid (it is no space, a constraint is none, or nothing was found that satisfies all of them).
    """
    checked = space if isinstance(space, Space) else Space.model_validate(dict(space))
    if problems := checked.problems():
        raise Invalid(f"The space is not valid. {problems[0].detail}.", tuple(problems))
    checked = checked.constrained([*(one.text for one in checked.constraints), *constraints])
    if problems := checked.constraint_problems():
        raise Invalid(f"The constraints are not valid. {problems[0].detail}.", tuple(problems))
    found: list[Point] = []
    for point in itertools.chain(_corners(checked), _between(checked)):
        params = checked.decode(point)
        if not checked.broken(params) and not any(_same_point(params, other) for other in found):
            found.append(params)
    if not found:
        raise Invalid(f"None of {DRAWS} random points of the space satisfies the constraints.")
    return found[:MOST_POINTS]


def check_objective(
    objective: Objective,
    space: Mapping[str, Any] | Space,
    *,
    metric: str,
    constraints: Sequence[str] = (),
    deterministic: bool = True,
    seed: int = 0,
) -> None:
    """Run the objective at the edges of its space, and check what a search relies on.

    - It runs at each of `edge_points`, and returns or reports its metric there. NaN is allowed: such a trial diverged.
    - It does not report a step twice with other values.
    - It ends soon after `trial.should_stop` is true, if it reports more than twice.
    - With the same parameters and the same seed it gives the same metrics, unless `deterministic=False`.

    Raises: ObjectiveFault (an AssertionError with a line for each fault), Invalid (it is no space).
    """
    points = edge_points(space, constraints)
    faults = [fault for point in points for fault in _faults_at(objective, point, metric, seed)]
    if not faults:
        first = run(objective, points[0], metric=metric, seed=seed)
        faults += _stop_faults(objective, points[0], metric, seed, first)
        if deterministic:
            faults += _repeat_faults(objective, points[0], metric, seed, first)
    if faults:
        raise ObjectiveFault("\n".join([f"{objectives.name_of(objective)} has {len(faults)} fault(s):", *faults]))


def _corners(space: Space) -> Iterator[list[float]]:
    names = space.searched
    yield [0.5] * len(names)
    yield [0.0] * len(names)
    yield [1.0] * len(names)
    for place, name in enumerate(names):
        for unit in _units(space, name):
            yield [unit if i == place else 0.5 for i in range(len(names))]


def _between(space: Space) -> Iterator[list[float]]:
    """Random points, the same each time, for a space whose corners break its constraints."""
    if space.constraints:
        draw = random.Random(0)
        satisfying = (
            point
            for point in ([draw.random() for _ in space.searched] for _ in range(DRAWS))
            if not space.broken(space.decode(point))
        )
        yield from itertools.islice(satisfying, MOST_BETWEEN)


def _units(space: Space, name: str) -> list[float]:
    parameter = space[name]
    if isinstance(parameter, Choice):
        return [parameter.encode(value) for value in parameter.values]
    return [] if isinstance(parameter, Fixed) else [0.0, 1.0]


def _faults_at(objective: Objective, point: Point, metric: str, seed: int) -> list[str]:
    where = ", ".join(f"{name}={value!r}" for name, value in point.items())
    try:
        trial = run(objective, point, metric=metric, seed=seed)
    except Exception as error:
        return [f"with {where}: {objectives.last_line(error)}"]
    if metric not in trial.result:
        others = ", ".join(trial.result) or "nothing"
        return [f"with {where}: it neither returned nor reported {metric}; it gave {others}"]
    return []


def _stop_faults(objective: Objective, point: Point, metric: str, seed: int, whole: Trial) -> list[str]:
    """An objective that looks only once in a while may report once more."""
    stopped = run(objective, point, metric=metric, seed=seed, stop_after=1)
    if len(whole.reports) <= 2 or len(stopped.reports) <= 2:
        return []
    return [
        f"it does not stop: told so at its first report, it made {len(stopped.reports) - 1} more. "
        "Look at trial.should_stop after each report."
    ]


def _repeat_faults(objective: Objective, point: Point, metric: str, seed: int, first: Trial) -> list[str]:
    again = run(objective, point, metric=metric, seed=seed)
    if _same(first.result, again.result):
        return []
    return [
        f"it is not deterministic: the same parameters and seed gave {metric} {first.result.get(metric)} and then "
        f"{again.result.get(metric)}. Seed its random numbers from trial.seed, or say deterministic=False."
    ]


def _same(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Equal, where NaN is equal to itself."""
    return one.keys() == other.keys() and all(
        value == other[name] or (value != value and other[name] != other[name]) for name, value in one.items()
    )


def _same_point(one: Point, other: Point) -> bool:
    return one.keys() == other.keys() and all(same_value(value, other[name]) for name, value in one.items())
