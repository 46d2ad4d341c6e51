"""The checks of a study beyond the types of its fields. Each problem names the field and says what to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.policies.registry import RULES
from server.policies.rule import live_problem
from server.services.studies import own_code
from server.services.studies.live_params import task_fields
from server.store import trials
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.direction import less_is_better
from sturgeon.errors import Contradiction, FieldProblem, json_pointer
from sturgeon.identifiers import TrialNumber
from sturgeon.messages import Budget, Direction, OwnCode, Policy, Pruning, Reduce, StudyRequest, TrainStudyTask
from sturgeon.search.feasible import constraint_problems
from sturgeon.search.registry import search_problems
from sturgeon.space import AnyParameter, Fixed, Space
from sturgeon.training import STREAM, TRAIN_METRICS, field_problem, flagged, task_problems


def require_valid(request: StudyRequest) -> None:
    """Raises: Contradiction (with all problems of the space, the search, the task, the pruning and the budget)."""
    problems = space_problems(request.space) + search_problems(request.search, request.space)
    if request.mode == "panda":  # a panda may search nothing: all parameters may be given
        problems = [problem for problem in problems if problem.pointer != "/space"]
    problems += budget_problems(request.budget, request.search.replicates)
    if not problems and isinstance(request.task, TrainStudyTask):
        problems = _metric_problems(request, request.task) + task_problems_of(request.task, request.space)
    if not problems and isinstance(request.task, OwnCode):
        problems = own_code.problems(request.space, request.task)
    problems += panda_problems(request) + policy_problems(request.policies, _train_task(request), request.metric)
    problems += _reduce_problems(request)
    problems += _pruning_problems(request) + _goal_problems(request.budget, request.metric, request.direction)
    require_none(problems, "The study is not valid")


def require_policies(study: StudyRow, policies: Sequence[Policy]) -> None:
    """Raises: Contradiction (metrics that nobody reports, changes of parameters that are not live or out of range)."""
    task = TrainStudyTask.model_validate(study.task) if study.trains else None
    require_none(policy_problems(policies, task, study.metric), "The policies are not valid")


def require_live(study: StudyRow, trial: TrialRow, params: Json, pointer: str = "/params") -> None:
    """Raises: Contradiction (a sentence for each parameter that is unknown, not live, or out of its physical range)."""
    require_none(live_problems(study, trial, params, pointer), "The change is not possible")


def require_space(space: Space) -> None:
    """Raises: Contradiction (with all problems of the space)."""
    require_none(space_problems(space), "The space is not valid")


def require_budget(tx: Transaction, budget: Budget, study: StudyRow) -> None:
    """Raises: Contradiction (the budget is below the trials that were given out already, or would part replicates, or
    its goal is on the wrong side, or about a metric that is not defined)."""
    problems = budget_problems(budget, study.replicates) + _goal_problems(budget, study.metric, study.direction)
    problems += undefined_metrics_of(tx, study, Space.model_validate(study.space), budget)
    given_out = study.next_number
    if budget.max_trials < given_out:
        detail = f"{given_out} trials were given out already: write at least {given_out}"
        problems.append(FieldProblem("/budget/max_trials", detail))
    require_none(problems, "The budget is not valid")


def _goal_problems(budget: Budget, metric: str, direction: Direction) -> list[FieldProblem]:
    goal = budget.stop_when
    if goal is None or goal.metric not in (None, metric):
        return []
    wanted, opposite = ("below", goal.above) if less_is_better(direction) else ("above", goal.below)
    if opposite is None:
        return []
    return [FieldProblem("/budget/stop_when", f"stop_when: the study is to {direction} {metric}, so write {wanted}")]


def chosen_pruning(request: StudyRequest) -> Pruning:
    """The study's pruning; a rule that is not given is chosen by what is known of its trials."""
    pruning = request.pruning
    if pruning.rule is not None:
        return pruning
    length_is_known = (request.task is not None and request.task.epochs is not None) or pruning.epochs is not None
    forecasts = length_is_known and less_is_better(request.direction) and request.search.replicates == 1
    return pruning.model_copy(update={"rule": "curve" if forecasts else "none"})


