"""A curve as policies see it, the epochs along it, and comparisons that rounding cannot turn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
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


class CurveReader(Protocol):
    """A curve that may be long: what reads it says how far."""

    @property
    def newest(self) -> Point | None:
        """The last report; None before any."""

    def after(self, step: int) -> Iterator[Point]:
        """The reports of later steps, in their order."""

    def up_to(self, step: int) -> Iterator[Point]:
        """The reports up to a step, the last first."""


def last_up_to(curve: CurveReader, step: int) -> Point | None:
    """The last report up to a step; None before any."""
    return None if step < 0 else next(curve.up_to(step), None)


def in_order(points: Iterable[Point | None]) -> list[Point]:
    """The points by step; of two of one step the later."""
    by_step = {point.step: point for point in points if point is not None}
    return [by_step[step] for step in sorted(by_step)]
