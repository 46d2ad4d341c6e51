"""Running one trial with an objective."""

from __future__ import annotations

from collections.abc import Callable

from sturgeon import objective as objectives
from sturgeon.tuning.trial import StudyTrial

Caught = type[Exception] | tuple[type[Exception], ...]


def run_trial(objective: Callable[..., object], trial: StudyTrial, metric: str, catch: Caught) -> None:
    """Call the objective for a trial, and tell how it ended. What it raises is told, and raised unless `catch` has it.

    Raises: what the objective raises.
    """
    try:
        with trial:
            trial.conclude(objectives.run(objective, trial, metric))
    except catch:
        pass  # told and logged as the trial's failure
