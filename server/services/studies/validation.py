"""What a study must fulfil beyond the types of its fields: each problem names the field and says what to write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.services.studies import live_params
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.direction import less_is_better
from sturgeon.errors import FieldProblem, Invalid
from sturgeon.messages import Budget, Direction, Policy, Pruning, StudyRequest, TrainStudyTask
from sturgeon.search.registry import search_problems
from sturgeon.space import Choice, Fixed, Float, Int, Space
from sturgeon.training import STREAM, TRAIN_METRICS, field_problem, flagged, task_problems


def require_valid(request: StudyRequest) -> None:
    """Raises Invalid with all problems of the space, the search, the task, the pruning and the budget."""
    found = space_problems(request.space) + search_problems(request.search, request.space)
    if request.mode == "panda":  # nothing is searched where all is given
        found = [problem for problem in found if problem.pointer != "/space"]
    found += budget_problems(request.budget, request.search.replicates)
    if not found and request.task is not None:
        found = _metric_problems(request.metric, request.task) + task_problems_of(request.task, request.space)
    found += live_params.panda_problems(request) + live_params.policy_problems(
        request.policies, request.task, request.metric
    )
    found += _pruning_problems(request) + _goal_problems(request.budget, request.metric, request.direction)
    require_none(found, "The study is not valid")


def require_policies(study: StudyRow, policies: Sequence[Policy]) -> None:
    """Raises Invalid for metrics that nobody reports, and changes that are not live or out of range."""
    task = None if study.task is None else TrainStudyTask.model_validate(study.task)
    require_none(live_params.policy_problems(policies, task, study.metric), "The policies are not valid")


def require_live(study: StudyRow, trial: TrialRow, params: dict[str, Any], pointer: str = "/params") -> None:
    """Raises Invalid with a sentence for each parameter that is unknown, not live, or out of its physical range."""
    require_none(live_params.problems(study, trial, params, pointer), "The change is not possible")


def require_space(space: Space) -> None:
    """Raises Invalid with all problems of the space."""
    require_none(space_problems(space), "The space is not valid")


def require_budget(budget: Budget, study: StudyRow) -> None:
    """Raises Invalid for a budget below the numbers that were given out already, or that ends within replicates, and
    for a goal that is none."""
    found = budget_problems(budget, study.replicates) + _goal_problems(budget, study.metric, study.direction)
    given_out = study.next_number
    if budget.max_trials < given_out:
        detail = f"{given_out} trials were given out already: write at least {given_out}"
        found.append(FieldProblem("/budget/max_trials", detail))
    require_none(found, "The budget is not valid")


def _goal_problems(budget: Budget, metric: str, direction: Direction) -> list[FieldProblem]:
    goal = budget.stop_when
    if goal is None or goal.metric not in (None, metric):
        return []
    wanted, given = ("below", goal.above) if less_is_better(direction) else ("above", goal.below)
    if given is None:
        return []
    return [FieldProblem("/budget/stop_when", f"stop_when: {metric} is to {direction}, write {wanted}")]


def chosen_pruning(request: StudyRequest) -> Pruning:
    """The study's rule, chosen by what is known of its trials where it is not given."""
    pruning = request.pruning
    if pruning.rule is not None:
        return pruning
    long_known = request.task is not None or pruning.epochs is not None
    forecasts = long_known and less_is_better(request.direction) and request.search.replicates == 1
    return pruning.model_copy(update={"rule": "curve" if forecasts else "none"})


def _pruning_problems(request: StudyRequest) -> list[FieldProblem]:
    pruning, rule = request.pruning, chosen_pruning(request).rule
    found = {}
    if rule == "curve" and not less_is_better(request.direction):
        found["rule"] = "rule: curve forecasts how far an error falls; write asha or median for what is to maximize"
    if rule == "curve" and request.task is None and pruning.epochs is None:
        found["epochs"] = "epochs: curve needs to know how many epochs (or steps) a whole trial has"
    if request.task is not None and pruning.epochs is not None:
        found["epochs"] = "epochs: the task says how many; leave it out here"
    if pruning.eta is not None and rule != "asha":
        found["eta"] = "eta: only asha has it"
    if pruning.power is not None and rule != "curve":
        found["power"] = "power: only curve has it"
    if pruning.grace is not None and rule == "none":
        found["grace"] = "grace: the rule none stops nothing; leave it out, or write a rule"
    return [FieldProblem(f"/pruning/{name}", detail) for name, detail in found.items()]


def require_none(found: list[FieldProblem], what: str) -> None:
    """Raises Invalid when there are problems; its sentence is the first one's."""
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise Invalid(f"{what}: {found[0].detail.rstrip('.')}{more}.", tuple(found))


def space_problems(space: Space) -> list[FieldProblem]:
    return [FieldProblem(f"/space{pointer}", detail) for pointer, detail in space.problems()]


def budget_problems(budget: Budget, replicates: int) -> list[FieldProblem]:
    """Trials with the same parameters are not parted by the end of the budget."""
    above = budget.max_trials % replicates
    if not above:
        return []
    less, more = budget.max_trials - above, budget.max_trials - above + replicates
    wanted = f"{less} or {more}" if less else f"{more}"
    detail = f"max_trials: each of {replicates} replicates is a trial, so write a multiple of it: {wanted}"
    return [FieldProblem("/budget/max_trials", detail)]


def _metric_problems(metric: str, task: TrainStudyTask) -> list[FieldProblem]:
    known = [name for name in TRAIN_METRICS if name != "recent_error" or task.dataset.startswith(STREAM)]
    if metric in known:
        return []
    test = "; the search never reads the test part" if metric.startswith("test") else ""
    detail = f"metric: write one of {', '.join(known)}{test}"
    return [FieldProblem("/metric", detail)]


def task_problems_of(task: TrainStudyTask, space: Space) -> list[FieldProblem]:
    """What the task's fields and the space's parameters say that the trainer would refuse."""
    given = {"dataset": task.dataset, "epochs": task.epochs}
    found = []
    for name in task.fixed:
        if name in given:
            found.append(FieldProblem(f"/task/fixed/{name}", f"{name}: write it beside fixed, not in it"))
        if name in space:
            found.append(FieldProblem(f"/task/fixed/{name}", f"{name}: it is in the space too; write it in one place"))
    found += [
        FieldProblem(f"/task/{name}" if name in given else f"/task/fixed/{name}", detail)
        for name, detail in task_problems({**task.fixed, **given})
    ]
    for name in space:
        found += [FieldProblem(f"/space/{name}", detail) for detail in _parameter_problems(name, space[name])]
    return found


def _parameter_problems(name: str, parameter: Float | Int | Choice | Fixed) -> list[str]:
    """What the trainer would refuse of this parameter: an unknown name, or values outside of its option's range."""
    values = _extremes(parameter)
    found = [detail for value in values if (detail := field_problem(name, value))]
    if not found and not isinstance(parameter, Fixed) and name not in flagged("searchable"):
        options = ", ".join(flagged("searchable"))
        found = [f"{name} is not a hyperparameter that a space may vary; these are: {options}"]
    return found[:1]


def _extremes(parameter: Float | Int | Choice | Fixed) -> list[Any]:
    if isinstance(parameter, Fixed):
        return [parameter.value]
    return list(parameter.values) if isinstance(parameter, Choice) else [parameter.low, parameter.high]
