"""Which parameters may change while a model trains, and to which values; the checks of pandas and their policies."""

from __future__ import annotations

from collections.abc import Sequence

from server.policies.registry import RULES
from server.policies.rule import live_problem
from server.store.json_columns import Json
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.errors import FieldProblem
from sturgeon.messages import Policy, StudyRequest, TrainStudyTask
from sturgeon.training import TrainTask, task_problems


def problems(study: StudyRow, trial: TrialRow, params: Json, pointer: str) -> list[FieldProblem]:
    """What is wrong with changing these parameters of a trial.

    A person may leave the ranges of the space: they say what is searched. Of own code only the names are checked:
    nothing else is known of it.
    """
    if study.task is None:
        known = ", ".join(study.space)
        return [
            FieldProblem(f"{pointer}/{name}", f"{name}: the study's space has no such parameter; write one of {known}")
            for name in params
            if name not in study.space
        ]
    not_live = [
        FieldProblem(f"{pointer}/{name}", detail)
        for name, value in params.items()
        if (detail := live_problem(name, value))
    ]
    fields = task_fields(study, trial.params | (trial.live_overrides or {}) | params)
    return not_live or [FieldProblem(f"{pointer}/{name}", detail) for name, detail in task_problems(fields)]


def task_fields(study: StudyRow, params: Json) -> Json:
    """The fields of TrainTask that a trial with these parameters has."""
    assert study.task is not None
    return {"dataset": study.task["dataset"], "epochs": study.task["epochs"], **study.task["fixed"], **params}


def params_in_force(study: StudyRow, trial: TrialRow) -> Json:
    """The parameters that a trial trains with now, those that its study fixes and the defaults included."""
    return initial_params(study, trial) | (trial.live_overrides or {})


def initial_params(study: StudyRow, trial: TrialRow) -> Json:
    """As `params_in_force`, without the changes since the trial began."""
    if study.task is None:
        return trial.params
    return {name: info.default for name, info in TrainTask.model_fields.items()} | task_fields(study, trial.params)


def policy_problems(policies: Sequence[Policy], task: TrainStudyTask | None, metric: str) -> list[FieldProblem]:
    """The problems of each policy in a study with this task and metric, as the rule of the policy finds them."""
    return [
        FieldProblem(f"/policies/{place}{pointer}", detail)
        for place, policy in enumerate(policies)
        for pointer, detail in RULES[policy.policy].problems(policy, task, metric)
    ]


def panda_problems(request: StudyRequest) -> list[FieldProblem]:
    """The problems of the parameters that a panda is to begin with."""
    if request.params is None:
        return []
    if request.mode != "panda":
        detail = 'params: only a study of mode "panda" begins with given parameters; enqueue trials in a caviar study'
        return [FieldProblem("/params", detail)]
    if request.task is None:
        return []
    fields = {"dataset": request.task.dataset, "epochs": request.task.epochs, **request.task.fixed, **request.params}
    return [FieldProblem(f"/params/{name}", detail) for name, detail in task_problems(fields)]
