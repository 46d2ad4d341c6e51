"""Parameters that are drawn from a normal or a lognormal distribution: the u of a value is its quantile."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from statistics import NormalDist
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import Field, FiniteFloat

from sturgeon.space.parameters import ParameterKind, StepSize, is_left_out, no_range
from sturgeon.space.steps import MOST_STEPS, steps_problem, value_at
from sturgeon.values import is_number

TAIL: Final = 6.0
"""Without low or high the distribution ends at so many standard deviations: beyond lies one draw in 500 million."""

MOST_VALUES: Final = 10_000
"""A distribution with a step has so many values at most."""

LEAST_MASS: Final = 1e-6
"""low and high keep at least this share of the distribution, so that its quantiles can be told apart."""

LEAST_WIDTH: Final = 1e-12
_STANDARD: Final = NormalDist()


class Part(NamedTuple):
    """The part of the standard normal distribution between `a` and `b`."""

    a: float
    b: float

    @property
    def mass(self) -> float:
        """Its share of the whole distribution."""
        part = self._mirrored if self._is_upper else self
        return _below(part.b) - _below(part.a)

    @property
    def _is_upper(self) -> bool:
        """Numbers near 1 have fewer digits than those near 0: the upper half is computed as the lower one."""
        return self.a + self.b > 0

    @property
    def _mirrored(self) -> Part:
        return Part(-self.b, -self.a)

    def value(self, u: float) -> float:
        """The quantile at `u`."""
        if u in (0.0, 1.0):
            return self.b if u else self.a
        if self._is_upper:
            return -self._mirrored.value(1.0 - u)
        low = _below(self.a)
        return min(max(_STANDARD.inv_cdf(low + u * (_below(self.b) - low)), self.a), self.b)

    def unit(self, z: float) -> float:
        """The share that lies below `z`."""
        if self._is_upper:
            return 1.0 - self._mirrored.unit(-z)
        low = _below(self.a)
        return min(max((_below(z) - low) / (_below(self.b) - low), 0.0), 1.0)


def _below(z: float) -> float:
    """The share of the standard normal distribution below `z`; exact in its lower tail, where 1 + erf is not."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


