"""What a policy's module offers to those who run policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from server.policies.view import Decision, PolicyView
from sturgeon.errors import FieldProblem
from sturgeon.messages import TrainStudyTask
from sturgeon.training import TRAIN_METRICS, field_problem, flagged

Problems = Callable[[Any, TrainStudyTask | None, str], list[FieldProblem]]
"""`problems(policy, task, metric)`: why a study with this task and metric cannot have the policy."""


def no_problems(policy: object, task: TrainStudyTask | None, metric: str) -> list[FieldProblem]:  # noqa: ARG001
    """For policies that fit every study."""
    return []


@dataclass(frozen=True)
class PolicyRule:
    """`propose(policy, view)` decides, purely, what to make of a trial; the policy is its message.

    at: whether it is asked at each report, or when a run diverged. problems: what is wrong with the message in a study
    beyond the types of its fields; pointers are relative to the policy.
    """

    propose: Callable[[Any, PolicyView], Decision | None]
    at: Literal["report", "divergence"] = "report"
    problems: Problems = no_problems


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
