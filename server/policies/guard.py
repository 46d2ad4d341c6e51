"""A guard: a change that makes a metric worse, soon after it, is taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from server.policies.curve import CurveReader, Point, exceeds, reaches
from server.policies.rule import PolicyRule, metric_problems
from server.policies.view import Decision, PolicyView
from sturgeon.errors import FieldProblem
from sturgeon.messages import Guard, GuardPolicy, TrainStudyTask


class GuardVerdict(NamedTuple):
    """What a guard says of its change; `why` is a sentence for a `broken` one."""

    verdict: Literal["watching", "passed", "broken"]
    why: str = ""


def judge(curve: Sequence[Point], guard: Guard | GuardPolicy, from_step: int, sign: float) -> GuardVerdict:
    """Whether the change that counts from the step after `from_step` did harm.

    The mark is the last value up to there; a later one that is worse than it by more than `worse_by`, or not finite,
    within `within_epochs` epochs breaks the guard. sign: 1 where less is better, else -1. Without a value before the
    change there is no mark: only what is not finite breaks it. Without epochs, reports are counted.
    """
    metric = guard.metric
    before = [point for point in curve if point.step <= from_step and metric in point.metrics]
    after = [point for point in curve if point.step > from_step]
    start = (before[-1].epoch or 0.0) if before else 0.0
    mark = before[-1].metrics[metric] if before else None
    for count, point in enumerate(after, start=1):
        if metric not in point.metrics:
            continue
        if exceeds(*_passed(count, point, start), guard.within_epochs):
            return GuardVerdict("passed")
        value = point.metrics[metric]
        if value is None:
            return GuardVerdict("broken", f"{metric} is not finite at step {point.step}")
        if mark is not None and exceeds(sign * value, sign * mark, guard.worse_by):
            worse = f"{metric} is {value:.4g} at step {point.step}, it was {mark:.4g}"
            return GuardVerdict("broken", f"{worse}: worse by more than {guard.worse_by:g}")
    over = bool(after) and reaches(*_passed(len(after), after[-1], start), guard.within_epochs)
    return GuardVerdict("passed" if over else "watching")


def _passed(count: int, point: Point, start: float) -> tuple[float, float]:
    """The epoch of a report and that of the change; without epochs how many reports came since."""
    return (float(count), 0.0) if point.epoch is None else (point.epoch, start)


def points_to_judge(curve: CurveReader, guard: Guard | GuardPolicy, from_step: int) -> list[Point]:
    """The last value up to a change, and all points after the change until the guard has passed."""
    metric = guard.metric
    before = next((point for point in curve.up_to(from_step) if metric in point.metrics), None)
    start = 0.0 if before is None or before.epoch is None else before.epoch
    points = [] if before is None else [before]
    for count, point in enumerate(curve.after(from_step), start=1):
        points.append(point)
        if metric in point.metrics and exceeds(*_passed(count, point, start), guard.within_epochs):
            break
    return points


def propose(policy: GuardPolicy, view: PolicyView) -> Decision | None:
    """Back to before the newest change without a guard of its own, unless this policy proposed something since."""
    unguarded = [change for change in view.changes if not change.guarded]
    if not unguarded or view.proposed_at > unguarded[-1].from_step:
        return None
    newest = unguarded[-1]
    found = judge(view.curve, policy, newest.from_step, view.sign(policy.metric))
    if found.verdict != "broken":
        return None
    return Decision(f"Since version {newest.version} {found.why}: back to before it.", back_to=newest.version)


def problems(policy: GuardPolicy, task: TrainStudyTask | None, metric: str) -> list[FieldProblem]:
    """A metric that nobody reports."""
    return metric_problems(policy.metric, task, metric)


def window(policy: GuardPolicy, view: PolicyView, curve: CurveReader, mark: Point | None) -> list[Point]:  # noqa: ARG001
    """What a guard of the newest change without one of its own looks at."""
    unguarded = [change for change in view.changes if not change.guarded]
    return points_to_judge(curve, policy, unguarded[-1].from_step) if unguarded else []


RULE: Final = PolicyRule(propose, problems=problems, window=window)
