"""The search space: named parameters, each with its range and scale, some only under a condition.

A sampler sees only the unit cube: one coordinate in [0, 1] for each searched parameter, in the order of the space.
`Space.decode` turns a point into the parameters of a trial, `Space.encode` finds the point of given parameters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, PrivateAttr, RootModel

from sturgeon.errors import Contradiction, FieldProblem, json_pointer
from sturgeon.space.conditions import MAX_PARAMETERS, Range, predicate
from sturgeon.space.constraints import Constraint, constraint
from sturgeon.space.normals import LogNormal, Normal
from sturgeon.space.parameters import Choice, Fixed, Float, Int
from sturgeon.strictness import Sized
from sturgeon.values import Name, is_number, short_text

AnyParameter = Float | Int | Choice | Fixed | Normal | LogNormal
Parameter = Annotated[AnyParameter, Field(discriminator="type")]


class Space(RootModel[Annotated[dict[Name, Parameter], Sized(MAX_PARAMETERS, least=1, every_problem=True)]]):
    """Parameters by name. The order of the names is the order of the unit cube's coordinates.

    `constraints` are beside the space on the wire; `constrained` puts them into it.
    """

    _constraints: tuple[Constraint, ...] = PrivateAttr(default=())

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]  # a mapping's iteration, not a model's
        return iter(self.root)

    def __getitem__(self, name: str) -> AnyParameter:
        return self.root[name]

    def __eq__(self, other: object) -> bool:
        """Whether both are the same to a sampler: pydantic's own equality would ignore the order."""
        return isinstance(other, Space) and (self is other or self.identity() == other.identity())

    __hash__ = None  # type: ignore[assignment]  # `root` can be changed in place

    def identity(self) -> str:
        """The space as text, the order of its names included: what a cache of a sampler's work is keyed by."""
        text = self.model_dump_json()
        return f"{text}\n{json.dumps([one.text for one in self.constraints])}" if self.constraints else text

    @classmethod
    def of_identity(cls, identity: str) -> Space:
        """The space of that identity."""
        space, _, constraints = identity.partition("\n")
        return cls.model_validate_json(space).constrained(json.loads(constraints or "[]"))

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """What the parameters of each trial satisfy."""
        return self._constraints

    def constrained(self, texts: Sequence[str]) -> Self:
        """This space with these constraints instead of its own. Raises: ValueError (one cannot be read)."""
        space = type(self)(self.root)
        space._constraints = tuple(map(constraint, texts))
        return space

    @cached_property
    def searched(self) -> tuple[str, ...]:
        """The names of the cube's coordinates, in order."""
        return tuple(name for name, parameter in self.root.items() if not isinstance(parameter, Fixed))

    def problems(self) -> list[FieldProblem]:
        """What is wrong: for each problem the parameter's pointer, and a sentence that says what to write."""
        problems = [
            FieldProblem(json_pointer(name), f"{name}: {sentence}")
            for name, parameter in self.root.items()
            if (sentence := parameter.problem()) is not None
        ]
        if not self.searched:
            problems.append(FieldProblem("", "a space needs at least one parameter that is not fixed"))
        return problems + self._condition_problems()

    def constraint_problems(self) -> list[FieldProblem]:
        """What is wrong with the constraints, with pointers into their list."""
        return [
            FieldProblem(json_pointer(place), f"{one.text}: {sentence}")
            for place, one in enumerate(self.constraints)
            if (sentence := one.problem(self.root)) is not None
        ]

    def _condition_problems(self) -> list[FieldProblem]:
        return [
            FieldProblem(json_pointer(name, "when", parent), f"{name}: {sentence}")
            for name, parameter in self.root.items()
            for parent, wanted in (parameter.when or {}).items()
            if (sentence := self._condition_problem(name, parent, wanted))
        ]

    def _condition_problem(self, name: str, parent: str, wanted: Sequence[object] | Range) -> str | None:
        if parent not in self.root:
            return (
                f"when names {parent!r}, which is no parameter of this space; its parameters are {', '.join(self.root)}"
            )
        if name in self._ancestors(parent):
            return f"when goes in a circle through {parent}"
        above = self.root[parent]
        if above.problem() is not None:
            return None  # which is told already, and makes its values nothing to count
        if isinstance(wanted, Range):
            return _range_problem(parent, above, wanted)
        if above.is_real:
            return f'{parent} is a real number: write a range of it, as in "when": {{"{parent}": {{"at_least": 0.5}}}}'
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
    def _conditions(self) -> dict[str, dict[str, Callable[[object], bool]]]:
        """Name -> parent -> whether the name is active at a value of the parent."""
        return {
            name: {parent: predicate(wanted) for parent, wanted in (parameter.when or {}).items()}
            for name, parameter in self.root.items()
        }

    @cached_property
    def _has_conditions(self) -> bool:
        return any(self._conditions.values())

    def _active(self, values: Mapping[str, object]) -> set[str]:
        """The names whose conditions hold, and those of all their parents, for the values of a full decode."""
        known: dict[str, bool] = {}

        def holds(name: str) -> bool:
            # Each name once: plain recursion takes 2^n steps where each name depends on all before it.
            if name not in known:
                conditions = self._conditions[name].items()
                known[name] = all(holds(parent) and met(values[parent]) for parent, met in conditions)
            return known[name]

        return {name for name in self.root if holds(name)}

    def decode(self, point: Sequence[float]) -> dict[str, Any]:
        """The parameters at `point` (one u in [0, 1] a searched name), without those whose condition does not hold."""
        coordinates = dict(zip(self.searched, point, strict=True))
        values = {name: parameter.decode(coordinates.get(name, 0.5)) for name, parameter in self.root.items()}
        if not self._has_conditions:
            return values
        active = self._active(values)
        return {name: value for name, value in values.items() if name in active}

    def broken(self, params: Mapping[str, Any]) -> list[Constraint]:
        """The constraints that these parameters do not satisfy. One with an inactive parameter does not count."""
        return [one for one in self.constraints if all(name in params for name in one.names) and not one.holds(params)]

    def encode(self, params: Mapping[str, object]) -> tuple[float, ...]:
        """The point of `params`: its decode gives them again. Inactive parameters get 0.5.

        Raises: Contradiction (a name is unknown, missing, or given although its condition does not hold; a value lies
        outside; a constraint does not hold).
        """
        problems = [
            FieldProblem(json_pointer(name), f"{name}: no such parameter; the parameters are {', '.join(self.root)}")
            for name in params
            if name not in self.root
        ]
        values = self._with_fixed(params)
        active = self._active(values)
        units: dict[str, float] = {}
        for name, parameter in self.root.items():
            if sentence := _presence_problem(parameter, name in params, name in active):
                problems.append(FieldProblem(json_pointer(name), f"{name}: {sentence}"))
            elif name in params:
                try:
                    units[name] = parameter.encode(params[name])
                except ValueError as error:
                    problems.append(FieldProblem(json_pointer(name), f"{name}: {error}"))
        if not problems:
            known = {name: value for name, value in values.items() if name in active}
            problems = [FieldProblem("", one.sentence(known)) for one in self.broken(known)]
        if problems:
            raise Contradiction(f"The parameters do not fit the space. {problems[0].detail}.", tuple(problems))
        return tuple(units.get(name, 0.5) for name in self.searched)

    def _with_fixed(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """All names of the space, with None for what `params` lacks and is not fixed."""
        return {n: params.get(n, p.value if isinstance(p, Fixed) else None) for n, p in self.root.items()}

    def place(self, values: Mapping[str, object]) -> tuple[float, ...] | None:
        """The point of parameters that were not made for this space; None if they have none in it.

        Unknown and inactive names are ignored. There is no point where an active parameter is missing or lies outside,
        or a constraint does not hold.
        """
        active = self._active(self._with_fixed(values))
        try:
            return self.encode({name: value for name, value in values.items() if name in active})
        except Contradiction:
            return None

    def complete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """`params` with the active fixed values, in the order of the space."""
        values = self._with_fixed(params)
        active = self._active(values)
        return {
            name: values[name]
            for name, parameter in self.root.items()
            if name in params or (isinstance(parameter, Fixed) and name in active)
        }


def _presence_problem(parameter: AnyParameter, is_given: bool, is_active: bool) -> str | None:
    if is_given and not is_active:
        return "leave it out, its condition (when) does not hold"
    if not is_given and is_active and not isinstance(parameter, Fixed):
        return "a value is missing"
    return None


def _range_problem(name: str, parameter: AnyParameter, wanted: Range) -> str | None:
    values = parameter.extremes
    if wanted.is_empty:
        return "write one or more of at_least, at_most, above, below"
    if not all(map(is_number, values)):
        return f"{name} is not always a number: write the list of its values under which this is active"
    lists_all = isinstance(parameter, Choice | Fixed)
    if any(map(wanted.holds, values)) or (not lists_all and wanted.meets(*values)):
        return None
    reach = f"it is {short_text(values[0])}" if len(values) == 1 else f"it goes from {min(values)!r} to {max(values)!r}"
    return f"when can never hold, {name} is never {wanted}: {reach}"
