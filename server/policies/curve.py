"""A curve as policies see it, the epochs along it, and comparisons that rounding cannot turn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol


class Point(NamedTuple):
    """A report of the curve: optimiser steps and epochs done, and metrics; None stands for what is not finite."""

    step: int
    epoch: float | None
    metrics: dict[str, float | None]


class Reported(Protocol):
    """What says how far a run has come: a point of a curve, a report's message, or its row."""

    @property
    def step(self) -> int: ...
    @property
    def epoch(self) -> Any: ...  # float | None; rows are not checked as strictly


def epoch_of(report: Reported) -> float:
    """The epochs done; the steps, where a run reports no epochs."""
    return float(report.step if report.epoch is None else report.epoch)


def epoch_at(curve: Sequence[Point], step: int) -> float:
    """The epoch of the last report up to a step; 0 before any."""
    return max((epoch_of(point) for point in curve if point.step <= step), default=0.0)


def exceeds(value: float, mark: float, by: float) -> bool:
    """Whether value - mark > by, for the decimal numbers that these floats stand for: 0.32 does not exceed 0.3 by 0.02.

    Each of them is off by at most half a unit in its last place, and so is each difference.
    """
    return value - mark - by > _slack(value, mark, by)


def reaches(value: float, mark: float, by: float) -> bool:
    """Whether value - mark >= by, in the same sense: 0.3 reaches 0.1 and 0.2 more."""
    return value - mark - by >= -_slack(value, mark, by)


def _slack(value: float, mark: float, by: float) -> float:
    return 3.0 * math.ulp(max(abs(value), abs(mark), abs(by)))
