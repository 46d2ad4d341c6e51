"""The parameters that a trial trains with: as it began, and as they are in force now."""

from __future__ import annotations

from server.store.json_columns import Json
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.training import TrainTask


def task_fields(study: StudyRow, params: Json) -> Json:
    """The fields of TrainTask that a trial with these parameters has."""
    assert study.task is not None
    return {"dataset": study.task["dataset"], "epochs": study.task["epochs"], **study.task["fixed"], **params}


def params_in_force(study: StudyRow, trial: TrialRow) -> Json:
    """The parameters that a trial trains with now, those that its study fixes and the defaults included."""
    return initial_params(study, trial) | (trial.live_overrides or {})


def initial_params(study: StudyRow, trial: TrialRow) -> Json:
    """As `params_in_force`, without the changes since the trial began."""
    if not study.trains:
        return trial.params
    return {name: info.default for name, info in TrainTask.model_fields.items()} | task_fields(study, trial.params)
