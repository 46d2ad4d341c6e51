"""What a constraint is made of: a small tree of arithmetic, comparisons, `and` and `or`.

A tree is evaluated by an `Algebra`: that of single values here, that of columns of values in `sturgeon/search`. Both
compute in doubles, so they agree to the last bit.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, Literal, Protocol

from sturgeon.values import value_key

Sign = Literal["+", "-", "*", "/"]
Relation = Literal["<", "<=", ">", ">=", "==", "!="]

ROUNDING: Final = 1e-12
"""Sides that differ by no more than this share of both are equal: 0.1 + 0.2 == 0.3."""


class Algebra(Protocol):
    """How to compute with the values of parameters, one each or a column each."""

    def number(self, value: Any) -> Any:
        """The value in doubles."""
        ...

    def quotient(self, a: Any, b: Any) -> Any:
        """a / b, and NaN where b is 0, so that no comparison with it holds."""
        ...

    def is_value(self, value: Any, key: Hashable) -> Any:
        """Whether the value has this key."""
        ...


class Scalars:
    """The algebra of single values."""

    def number(self, value: Any) -> float:
        return float(value)

    def quotient(self, a: float, b: float) -> float:
        return a / b if b else float("nan")

    def is_value(self, value: Any, key: Hashable) -> bool:
        return value_key(value) == key


@dataclass(frozen=True)
class Literally:
    """A number, a text, true, false or null."""

    value: float | str | bool | None

    def evaluate(self, values: Mapping[str, Any], algebra: Algebra) -> Any:  # noqa: ARG002 - the same shape as its siblings
        return self.value


@dataclass(frozen=True)
class Parameter:
    """The value of a parameter."""

    name: str

    def evaluate(self, values: Mapping[str, Any], algebra: Algebra) -> Any:
        return algebra.number(values[self.name])


@dataclass(frozen=True)
class Arithmetic:
    """Two numbers, added, subtracted, multiplied or divided."""

    sign: Sign
    left: Numeric
    right: Numeric

    def evaluate(self, values: Mapping[str, Any], algebra: Algebra) -> Any:
        left, right = self.left.evaluate(values, algebra), self.right.evaluate(values, algebra)
        return algebra.quotient(left, right) if self.sign == "/" else _ARITHMETIC[self.sign](left, right)


@dataclass(frozen=True)
class Comparison:
    """Two numbers in a relation."""

    relation: Relation
    left: Numeric
    right: Numeric

    def evaluate(self, values: Mapping[str, Any], algebra: Algebra) -> Any:
        return _RELATIONS[self.relation](self.left.evaluate(values, algebra), self.right.evaluate(values, algebra))


@dataclass(frozen=True)
class Is:
    """Whether a parameter has a value that is no number, or (`negated`) another one."""

    name: str
    value: str | bool | None
    negated: bool

    def evaluate(self, values: Mapping[str, Any], algebra: Algebra) -> Any:
        return algebra.is_value(values[self.name], value_key(self.value)) ^ self.negated


@dataclass(frozen=True)
class Joined:
    """Several conditions, of which all (`and`) or one (`or`) must hold."""

    word: Literal["and", "or"]
    parts: tuple[Logical, ...]

    def evaluate(self, values: Mapping[str, Any], algebra: Algebra) -> Any:
        join = operator.and_ if self.word == "and" else operator.or_
        return reduce(join, (part.evaluate(values, algebra) for part in self.parts))


Numeric = Literally | Parameter | Arithmetic
Logical = Comparison | Is | Joined
Node = Numeric | Logical


def _near(a: Any, b: Any) -> Any:
    return abs(a - b) <= ROUNDING * (abs(a) + abs(b))


def _less(a: Any, b: Any) -> Any:
    return b - a > ROUNDING * (abs(a) + abs(b))


_ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_RELATIONS: Final[dict[Relation, Callable[[Any, Any], Any]]] = {
    "<": _less,
    ">": lambda a, b: _less(b, a),
    "<=": lambda a, b: (a < b) | _near(a, b),
    ">=": lambda a, b: (b < a) | _near(a, b),
    "==": _near,
    "!=": lambda a, b: _less(a, b) | _less(b, a),
}


def names_in(node: Node) -> Iterator[tuple[str, bool]]:
    """The parameters of a tree, each with whether it has to be a number."""
    if isinstance(node, Parameter):
        yield node.name, True
    elif isinstance(node, Is):
        yield node.name, False
    elif isinstance(node, Joined):
        for part in node.parts:
            yield from names_in(part)
    elif isinstance(node, Arithmetic | Comparison):
        yield from names_in(node.left)
        yield from names_in(node.right)
