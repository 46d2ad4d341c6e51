"""Plateau: when a metric stops getting better, lower the learning rate.

The rule is Keras's ReduceLROnPlateau and PyTorch's: no new best by more than `least_gain` for `patience_epochs`; the
epochs are counted anew after each change, and after each proposal.
"""

from __future__ import annotations

from typing import Final

from server.policies.curve import CurveReader, Point, epoch_at, epoch_of, exceeds, in_order, last_up_to, reaches
from server.policies.marks import MarkRule, best_value
from server.policies.rule import PolicyRule, metric_problems
from server.policies.view import Decision, PolicyView
from sturgeon.errors import FieldProblem
from sturgeon.messages import PlateauPolicy, TrainStudyTask


def propose(policy: PlateauPolicy, view: PolicyView) -> Decision | None:
    """A learning rate times `factor`, not below `lowest`; None while the metric gets better."""
    metric = policy.metric or view.metric
    sign = view.sign(metric)
    rate = view.params.get("learning_rate")
    if not isinstance(rate, float | int) or not exceeds(rate, policy.lowest, 0.0):
        return None
    best: Point | None = None
    level = 0.0
    for point in view.curve:
        value = point.metrics.get(metric)
        if value is not None and (best is None or exceeds(level, sign * value, policy.least_gain)):
            best, level = point, sign * value
    if best is None:
        return None
    last = epoch_of(view.curve[-1])
    begin = max(epoch_of(best), *(epoch_at(view.curve, step) for step in (view.changed_at, view.proposed_at)))
    if not reaches(last, begin, policy.patience_epochs):
        return None
    lowered = max(policy.lowest, rate * policy.factor)
    better = f"{metric} has not fallen below" if sign > 0 else f"{metric} has not risen above"
    return Decision(
        f"{better} {sign * level:.4g} for {last - begin:g} epochs: learning_rate {rate:.4g} -> {lowered:.4g}.",
        {"learning_rate": lowered},
    )


def problems(policy: PlateauPolicy, task: TrainStudyTask | None, metric: str) -> list[FieldProblem]:
    """A metric that nobody reports."""
    return metric_problems(policy.metric, task, metric)


def mark(policy: PlateauPolicy, view: PolicyView) -> MarkRule:
    """The best value so far."""
    metric = policy.metric or view.metric
    return best_value(metric, view.sign(metric), policy.least_gain)


def window(policy: PlateauPolicy, view: PolicyView, curve: CurveReader, best: Point | None) -> list[Point]:  # noqa: ARG001
    """The best point, the last one, and those of the newest change and proposal: of these two only the epoch."""
    points = (last_up_to(curve, step) for step in (view.changed_at, view.proposed_at))
    epochs = [point._replace(metrics={}) for point in points if point is not None]
    return in_order([*epochs, curve.newest, best])


RULE: Final = PolicyRule(propose, problems=problems, window=window, mark=mark)