class Normal(ParameterKind):
    """A number from the normal distribution with this mean and standard deviation, between low and high. With a step it
    is rounded to low plus a multiple of it (without low, to a multiple of it); if those are integers, so is the value.
    """

    type: Literal["normal"]
    mean: FiniteFloat
    sd: Annotated[FiniteFloat, Field(gt=0)]
    low: FiniteFloat | None = Field(default=None, exclude_if=is_left_out)
    high: FiniteFloat | None = Field(default=None, exclude_if=is_left_out)
    step: StepSize | None = Field(default=None, exclude_if=is_left_out)

    def _value_of(self, z: float) -> float:
        return self.mean + self.sd * z

    def _z_of(self, value: float) -> float:
        return (value - self.mean) / self.sd

    @property
    def cells(self) -> float:
        return math.inf if self.step is None else float(len(self._steps[1]) - 1)

    @property
    def edges(self) -> Sequence[float] | None:
        return None if self.step is None else self._steps[1]

    @property
    def extremes(self) -> Sequence[float]:
        return [self.decode(0.0), self.decode(1.0)]

    @property
    def _half(self) -> float:
        return 0.5 * self.step if self.step else 0.0

    @cached_property
    def _part(self) -> Part:
        """Between the ends; with a step half of one more at those that are given, as for an int."""
        a = -TAIL if self.low is None else max(-TAIL, self._z_of(self.low - self._half))
        b = TAIL if self.high is None else min(TAIL, self._z_of(self.high + self._half))
        return Part(a, b)

    @cached_property
    def _steps(self) -> tuple[int, tuple[float, ...]]:
        """The multiple of the first value, and where the cells of all values end in the unit interval."""
        assert self.step is not None
        origin = self.low or 0.0
        first = math.floor((self._value_of(self._part.a) - origin) / self.step + 0.5)
        last = math.ceil((self._value_of(self._part.b) - origin) / self.step - 0.5)
        inner = (self._part.unit(self._z_of(origin + (k - 0.5) * self.step)) for k in range(first + 1, last + 1))
        edges = [0.0, *inner, 1.0]
        while len(edges) > 2 and edges[1] < LEAST_WIDTH:
            first, edges = first + 1, [0.0, *edges[2:]]
        while len(edges) > 2 and edges[-2] > 1.0 - LEAST_WIDTH:
            edges = [*edges[:-2], 1.0]
        return first, tuple(edges)

    @property
    def _is_whole(self) -> bool:
        return self.step is not None and self.step.is_integer() and float(self.low or 0.0).is_integer()

    def problem(self) -> str | None:
        if self.low is not None and self.high is not None and not self.low < self.high:
            return no_range(self.low, self.high)
        ends = self._ends()
        if ends is None or not math.isfinite(ends[1] - ends[0]):
            return "write a mean and a sd that keep its values within the range of a double"
        if self._part.a >= self._part.b or self._part.mass < LEAST_MASS:
            return f"nearly nothing of the distribution lies between low and high: its middle is {ends[2]:g}"
        if self.step is not None:
            return self._step_problem(ends[0], ends[1], self.step)
        return None if ends[0] < ends[1] else "write a larger sd: all its values are the same number"

    def _ends(self) -> tuple[float, float, float] | None:
        """The least and the largest value and the middle; None where one is beyond a double."""
        try:
            values = [self._value_of(z) for z in (self._part.a, self._part.b, 0.0)]
        except OverflowError:
            return None
        return (values[0], values[1], values[2]) if all(map(math.isfinite, values)) else None

    def _step_problem(self, least: float, largest: float, step: float) -> str | None:
        if (largest - least) / step >= MOST_VALUES:
            return f"with a step it may have {MOST_VALUES} values at most: write a larger step, or low and high"
        if step < 8 * math.ulp(max(abs(least), abs(largest))):
            return f"the step {step!r} is too small for numbers of this size: write a larger one"
        if self.low is not None and self.high is not None and (problem := steps_problem(self.low, self.high, step)):
            return problem
        if not (largest - (self.low or 0.0)) / step <= MOST_STEPS:
            return "its values may lie 2^45 steps from low at most: write a greater low or a larger step"
        return None if self.cells > 1 else "it has one value only: write a smaller step, or a fixed parameter"

    def decode(self, u: float) -> Any:
        if self.step is not None:
            return self._value(self.cell(u))
        value = self._value_of(self._part.value(u))
        least = -math.inf if self.low is None else self.low
        return min(max(value, least), math.inf if self.high is None else self.high)

    def cell(self, u: float) -> int:
        edges = self._steps[1]
        return min(bisect_right(edges, u) - 1, len(edges) - 2)

    def _value(self, place: int) -> float:
        assert self.step is not None
        value = value_at(self.low or 0.0, self.step, self._steps[0] + place)
        return int(value) if self._is_whole else value

    def encode(self, value: object) -> float:
        least, largest = self.extremes
        if not is_number(value) or not least <= value <= largest:
            raise ValueError(f"write a number from {least!r} to {largest!r}")
        if self.step is None:
            return self._part.unit(self._z_of(value))
        first, edges = self._steps
        place = round((value - (self.low or 0.0)) / self.step) - first
        if abs(self._value(place) - value) > 1e-9 * self.step + 4 * math.ulp(value):
            raise ValueError(f"write {self.low or 0.0:g} plus a multiple of {self.step!r}")
        return (edges[place] + edges[place + 1]) / 2


class LogNormal(Normal):
    """A positive number whose natural logarithm is normal, with this mean and standard deviation; low, high and step
    are of the number itself."""

    type: Literal["lognormal"]  # type: ignore[assignment]  # a kind of its own on the wire
    low: Annotated[FiniteFloat, Field(ge=0)] | None = Field(default=None, exclude_if=is_left_out)

    def _value_of(self, z: float) -> float:
        return math.exp(self.mean + self.sd * z)

    def _z_of(self, value: float) -> float:
        return (math.log(value) - self.mean) / self.sd if value > 0 else -math.inf
