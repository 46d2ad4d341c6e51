"""Which parameters may change while a model trains, and to which values; what pandas and their policies must fulfil."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.errors import FieldProblem
from sturgeon.messages import (
    DriftPolicy,
    GuardPolicy,
    PlateauPolicy,
    Policy,
    SchedulePolicy,
    StudyRequest,
    TrainStudyTask,
)
from sturgeon.training import STREAM, TRAIN_METRICS, TrainTask, field_problem, flagged, task_problems


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
        FieldProblem(f"{pointer}/{name}", detail) for name, value in params.items() if (detail := _problem(name, value))
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


NO_STREAM = 'policy: only a train task on a stream ("dataset": "stream:FOLDER") has portions that may drift'


def policy_problems(policies: Sequence[Policy], task: TrainStudyTask | None, metric: str) -> list[FieldProblem]:
    found = []
    for place, policy in enumerate(policies):
        pointer = f"/policies/{place}"
        if isinstance(policy, DriftPolicy) and (task is None or not task.dataset.startswith(STREAM)):
            found.append(FieldProblem(f"{pointer}/policy", NO_STREAM))
        if isinstance(policy, PlateauPolicy | GuardPolicy) and policy.metric is not None:
            known = dict.fromkeys([metric, *(TRAIN_METRICS if task is not None else ())])
            if policy.metric not in known:
                found.append(FieldProblem(f"{pointer}/metric", f"metric: write one of {', '.join(known)}"))
        if isinstance(policy, DriftPolicy):
            found += [
                FieldProblem(f"{pointer}/challengers/{at}/{name}", detail)
                for at, params in enumerate(policy.challengers)
                for name, value in params.items()
                if (detail := _problem(name, value))
            ]
        if isinstance(policy, SchedulePolicy) and task is not None:
            found += [
                FieldProblem(f"{pointer}/at/{at}/params/{name}", detail)
                for at, planned in enumerate(policy.at)
                for name, value in planned.params.items()
                if (detail := _problem(name, value))
            ]
    return found


def _problem(name: str, value: Any) -> str | None:
    """What is wrong with changing this field of a train task to this value while the model trains, or None."""
    if detail := field_problem(name, value):
        return detail
    if name not in flagged("live"):
        return f"{name} cannot change while a model trains; these can: {', '.join(flagged('live'))}"
    return None


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