def chosen_reduce(request: StudyRequest) -> Reduce:
    """Which score is a trial's value. A network is as good as its best epoch; own code says in its tell what counts; of
    the errors on different portions of a stream none is the best."""
    if request.reduce is not None:
        return request.reduce
    task = _train_task(request)
    return "last" if task is None or task.dataset.startswith(STREAM) else "best"


def _train_task(request: StudyRequest) -> TrainStudyTask | None:
    return request.task if isinstance(request.task, TrainStudyTask) else None


def _reduce_problems(request: StudyRequest) -> list[FieldProblem]:
    task = _train_task(request)
    if task is None or not task.dataset.startswith(STREAM) or request.reduce != "best":
        return []
    detail = "reduce: of the errors on different portions of a stream none is the best; write last, or leave it out"
    return [FieldProblem("/reduce", detail)]


def _pruning_problems(request: StudyRequest) -> list[FieldProblem]:
    pruning, rule = request.pruning, chosen_pruning(request).rule
    problems = {}
    if rule == "curve" and not less_is_better(request.direction):
        problems["rule"] = "rule: curve forecasts how far an error falls; write asha or median for a metric to maximize"
    told = None if request.task is None else request.task.epochs
    if rule == "curve" and told is None and pruning.epochs is None:
        problems["epochs"] = "epochs: curve needs to know how many epochs (or steps) a whole trial has"
    if told is not None and pruning.epochs is not None:
        problems["epochs"] = "epochs: the task says how many; leave it out of pruning"
    if pruning.eta is not None and rule != "asha":
        problems["eta"] = "eta: only the rule asha has it; leave it out"
    if pruning.power is not None and rule != "curve":
        problems["power"] = "power: only the rule curve has it; leave it out"
    if pruning.grace is not None and rule == "none":
        problems["grace"] = "grace: the rule none stops nothing; leave it out, or write another rule"
    return [FieldProblem(f"/pruning/{name}", detail) for name, detail in problems.items()]


def require_none(problems: list[FieldProblem], what: str) -> None:
    """Raises: Contradiction (there are problems; its sentence is that of the first)."""
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise Contradiction(f"{what}: {problems[0].detail.rstrip('.')}{more}.", tuple(problems))


def space_problems(space: Space) -> list[FieldProblem]:
    """The problems of a space, with pointers into a request that has it as `space`, and its `constraints` beside."""
    problems = [FieldProblem(f"/space{pointer}", detail) for pointer, detail in space.problems()]
    if any(problem.pointer != "/space" for problem in problems):
        return problems
    unsatisfied = constraint_problems(space)
    return problems + [FieldProblem(f"/constraints{pointer}", detail) for pointer, detail in unsatisfied]


def budget_problems(budget: Budget, replicates: int) -> list[FieldProblem]:
    """The end of the budget must not part trials with the same parameters."""
    rest = budget.max_trials % replicates
    if not rest:
        return []
    less, more = budget.max_trials - rest, budget.max_trials - rest + replicates
    wanted = f"{less} or {more}" if less else f"{more}"
    detail = f"max_trials: each of {replicates} replicates is a trial, so write a multiple of it: {wanted}"
    return [FieldProblem("/budget/max_trials", detail)]


def _metric_problems(request: StudyRequest, task: TrainStudyTask) -> list[FieldProblem]:
    """A metric that the task does not report, or that its data leave undefined."""
    given = {name: parameter.value for name, parameter in request.space.root.items() if isinstance(parameter, Fixed)}
    fields = {**task.fixed, **given, **(request.params or {})}
    goal = request.budget.stop_when
    wanted = {"/metric": request.metric, "/budget/stop_when/metric": goal.metric if goal else None}
    return _undefined_metrics(wanted, task.dataset, fields)


def undefined_metrics_of(tx: Transaction, study: StudyRow, space: Space, budget: Budget) -> list[FieldProblem]:
    """The metrics of a study that this space and this budget would leave undefined."""
    if not study.trains:
        return []
    task, goal = TrainStudyTask.model_validate(study.task), budget.stop_when
    given = {name: parameter.value for name, parameter in space.root.items() if isinstance(parameter, Fixed)}
    wanted = {"/metric": study.metric, "/budget/stop_when/metric": goal.metric if goal else None}
    panda = trials.find(tx, study.id, TrialNumber(0)) if study.mode == "panda" else None
    return _undefined_metrics(wanted, task.dataset, {**task.fixed, **given, **(panda.params if panda else {})})


