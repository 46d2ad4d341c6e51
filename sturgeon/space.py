"""The search space: named parameters, each with its range and scale, some only under a condition.

A sampler sees only the unit cube: one coordinate in [0, 1] for each searched parameter, in the order of the space.
`Space.decode` turns a point into the parameters of a trial, `Space.encode` finds the point of given parameters.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, FiniteFloat, RootModel

from sturgeon.errors import FieldProblem, Invalid
from sturgeon.scales import SCALES, ScaleName
from sturgeon.strictness import Sized, Strict
from sturgeon.values import LARGEST_INT, Name, PlainValue, is_number, same_value, short_text, value_key

MAX_PARAMETERS: Final = 100
MAX_CHOICES: Final = 1000
MOST_STEPS: Final = 2**45  # of an int's range: beyond it a point of the cube cannot tell two neighbours apart

BoundedInt = Annotated[int, Field(ge=-LARGEST_INT, le=LARGEST_INT)]
When = Annotated[dict[Name, Annotated[list[PlainValue], Sized(MAX_CHOICES, least=1)]], Sized(MAX_PARAMETERS)]


class _Parameter(Strict):
    model_config = ConfigDict(frozen=True)

    when: When | None = Field(
        default=None,
        description='Active only while each named parameter has one of these values: {"optimizer": ["adam"]}.',
    )


class Float(_Parameter):
    """A real number in [low, high], equally likely on its scale."""

    type: Literal["float"]
    low: FiniteFloat
    high: FiniteFloat
    scale: ScaleName = "linear"

    def problem(self) -> str | None:
        if not self.low < self.high:
            return _no_range(self.low, self.high)
        return SCALES[self.scale].range_problem(self.low, self.high)

    def decode(self, u: float) -> float:
        return SCALES[self.scale].value(u, self.low, self.high)

    def encode(self, value: object) -> float:
        if not is_number(value) or not self.low <= value <= self.high:
            raise ValueError(f"write a number from {self.low!r} to {self.high!r}")
        return SCALES[self.scale].unit(float(value), self.low, self.high)


class Int(_Parameter):
    """An integer low, low + step, .., high. The interval is half a step wider at either end before rounding,
    so that both ends are as likely as their neighbours on the scale."""

    type: Literal["int"]
    low: BoundedInt
    high: BoundedInt
    step: Annotated[int, Field(ge=1, le=LARGEST_INT)] = 1
    scale: Literal["linear", "log"] = "linear"

    @property
    def _origin(self) -> int:
        """A linear scale counts its steps from low, so that integers far from 0 stay exact."""
        return self.low if self.scale == "linear" else 0

    @property
    def _ends(self) -> tuple[float, float]:
        return self._place(self.low) - 0.5, self._place(self.high) + 0.5

    def _place(self, value: int) -> float:
        """Where the value stands on the scale, in steps."""
        return (value - self._origin) / self.step

    def problem(self) -> str | None:
        if not self.low < self.high:
            return _no_range(self.low, self.high)
        above = (self.high - self.low) % self.step
        if above:
            nearest = (self.high - above, self.high - above + self.step)
            allowed = " or ".join(str(high) for high in nearest if self.low < high <= LARGEST_INT)
            wanted = f"write high {allowed}" if allowed else "write a smaller step"
            return f"high cannot be reached from low {self.low} in steps of {self.step}: {wanted}"
        if self._place(self.high) > MOST_STEPS:
            return "a range may have 2^45 steps at most: write a smaller range or a larger step"
        if self.scale == "log" and self._ends[0] <= 0:
            return f"a log scale starts above 0: write a low greater than {self.step / 2:g}, or scale linear"
        return SCALES[self.scale].range_problem(*self._ends)

    def decode(self, u: float) -> int:
        steps = round(SCALES[self.scale].value(u, *self._ends) - self._place(self.low))
        return min(max(self.low + steps * self.step, self.low), self.high)

    def encode(self, value: object) -> float:
        if not isinstance(value, int) or isinstance(value, bool) or not self.low <= value <= self.high:
            raise ValueError(f"write an integer from {self.low} to {self.high}")
        if (value - self.low) % self.step:
            raise ValueError(f"write {self.low} plus a multiple of {self.step}")
        return SCALES[self.scale].unit(self._place(value), *self._ends)

    def share(self, value: int) -> float:
        """The share of the unit interval that decodes to `value`."""
        scale = SCALES[self.scale]
        place = self._place(value)
        return scale.unit(place + 0.5, *self._ends) - scale.unit(place - 0.5, *self._ends)


class Choice(_Parameter):
    """One of the values, each equally likely; `ordered` says that neighbours are alike."""

    type: Literal["choice"]
    values: Annotated[list[PlainValue], Sized(MAX_CHOICES, least=1)]
    ordered: bool = False

    @cached_property
    def _places(self) -> dict[Hashable, int]:
        return {value_key(value): i for i, value in reversed(list(enumerate(self.values)))}

    def problem(self) -> str | None:
        for i, value in enumerate(self.values):
            if self._places[value_key(value)] != i:
                return f"each value may stand once; {short_text(value)} stands twice"
        return None

    def decode(self, u: float) -> Any:
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def encode(self, value: object) -> float:
        if (i := self._places.get(value_key(value))) is not None:
            return (i + 0.5) / len(self.values)
        raise ValueError(f"write one of {', '.join(short_text(v) for v in self.values[:20])}")


class Fixed(_Parameter):
    """A value that is not searched, handed out with every trial."""

    type: Literal["fixed"]
    value: PlainValue

    def problem(self) -> str | None:
        return None

    def decode(self, u: float) -> Any:  # noqa: ARG002 - the same shape as its siblings
        return self.value

    def encode(self, value: object) -> float:
        if not same_value(value, self.value):
            raise ValueError(f"it is fixed at {short_text(self.value)}; leave it out")
        return 0.5


def _no_range(low: float, high: float) -> str:
    """Why low and high are no range, and what to write if only one value is meant."""
    sentence = f"low must be less than high; got low {low!r} and high {high!r}"
    return f'{sentence}; for this value alone, write {{"type": "fixed", "value": {low!r}}}' if low == high else sentence


Parameter = Annotated[Float | Int | Choice | Fixed, Field(discriminator="type")]


class Space(RootModel[Annotated[dict[Name, Parameter], Sized(MAX_PARAMETERS, least=1, every_problem=True)]]):
    """Parameters by name. The order of the names is the order of the unit cube's coordinates."""

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]  # a mapping's iteration, not a model's
        return iter(self.root)

    def __getitem__(self, name: str) -> Float | Int | Choice | Fixed:
        return self.root[name]

    def __eq__(self, other: object) -> bool:
        """Whether both are the same to a sampler: pydantic's own equality would ignore the order."""
        return isinstance(other, Space) and (self is other or self.identity() == other.identity())

    __hash__ = None  # type: ignore[assignment]  # `root` can be changed in place

    def identity(self) -> str:
        """The space as text, the order of its names included: what a cache of a sampler's work is keyed by."""
        return self.model_dump_json()

    @property
    def searched(self) -> tuple[str, ...]:
        """The names of the cube's coordinates, in order."""
        return tuple(name for name, parameter in self.root.items() if not isinstance(parameter, Fixed))

    def problems(self) -> list[FieldProblem]:
        """What is wrong: for each problem the parameter's pointer, and a sentence that says what to write."""
        problems = [
            FieldProblem(f"/{name}", f"{name}: {sentence}")
            for name, parameter in self.root.items()
            if (sentence := parameter.problem()) is not None
        ]
        if not self.searched:
            problems.append(FieldProblem("", "a space needs at least one float, int or choice parameter"))
        return problems + self._condition_problems()

    def _condition_problems(self) -> list[FieldProblem]:
        return [
            FieldProblem(f"/{name}/when/{parent}", f"{name}: {sentence}")
            for name, parameter in self.root.items()
            for parent, wanted in (parameter.when or {}).items()
            if (sentence := self._condition_problem(name, parent, wanted))
        ]

    def _condition_problem(self, name: str, parent: str, wanted: Sequence[object]) -> str | None:
        if parent not in self.root:
            return (
                f"when names {parent!r}, which is no parameter of this space; its parameters are {', '.join(self.root)}"
            )
        if name in self._ancestors(parent):
            return f"when goes in a circle through {parent}"
        above = self.root[parent]
        if isinstance(above, Float):
            return f"when needs a choice, int or fixed parameter, and {parent} is a float"
        for value in wanted:
            try:
                above.encode(value)
            except ValueError as error:
                return f"when can never hold, {parent} is never {short_text(value)}: {error}"
        return None

    def _ancestors(self, name: str) -> set[str]:
        """The name itself, and all that its condition depends on."""
        ancestors: set[str] = set()
        todo = [name]
        while todo:
            current = todo.pop()
            if current not in ancestors and current in self.root:
                ancestors.add(current)
                todo.extend(self.root[current].when or {})
        return ancestors

    @cached_property
    def _conditions(self) -> dict[str, dict[str, frozenset[Hashable]]]:
        """Name -> parent -> the keys of the values under which the name is active."""
        return {
            name: {parent: frozenset(map(value_key, wanted)) for parent, wanted in (parameter.when or {}).items()}
            for name, parameter in self.root.items()
        }

    def _active(self, values: Mapping[str, object]) -> set[str]:
        """The names whose conditions hold, and those of all their parents, for the values of a full decode."""
        known: dict[str, bool] = {}

        def holds(name: str) -> bool:
            # Each name once: plain recursion takes 2^n steps where each name depends on all before it.
            if name not in known:
                conditions = self._conditions[name].items()
                known[name] = all(
                    holds(parent) and value_key(values[parent]) in wanted for parent, wanted in conditions
                )
            return known[name]

        return {name for name in self.root if holds(name)}

    def decode(self, point: Sequence[float]) -> dict[str, Any]:
        """The parameters at `point` (one u in [0, 1] a searched name), without those whose condition does not hold."""
        coordinates = dict(zip(self.searched, point, strict=True))
        values = {name: parameter.decode(coordinates.get(name, 0.5)) for name, parameter in self.root.items()}
        active = self._active(values)
        return {name: value for name, value in values.items() if name in active}

    def encode(self, params: Mapping[str, object]) -> tuple[float, ...]:
        """The point of `params`: its decode gives them again. Inactive parameters get 0.5.

        Raises: Invalid (a name is unknown, missing, or given although its condition does not hold; a value lies
        outside).
        """
        problems = [
            FieldProblem(f"/{name}", f"{name}: no such parameter; the parameters are {', '.join(self.root)}")
            for name in params
            if name not in self.root
        ]
        values = {n: params.get(n, p.value if isinstance(p, Fixed) else None) for n, p in self.root.items()}
        active = self._active(values)
        units: dict[str, float] = {}
        for name, parameter in self.root.items():
            if name in params and name not in active:
                problems.append(FieldProblem(f"/{name}", f"{name}: leave it out, its condition (when) does not hold"))
            elif name not in params and name in active and not isinstance(parameter, Fixed):
                problems.append(FieldProblem(f"/{name}", f"{name}: a value is missing"))
            elif name in params:
                try:
                    units[name] = parameter.encode(params[name])
                except ValueError as error:
                    problems.append(FieldProblem(f"/{name}", f"{name}: {error}"))
        if problems:
            raise Invalid(f"The parameters do not fit the space. {problems[0].detail}.", tuple(problems))
        return tuple(units.get(name, 0.5) for name in self.searched)

    def place(self, values: Mapping[str, object]) -> tuple[float, ...] | None:
        """The point of parameters that were not made for this space; None if they have none in it.

        Unknown and inactive names are ignored. There is no point where an active parameter is missing or lies outside.
        """
        known = {n: values.get(n, p.value if isinstance(p, Fixed) else None) for n, p in self.root.items()}
        active = self._active(known)
        try:
            return self.encode({name: value for name, value in values.items() if name in active})
        except Invalid:
            return None

    def complete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """`params` with the active fixed values, in the order of the space."""
        values = {n: params.get(n, p.value if isinstance(p, Fixed) else None) for n, p in self.root.items()}
        active = self._active(values)
        return {
            name: values[name]
            for name, parameter in self.root.items()
            if name in params or (isinstance(parameter, Fixed) and name in active)
        }
