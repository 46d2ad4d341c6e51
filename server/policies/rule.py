"""What a policy's module offers to those who run policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from server.policies.curve import CurveReader, Point
from server.policies.marks import MarkRule
from server.policies.view import Decision, PolicyView
from sturgeon.errors import FieldProblem
from sturgeon.messages import TrainStudyTask
from sturgeon.training import TRAIN_METRICS, field_problem, flagged

Problems = Callable[[Any, TrainStudyTask | None, str], list[FieldProblem]]
"""`problems(policy, task, metric)`: why a study with this task and metric cannot have the policy."""


def no_problems(policy: object, task: TrainStudyTask | None, metric: str) -> list[FieldProblem]:  # noqa: ARG001
    """For policies that fit every study."""
    return []


Window = Callable[[Any, PolicyView, CurveReader, Point | None], list[Point]]
"""`window(policy, view, curve, mark)`: points with which alone the policy decides as with the whole curve."""
Mark = Callable[[Any, PolicyView], MarkRule]
"""`mark(policy, view)`: the rule whose mark the window needs."""


def whole_curve(policy: object, view: PolicyView, curve: CurveReader, mark: Point | None) -> list[Point]:  # noqa: ARG001
    """All points: what a report costs grows with the run. A window of its own spares a policy that."""
    return list(curve.after(-1))


@dataclass(frozen=True)
class PolicyRule:
    """`propose(policy, view)` decides, purely, what to make of a trial; the policy is its message.

    at: whether it is asked at each report, or when a run diverged. problems: what is wrong with the message in a study
    beyond the types of its fields; pointers are relative to the policy. window, mark: how much of a long curve the
    policy needs. needs_usual: whether it looks at `view.usual`, which costs a query.
    """

    propose: Callable[[Any, PolicyView], Decision | None]
    at: Literal["report", "divergence"] = "report"
    problems: Problems = no_problems
    window: Window = whole_curve
    mark: Mark | None = None
    needs_usual: bool = False


def metric_problems(given: str | None, task: TrainStudyTask | None, metric: str) -> list[FieldProblem]:
    """A metric that no report of the study has."""
    known = dict.fromkeys([metric, *(TRAIN_METRICS if task is not None else ())])
    if given is None or given in known:
        return []
    return [FieldProblem("/metric", f"metric: write one of {', '.join(known)}")]


def live_problem(name: str, value: object) -> str | None:
    """What is wrong with changing this field of a train task to this value while the model trains, or None."""
    if detail := field_problem(name, value):
        return detail
    if name not in flagged("live"):
        return f"{name} cannot change while a model trains; these can: {', '.join(flagged('live'))}"
    return None
