"""The kinds of parameters: each is a map of the unit interval onto its values, and back."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Hashable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, FiniteFloat

from sturgeon.scales import SCALES, ScaleName
from sturgeon.space.conditions import MAX_CHOICES, When
from sturgeon.space.steps import MOST_STEPS, steps_problem, value_at
from sturgeon.strictness import Sized, Strict
from sturgeon.values import LARGEST_INT, PlainValue, is_number, same_value, short_text, value_key

LEAST_SHARE: Final = 1e-9
"""Of a weighted choice: a value that is drawn less often than this is no choice."""

BoundedInt = Annotated[int, Field(ge=-LARGEST_INT, le=LARGEST_INT)]
StepSize = Annotated[FiniteFloat, Field(gt=0)]


def is_left_out(value: object) -> bool:
    """Whether an optional field of a parameter was not given; then no message has it."""
    return value is None


class ParameterKind(Strict):
    """What all parameters have in common.

    `cells`: how many values there are, infinity for a real number. `edges`: where one value ends and the next begins
    in the unit interval [cells + 1]; None where all have the same share, or a formula tells.
    """

    model_config = ConfigDict(frozen=True)

    when: When | None = Field(
        default=None,
        exclude_if=is_left_out,
        description='Active only while each named parameter has one of these values, {"optimizer": ["adam"]}, or lies '
        'in this range: {"layers": {"at_least": 2}}.',
    )

    @property
    def cells(self) -> float:
        return math.inf

    @property
    def edges(self) -> Sequence[float] | None:
        return None

    @property
    def is_real(self) -> bool:
        """Whether it has more values than can be told apart by counting."""
        return math.isinf(self.cells)

    def problem(self) -> str | None:
        """What is wrong with it, and what to write instead."""
        raise NotImplementedError

    def decode(self, u: float) -> Any:
        """The value at `u` in [0, 1]."""
        raise NotImplementedError

    def encode(self, value: object) -> float:
        """The u of a value. Raises: ValueError (it is none of the parameter's, with what to write)."""
        raise NotImplementedError

    def cell(self, u: float) -> int:
        """The place of the value at `u` among all values."""
        raise NotImplementedError

    @property
    def extremes(self) -> Sequence[Any]:
        """The values that a check of all values has to look at: each one of a choice, both ends of a range."""
        raise NotImplementedError


class Float(ParameterKind):
    """A real number in [low, high], equally likely on its scale. With a step one of low, low + step, .., high: a number
    on the scale, drawn from half a step more at either end, is rounded to the nearest of them."""

    type: Literal["float"]
    low: FiniteFloat
    high: FiniteFloat
    scale: ScaleName = "linear"
    step: StepSize | None = Field(default=None, exclude_if=is_left_out)

    @property
    def cells(self) -> float:
        return math.inf if self.step is None else float(self._last + 1)

    @property
    def extremes(self) -> Sequence[float]:
        return [self.low, self.high]

    @cached_property
    def _last(self) -> int:
        """The number of steps from low to high."""
        return round((self.high - self.low) / self.step) if self.step else 0

    @property
    def _start(self) -> float:
        """Where low stands on the scale, in steps. A linear scale counts from low."""
        return self.low / self.step if self.step and self.scale == "log" else 0.0

    @property
    def _ends(self) -> tuple[float, float]:
        return self._start - 0.5, self._start + self._last + 0.5

    def problem(self) -> str | None:
        if not self.low < self.high:
            return no_range(self.low, self.high)
        if self.step is None:
            return SCALES[self.scale].range_problem(self.low, self.high)
        if self.scale not in ("linear", "log"):
            return f"a step goes with the scales linear and log; leave it out with {self.scale}"
        if problem := steps_problem(self.low, self.high, self.step):
            return problem
        if self.scale == "log" and self._ends[0] <= 0:
            return f"a log scale starts above 0: write a low greater than {self.step / 2:g}, or scale linear"
        return SCALES[self.scale].range_problem(*self._ends)

    def steps(self) -> Iterator[float]:
        """All values of a number that goes in steps."""
        return (self._value(place) for place in range(self._last + 1))

    def share(self, value: float) -> float:
        """The share of the unit interval that decodes to `value`, one of `steps`."""
        assert self.step is not None
        place = self._start + round((value - self.low) / self.step)
        scale = SCALES[self.scale]
        return scale.unit(place + 0.5, *self._ends) - scale.unit(place - 0.5, *self._ends)

    def decode(self, u: float) -> float:
        if self.step is None:
            return SCALES[self.scale].value(u, self.low, self.high)
        return self._value(self.cell(u))

    def cell(self, u: float) -> int:
        return min(max(round(SCALES[self.scale].value(u, *self._ends) - self._start), 0), self._last)

    def _value(self, place: int) -> float:
        assert self.step is not None
        return self.high if place == self._last else value_at(self.low, self.step, place)

    def encode(self, value: object) -> float:
        if not is_number(value) or not self.low <= value <= self.high:
            raise ValueError(f"write a number from {self.low!r} to {self.high!r}")
        if self.step is None:
            return SCALES[self.scale].unit(float(value), self.low, self.high)
        place = round((value - self.low) / self.step)
        if abs(self._value(place) - value) > 1e-9 * self.step + 4 * math.ulp(value):
            raise ValueError(f"write {self.low!r} plus a multiple of {self.step!r}")
        return SCALES[self.scale].unit(self._start + place, *self._ends)


class Int(ParameterKind):
    """An integer low, low + step, .., high. The interval is half a step wider at either end before rounding,
    so that both ends are as likely as their neighbours on the scale."""

    type: Literal["int"]
    low: BoundedInt
    high: BoundedInt
    step: Annotated[int, Field(ge=1, le=LARGEST_INT)] = 1
    scale: Literal["linear", "log"] = "linear"

    @property
    def cells(self) -> float:
        return float((self.high - self.low) // self.step + 1)

    @property
    def extremes(self) -> Sequence[int]:
        return [self.low, self.high]

    @property
    def _origin(self) -> int:
        """A linear scale counts its steps from low, so that integers far from 0 stay exact."""
        return self.low if self.scale == "linear" else 0

    @property
    def _ends(self) -> tuple[float, float]:
        return self._place(self.low) - 0.5, self._place(self.high) + 0.5

    def _place(self, value: float) -> float:
        """Where the value stands on the scale, in steps."""
        return (value - self._origin) / self.step

    def problem(self) -> str | None:
        if not self.low < self.high:
            return no_range(self.low, self.high)
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
        return self.low + self.cell(u) * self.step

    def cell(self, u: float) -> int:
        steps = round(SCALES[self.scale].value(u, *self._ends) - self._place(self.low))
        return min(max(steps, 0), (self.high - self.low) // self.step)

    def encode(self, value: object) -> float:
        if not isinstance(value, int) or isinstance(value, bool) or not self.low <= value <= self.high:
            raise ValueError(f"write an integer from {self.low} to {self.high}")
        if (value - self.low) % self.step:
            raise ValueError(f"write {self.low} plus a multiple of {self.step}")
        return SCALES[self.scale].unit(self._place(value), *self._ends)

    def steps(self) -> Iterator[int]:
        """All values."""
        return iter(range(self.low, self.high + 1, self.step))

    def share(self, value: float) -> float:
        """The share of the unit interval that decodes to `value`."""
        scale = SCALES[self.scale]
        place = self._place(value)
        return scale.unit(place + 0.5, *self._ends) - scale.unit(place - 0.5, *self._ends)


class Choice(ParameterKind):
    """One of the values, each equally likely or by its `weights`; `ordered` says that neighbours are alike."""

    type: Literal["choice"]
    values: Annotated[list[PlainValue], Sized(MAX_CHOICES, least=1)]
    ordered: bool = False
    weights: Annotated[list[StepSize], Sized(MAX_CHOICES, least=1)] | None = Field(
        default=None,
        exclude_if=is_left_out,
        description="How likely each of the values is, relative to the others; they need not sum to 1.",
    )

    @property
    def cells(self) -> float:
        return float(len(self.values))

    @property
    def extremes(self) -> Sequence[Any]:
        return self.values

    @cached_property
    def shares(self) -> tuple[float, ...]:
        """The probability of each value."""
        weights = self.weights or [1.0] * len(self.values)
        largest = max(weights)
        total = math.fsum(weight / largest for weight in weights)
        return tuple(weight / largest / total for weight in weights)

    @cached_property
    def edges(self) -> Sequence[float] | None:
        return None if self.weights is None else (0.0, *list(accumulate(self.shares))[:-1], 1.0)

    @cached_property
    def _places(self) -> dict[Hashable, int]:
        return {value_key(value): i for i, value in reversed(list(enumerate(self.values)))}

    def problem(self) -> str | None:
        for i, value in enumerate(self.values):
            if self._places[value_key(value)] != i:
                return f"each value may stand once; {short_text(value)} stands twice"
        if self.weights is not None and len(self.weights) != len(self.values):
            return f"write one weight for each value: {len(self.values)} of them, not {len(self.weights)}"
        rare = next((value for value, share in zip(self.values, self.shares, strict=True) if share < LEAST_SHARE), None)
        return None if rare is None else f"{short_text(rare)} would be drawn less than once in 10^9: leave it out"

    def decode(self, u: float) -> Any:
        return self.values[self.cell(u)]

    def cell(self, u: float) -> int:
        place = int(u * len(self.values)) if self.edges is None else bisect_right(self.edges, u) - 1
        return min(place, len(self.values) - 1)

    def encode(self, value: object) -> float:
        if (i := self._places.get(value_key(value))) is None:
            raise ValueError(f"write one of {', '.join(short_text(v) for v in self.values[:20])}")
        return (i + 0.5) / len(self.values) if self.edges is None else (self.edges[i] + self.edges[i + 1]) / 2


class Fixed(ParameterKind):
    """A value that is not searched, handed out with every trial."""

    type: Literal["fixed"]
    value: PlainValue

    @property
    def cells(self) -> float:
        return 1.0

    @property
    def extremes(self) -> Sequence[Any]:
        return [self.value]

    def problem(self) -> str | None:
        return None

    def decode(self, u: float) -> Any:  # noqa: ARG002 - the same shape as its siblings
        return self.value

    def cell(self, u: float) -> int:  # noqa: ARG002 - the same shape as its siblings
        return 0

    def encode(self, value: object) -> float:
        if not same_value(value, self.value):
            raise ValueError(f"it is fixed at {short_text(self.value)}; leave it out")
        return 0.5


def no_range(low: float, high: float) -> str:
    """Why low and high are no range, and what to write if only one value is meant."""
    sentence = f"low must be less than high; got low {low!r} and high {high!r}"
    return f'{sentence}; for this value alone, write {{"type": "fixed", "value": {low!r}}}' if low == high else sentence
