"""Marks: the report of a curve that a rule holds on to, such as the best one, or the last alarm.

A rule goes through the curve from its start, and of each point says whether it takes the mark from the one before. What
it has come to at a step depends on the points up to there alone, so it can be carried on from report to report.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from server.policies.curve import Point, exceeds


class MarkRule(NamedTuple):
    """name: the same for the same rule, whatever the policy. takes: whether a point takes the mark from another one,
    or from none."""

    name: str
    takes: Callable[[Point | None, Point], bool]


def last_alarm() -> MarkRule:
    """Marks the last portion at which a drift was seen."""
    return MarkRule("alarm", lambda _, point: "portion" in point.metrics and bool(point.metrics.get("drift")))


def best_value(metric: str, sign: float, least_gain: float) -> MarkRule:
    """Marks the last value that was better than the marked one by more than `least_gain`. sign: 1 where less is
    better, else -1."""

    def takes(mark: Point | None, point: Point) -> bool:
        value, best = point.metrics.get(metric), None if mark is None else mark.metrics[metric]
        return value is not None and (best is None or exceeds(sign * best, sign * value, least_gain))

    return MarkRule(f"best {metric} {sign:g} {least_gain!r}", takes)