def _undefined_metrics(
    wanted: Mapping[str, str | None], dataset: str, fields: Mapping[str, object]
) -> list[FieldProblem]:
    return [
        FieldProblem(pointer, f"metric: {problem}")
        for pointer, name in wanted.items()
        if name is not None and (problem := _undefined_metric(name, dataset, fields))
    ]


def _undefined_metric(metric: str, dataset: str, fields: Mapping[str, object]) -> str | None:
    """What leaves a metric undefined, and what to write; None if nothing does that can be known without the data."""
    known = [name for name in TRAIN_METRICS if name != "recent_error" or dataset.startswith(STREAM)]
    if metric not in known:
        test = "; the search never reads the test part" if metric.startswith("test") else ""
        return f"write one of {', '.join(known)}{test}"
    if metric == "train_dev_error":
        if dataset.startswith(STREAM):
            return "a stream has no train-dev part; write dev_error"
        return None if fields.get("train_dev_share") else f"{metric} needs a train-dev part: write train_dev_share"
    brings_parts = dataset.startswith((STREAM, "npz:"))  # whatever dev_share says
    if metric in ("dev_error", "dev_loss") and fields.get("dev_share") == 0 and not brings_parts:
        return f"{metric} needs a dev part: write a dev_share above 0, or the metric {metric.replace('dev', 'train')}"
    return None


def task_problems_of(task: TrainStudyTask, space: Space) -> list[FieldProblem]:
    """What the trainer would refuse of the task's fields and of the space's parameters."""
    beside = {"dataset": task.dataset, "epochs": task.epochs}
    problems = []
    for name in task.fixed:
        if name in beside:
            problems.append(
                FieldProblem(json_pointer("task", "fixed", name), f"{name}: write it beside fixed, not in it")
            )
        if name in space:
            detail = f"{name}: it is in the space too; write it in one place"
            problems.append(FieldProblem(json_pointer("task", "fixed", name), detail))
    problems += [
        FieldProblem(json_pointer("task", *([name] if name in beside else ["fixed", name])), detail)
        for name, detail in task_problems({**task.fixed, **beside})
    ]
    for name in space:
        problems += [
            FieldProblem(json_pointer("space", name), detail) for detail in _parameter_problems(name, space[name])
        ]
    return problems


def _parameter_problems(name: str, parameter: AnyParameter) -> list[str]:
    """What the trainer would refuse of this parameter: an unknown name, or values out of range."""
    problems = [detail for value in parameter.extremes if (detail := field_problem(name, value))]
    if not problems and not isinstance(parameter, Fixed) and name not in flagged("searchable"):
        options = ", ".join(flagged("searchable"))
        problems = [f"{name} is not a hyperparameter that a space may vary; these are: {options}"]
    return problems[:1]


def live_problems(study: StudyRow, trial: TrialRow, params: Json, pointer: str) -> list[FieldProblem]:
    """What is wrong with changing these parameters of a trial.

    A person may leave the ranges of the space: they say what is searched. Of own code only the names are checked:
    nothing else is known of it.
    """
    if not study.trains:
        known = ", ".join(study.space)
        return [
            FieldProblem(
                pointer + json_pointer(name), f"{name}: the study's space has no such parameter; write one of {known}"
            )
            for name in params
            if name not in study.space
        ]
    not_live = [
        FieldProblem(pointer + json_pointer(name), detail)
        for name, value in params.items()
        if (detail := live_problem(name, value))
    ]
    fields = task_fields(study, trial.params | (trial.live_overrides or {}) | params)
    return not_live or [FieldProblem(pointer + json_pointer(name), detail) for name, detail in task_problems(fields)]


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
    task = _train_task(request)
    if task is None:
        return []
    fields = {"dataset": task.dataset, "epochs": task.epochs, **task.fixed, **request.params}
    return [FieldProblem(json_pointer("params", name), detail) for name, detail in task_problems(fields)]
