"""Constraints between parameters: what a set of parameters must satisfy to be tried at all."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from sturgeon.space.expressions import Logical, Scalars, names_in
from sturgeon.space.grammar import MOST_LETTERS, parse
from sturgeon.space.normals import Normal
from sturgeon.space.parameters import Choice, Fixed, Float, Int
from sturgeon.strictness import Sized
from sturgeon.values import PlainText, is_number, short_text

MOST_CONSTRAINTS: Final = 50
_SCALARS: Final = Scalars()


@dataclass(frozen=True)
class Constraint:
    """A constraint as it was written, and its tree. `names`: its parameters; it counts where all of them are active."""

    text: str
    tree: Logical
    names: tuple[str, ...]

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it holds for these values, in which none of its parameters is missing."""
        return bool(self.tree.evaluate(values, _SCALARS))

    def problem(self, parameters: Mapping[str, Float | Int | Choice | Fixed | Normal]) -> str | None:
        """What is wrong with it in a space of these parameters, and what to write."""
        for name, is_number_wanted in names_in(self.tree):
            if name not in parameters:
                near = difflib.get_close_matches(name, parameters, n=1)
                hint = f"did you mean {near[0]}? " if near else ""
                return f"{name} is no parameter of the space; {hint}its parameters are {', '.join(parameters)}"
            odd = next((value for value in parameters[name].extremes if not is_number(value)), None)
            if is_number_wanted and not all(map(is_number, parameters[name].extremes)):
                return f"{name} may be {short_text(odd)}, which is no number: compare it with text by == or !="
        return None

    def sentence(self, values: Mapping[str, Any]) -> str:
        """That it does not hold for these values."""
        known = " and ".join(f"{name} is {short_text(values[name])}" for name in self.names)
        return f"the constraint {self.text} does not hold: {known}"


@lru_cache(maxsize=512)
def constraint(text: str) -> Constraint:
    """Read a constraint. Raises: ValueError (what is wrong with it)."""
    tree = parse(text)
    names = tuple(dict.fromkeys(name for name, _ in names_in(tree)))
    if not names:
        raise ValueError("it names no parameter")
    return Constraint(text, tree, names)


def _read(text: str) -> str:
    constraint(text)
    return text


ConstraintText = Annotated[PlainText, Field(min_length=1, max_length=MOST_LETTERS), AfterValidator(_read)]
Constraints = Annotated[list[ConstraintText], Sized(MOST_CONSTRAINTS, every_problem=True)]
