"""A guard: a change that makes a metric worse, soon after it, is taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

Verdict = Literal["watching", "held", "broken"]


class Point(NamedTuple):
    """A report of the curve: optimiser steps and epochs done, and metrics; null stands for what is not finite."""

    step: int
    epoch: float | None
    metrics: dict[str, float | None]


class Judged(NamedTuple):
    """What a guard says, and the sentence that says why; `watching` and `held` have none."""

    verdict: Verdict
    why: str = ""


def judge(
    curve: Sequence[Point], metric: str, worse_by: float, within_epochs: float, from_step: int, sign: float
) -> Judged:
    """Whether the change that counts from the step after `from_step` held.

    The mark is the last value up to there; a later one that is worse than it by more than `worse_by`, or not finite,
    within `within_epochs` epochs breaks the guard. sign: 1 where less is better, else -1. Without a value before the
    change there is no mark: only what is not finite breaks it. Without epochs, reports are counted.
    """
    before = [point for point in curve if point.step <= from_step and metric in point.metrics]
    after = [point for point in curve if point.step > from_step]
    start = _epoch(before[-1]) if before else 0.0
    mark = before[-1].metrics[metric] if before else None
    for count, point in enumerate(after, start=1):
        if metric not in point.metrics:
            continue
        passed = count if point.epoch is None else point.epoch - start
        value = point.metrics[metric]
        if passed > within_epochs:
            return Judged("held")
        if value is None:
            return Judged("broken", f"{metric} is not finite at step {point.step}")
        if mark is not None and sign * (value - mark) > worse_by:
            worse = f"{metric} is {value:.4g} at step {point.step}, it was {mark:.4g}"
            return Judged("broken", f"{worse}: worse by more than {worse_by:g}")
    last = after[-1] if after else None
    done = last is not None and (len(after) if last.epoch is None else last.epoch - start) >= within_epochs
    return Judged("held" if done else "watching")


def _epoch(point: Point) -> float:
    return 0.0 if point.epoch is None else point.epoch
