"""Which parameters may change while a model trains, and to which values; what pandas and their policies must fulfil."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.policies.registry import RULES
from server.policies.rule import live_problem
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.errors import FieldProblem
from sturgeon.messages import Policy, StudyRequest, TrainStudyTask
from sturgeon.training import TrainTask, task_problems


def problems(study: StudyRow, trial: TrialRow, params: dict[str, Any], pointer: str) -> list[FieldProblem]:
    """What is wrong with changing these parameters of a trial; the space does not bind a person: it says what is
    searched. Of one's own code nothing is known but its space."""
    if study.task is None:
        known = ", ".join(study.space)
        return [
            FieldProblem(f"{pointer}/{name}", f"{name}: the study's space has no such parameter, only {known}")
            for name in params
            if name not in study.space
        ]
    found = [
        FieldProblem(f"{pointer}/{name}", detail)
        for name, value in params.items()
        if (detail := live_problem(name, value))
    ]
    whole = task_fields(study, trial.params | (trial.live_overrides or {}) | params)
    return found or [FieldProblem(f"{pointer}/{name}", detail) for name, detail in task_problems(whole)]


def task_fields(study: StudyRow, params: dict[str, Any]) -> dict[str, Any]:
    """The fields of TrainTask that a trial with these parameters has."""
    assert study.task is not None
    return {"dataset": study.task["dataset"], "epochs": study.task["epochs"], **study.task["fixed"], **params}


def params_in_force(study: StudyRow, trial: TrialRow) -> dict[str, Any]:
    """The parameters that a trial trains with now, those that its study fixes and the defaults included."""
    return initial_params(study, trial) | (trial.live_overrides or {})


def initial_params(study: StudyRow, trial: TrialRow) -> dict[str, Any]:
    """As `in_force`, without what was changed since the trial began."""
    if study.task is None:
        return trial.params
    return {name: info.default for name, info in TrainTask.model_fields.items()} | task_fields(study, trial.params)


def policy_problems(policies: Sequence[Policy], task: TrainStudyTask | None, metric: str) -> list[FieldProblem]:
    """What each policy's own rule finds wrong with it in a study with this task and metric."""
    return [
        FieldProblem(f"/policies/{place}{pointer}", detail)
        for place, policy in enumerate(policies)
        for pointer, detail in RULES[policy.policy].problems(policy, task, metric)
    ]


def panda_problems(request: StudyRequest) -> list[FieldProblem]:
    if request.params is None:
        return []
    if request.mode != "panda":
        detail = 'params: only a study of mode "panda" begins with given parameters; enqueue trials in a caviar'
        return [FieldProblem("/params", detail)]
    if request.task is None:
        return []
    fields = {"dataset": request.task.dataset, "epochs": request.task.epochs, **request.task.fixed, **request.params}
    return [FieldProblem(f"/params/{name}", detail) for name, detail in task_problems(fields)]
