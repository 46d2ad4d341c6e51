"""Scales: the unit interval <-> a value in [low, high].

A sampler draws `u` uniformly from [0, 1]; the scale decides what is equally likely. Course note, "using an
appropriate scale": a learning rate is uniform in its exponent; beta = 1 - 10^r is uniform in r. A share that may be
near 0 as well as near 1 is uniform in its logit, the log of its odds.

A new scale is a class here, with its name in `ScaleName` and in `SCALES`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, Literal, Protocol

ScaleName = Literal["linear", "log", "one_minus_log", "logit"]


class Scale(Protocol):
    """A monotone map of [0, 1] onto [low, high] and back; both ends are exact.

    It covers each range that `range_problem` does not refuse, also one between two neighbouring numbers.
    """

    def value(self, u: float, low: float, high: float) -> float:
        """The value at `u`, clamped to [low, high]."""
        ...

    def unit(self, value: float, low: float, high: float) -> float:
        """The `u` in [0, 1] at which `value` lies."""
        ...

    def range_problem(self, low: float, high: float) -> str | None:
        """Why this scale cannot cover [low, high], and what to write instead; None if it can."""
        ...


class Linear:
    """Equal steps are equally likely."""

    def value(self, u: float, low: float, high: float) -> float:
        return _clamp(low * (1.0 - u) + high * u, low, high)

    def unit(self, value: float, low: float, high: float) -> float:
        return _clamp((value - low) / (high - low), 0.0, 1.0)

    def range_problem(self, low: float, high: float) -> str | None:
        return None if math.isfinite(high - low) else "write a range whose width is a finite number"


class Log:
    """Equal factors are equally likely: value = low (high / low)^u."""

    def value(self, u: float, low: float, high: float) -> float:
        # From the nearer end, so that the exponent, and with it the rounding error, stays small.
        span = math.log(high / low)
        return _clamp(low * math.exp(u * span) if u <= 0.5 else high * math.exp((u - 1.0) * span), low, high)

    def unit(self, value: float, low: float, high: float) -> float:
        return min(self.around(value, low, high), key=lambda u: abs(self.value(u, low, high) - value))

    def around(self, value: float, low: float, high: float) -> Iterator[float]:
        """The u of `value` by the formula, and its neighbours on the grid to which the exponent is rounded.

        The grid's step is ulp(span / 2). With the best of the neighbours, the way to u and back is off by 4 ulp at most
        on two decades. Over seven decades a double u cannot tell values nearer than 16 ulp apart: there the error is at
        most 8 times 2^-52 of the value.
        """
        span = math.log(high / low)
        near_low = math.log(value / low)
        u = near_low / span if near_low <= span / 2 else 1.0 + math.log(value / high) / span
        grid = math.ulp(span / 2) / span
        return (_clamp(u + k * grid, 0.0, 1.0) for k in (0, -1, 1, -2, 2))

    def range_problem(self, low: float, high: float) -> str | None:
        if low <= 0:
            return "a log scale starts above 0: write a low greater than 0, or scale linear"
        return None if math.isfinite(high / low) else "write a range whose high / low is a finite number"


class OneMinusLog:
    """beta = 1 - 10^r with r uniform: on [0.9, 0.999] half of the samples lie above 0.99 (course note on beta)."""

    def value(self, u: float, low: float, high: float) -> float:
        if u in (0.0, 1.0):  # there expm1(log1p(-x)) may be an ulp off
            return high if u else low
        return _clamp(0.0 - math.expm1(Linear().value(u, math.log1p(-low), math.log1p(-high))), low, high)

    def unit(self, value: float, low: float, high: float) -> float:
        return Linear().unit(math.log1p(-value), math.log1p(-low), math.log1p(-high))

    def range_problem(self, low: float, high: float) -> str | None:
        if low < 0 or high >= 1:
            return "one_minus_log is for averages: write 0 <= low and high < 1 (for example 0.9 and 0.999)"
        if math.log1p(-low) == math.log1p(-high):
            return "low and high are the same number on this scale: write a wider range, or scale linear"
        return None


class Logit:
    """Equal factors of the odds value / (1 - value) are equally likely: as log near 0, as one_minus_log near 1."""

    def value(self, u: float, low: float, high: float) -> float:
        if u in (0.0, 1.0):  # there the way to the odds and back may be an ulp off
            return high if u else low
        odds = Log().value(u, _odds(low), _odds(high))
        return _clamp(odds / (1.0 + odds), low, high)

    def unit(self, value: float, low: float, high: float) -> float:
        if value in (low, high):
            return 0.0 if value == low else 1.0
        around = Log().around(_odds(value), _odds(low), _odds(high))
        return min(around, key=lambda u: abs(self.value(u, low, high) - value))

    def range_problem(self, low: float, high: float) -> str | None:
        if low <= 0 or high >= 1:
            return "logit is for shares: write 0 < low and high < 1 (for example 0.01 and 0.99)"
        return Log().range_problem(_odds(low), _odds(high))


SCALES: Final[dict[ScaleName, Scale]] = {
    "linear": Linear(),
    "log": Log(),
    "one_minus_log": OneMinusLog(),
    "logit": Logit(),
}


def _odds(share: float) -> float:
    return share / (1.0 - share)


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, min(low, high)), max(low, high))
