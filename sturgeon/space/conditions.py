"""Conditions: when a parameter is active, by the values of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, FiniteFloat, Tag

from sturgeon.strictness import Sized, Strict
from sturgeon.values import Name, PlainValue, is_number, value_key

MAX_PARAMETERS: Final = 100
MAX_CHOICES: Final = 1000


class Range(Strict):
    """Numbers between two ends, each of which may be left out: `at_least` and `at_most` count themselves, `above` and
    `below` do not."""

    model_config = ConfigDict(frozen=True)

    at_least: FiniteFloat | None = Field(default=None, exclude_if=lambda end: end is None)
    at_most: FiniteFloat | None = Field(default=None, exclude_if=lambda end: end is None)
    above: FiniteFloat | None = Field(default=None, exclude_if=lambda end: end is None)
    below: FiniteFloat | None = Field(default=None, exclude_if=lambda end: end is None)

    def holds(self, value: object) -> bool:
        return is_number(value) and all(
            (
                self.at_least is None or value >= self.at_least,
                self.at_most is None or value <= self.at_most,
                self.above is None or value > self.above,
                self.below is None or value < self.below,
            )
        )

    def meets(self, low: float, high: float) -> bool:
        """Whether some number from `low` to `high` may lie in the range."""
        return all(
            (
                self.at_least is None or high >= self.at_least,
                self.at_most is None or low <= self.at_most,
                self.above is None or high > self.above,
                self.below is None or low < self.below,
                self._has_inside,
            )
        )

    @property
    def _has_inside(self) -> bool:
        lower = [end for end in (self.at_least, self.above) if end is not None]
        upper = [end for end in (self.at_most, self.below) if end is not None]
        if not lower or not upper or max(lower) < min(upper):
            return True
        return max(lower) == min(upper) and self.holds(max(lower))

    @property
    def is_empty(self) -> bool:
        """Whether no end is given."""
        return self.at_least is self.at_most is self.above is self.below is None

    def __str__(self) -> str:
        return " and ".join(f"{name.replace('_', ' ')} {end:g}" for name, end in self.model_dump().items())


def _list_of(condition: object) -> object:
    """`{"in": [..]}` is another way to write a list."""
    is_named = isinstance(condition, Mapping) and list(condition) == ["in"]
    return condition["in"] if is_named else condition  # type: ignore[index]  # a Mapping, as just asked


def _kind(condition: object) -> str:
    return "range" if isinstance(condition, Mapping | Range) else "list"


Wanted = Annotated[list[PlainValue], Sized(MAX_CHOICES, least=1)]
Condition = Annotated[
    Annotated[Wanted, Tag("list")] | Annotated[Range, Tag("range")], Discriminator(_kind), BeforeValidator(_list_of)
]
When = Annotated[dict[Name, Condition], Sized(MAX_PARAMETERS)]


def predicate(condition: Sequence[Any] | Range) -> Callable[[object], bool]:
    """Whether a value of the parameter meets the condition, as a function of the value."""
    if isinstance(condition, Range):
        return condition.holds
    keys = frozenset(map(value_key, condition))
    return lambda value: value_key(value) in keys
