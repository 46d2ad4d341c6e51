"""Schedule: changes that were planned for epochs."""

from __future__ import annotations

from typing import Any, Final

from server.policies.curve import CurveReader, Point, epoch_at, epoch_of, in_order, last_up_to
from server.policies.rule import PolicyRule, live_problem
from server.policies.view import Decision, PolicyView
from sturgeon.errors import FieldProblem, json_pointer
from sturgeon.messages import SchedulePolicy, TrainStudyTask


def propose(policy: SchedulePolicy, view: PolicyView) -> Decision | None:
    """The changes that came due since the policy's newest proposal and are not in force: the latest for each name."""
    if not view.curve:
        return None
    now, before = epoch_of(view.curve[-1]), epoch_at(view.curve, view.proposed_at)
    due: dict[str, Any] = {}
    for planned in policy.at:
        if before < planned.epoch <= now:
            due |= planned.params
    changed = {name: value for name, value in due.items() if view.params.get(name) != value}
    if not changed:
        return None
    listed = ", ".join(f"{name} = {value}" for name, value in changed.items())
    return Decision(f"Planned for epoch {now:g} or before: {listed}.", changed)


def problems(policy: SchedulePolicy, task: TrainStudyTask | None, metric: str) -> list[FieldProblem]:  # noqa: ARG001
    """Changes that a train task cannot make while its model trains; of one's own code nothing is known."""
    if task is None:
        return []
    return [
        FieldProblem(json_pointer("at", at, "params", name), detail)
        for at, planned in enumerate(policy.at)
        for name, value in planned.params.items()
        if (detail := live_problem(name, value))
    ]


def window(policy: SchedulePolicy, view: PolicyView, curve: CurveReader, mark: Point | None) -> list[Point]:  # noqa: ARG001
    """The last point, and the one of the newest proposal."""
    return in_order([last_up_to(curve, view.proposed_at), curve.newest])


RULE: Final = PolicyRule(propose, problems=problems, window=window)
