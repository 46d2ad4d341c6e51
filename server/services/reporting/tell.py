"""The end of a leased trial, as its holder tells it. Idempotent by the fence."""

from __future__ import annotations

from collections.abc import Iterable

from server.services import lookup, views
from server.services.idempotency import IdempotencyKey, record, replay
from server.services.panda import guards, policy_runner
from server.services.reporting.late_results import store_late_result
from server.services.runs import completion, desired_state
from server.services.runs.completion import Outcome
from server.services.runs.curve import present_run_reports
from server.services.runs.resume import forget_scores
from server.services.studies import budgets
from server.services.transactions import Scope, Transactions
from server.services.views import desired_of
from server.store import leases, trials
from server.store.json_columns import Json
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.errors import Contradiction, FieldProblem, LeaseLost, Problem, TrialFinished, json_pointer
from sturgeon.identifiers import TrialNumber
from sturgeon.states import REQUEUEABLE, TERMINAL


def tell(
    transactions: Transactions, max_attempts: int, name: str, number: TrialNumber, request: messages.TellRequest
) -> messages.Trial:
    """End a trial.

    Raises: NotFound, LeaseLost, TrialFinished, Contradiction (complete without the study's metric).
    """
    with transactions.on_study(name) as scope:
        outcome = _tell(scope, max_attempts, lookup.lock_trial(scope.tx, scope.study, number), request)
    if isinstance(outcome, Problem):  # after the commit: the late result is kept
        raise outcome
    return outcome


def tell_many(
    transactions: Transactions, max_attempts: int, name: str, tells: Iterable[messages.TellOne]
) -> messages.TellManyAnswer:
    """End many trials of a study in one transaction; each has its own outcome. Raises: NotFound for the study."""
    items = []
    with transactions.on_study(name) as scope:
        requests = list(tells)
        lookup.lock_trials(scope.tx, scope.study, [request.number for request in requests])
        for request in requests:
            outcome: messages.Trial | Problem
            try:
                # Read again: the same trial may be told twice in one call.
                outcome = _tell(scope, max_attempts, lookup.get_trial(scope.tx, scope.study, request.number), request)
            except Problem as problem:
                outcome = problem
            if isinstance(outcome, Problem):
                items.append(messages.ToldOne(number=request.number, code=outcome.code, detail=outcome.message))
            else:
                items.append(messages.ToldOne(number=request.number, trial=outcome))
    return messages.TellManyAnswer(items=items)


def _tell(
    scope: Scope, max_attempts: int, trial: TrialRow, request: messages.TellRequest
) -> messages.Trial | LeaseLost:
    """The trial after the tell, or why the tell came too late. The rows of the study and the trial are locked."""
    if trial.fence == request.fence and trial.state in TERMINAL and trial.lease_until is not None:
        return _answer_again(scope, trial, request)
    key = IdempotencyKey.of_run_end(trial, request.fence, "tell", request)
    is_held = leases.is_held(trial, request.fence)
    if not is_held and (answered := replay(scope.tx, key, messages.Trial)) is not None:
        return answered
    value = _value(scope, trial, request)
    if not is_held:
        return store_late_result(scope, trial, "tell", request)
    columns = _columns(scope, trial, request, value)
    if (going_on := _keep_going(scope, trial, request)) is not None:
        # What was told stays to be seen.
        columns |= {"value": None, "lease_until": None, "spent_us": going_on.spent_us}
        row = trials.transition(scope.tx, going_on, completion.state_after_return(going_on), **columns)
        return _recorded(scope, key, row)
    if request.state == "failed":
        columns["attempt"] = trial.attempt + 1
    # A trial that was to stop is not begun again, whatever its run came to.
    begins_again = request.retry and trial.attempt + 1 < max_attempts and desired_of(trial).run != "stop"
    if request.state == "failed" and begins_again:
        trial = forget_scores(scope.tx, scope.study, trial)
        row = trials.transition(
            scope.tx, trial, completion.state_after_return(trial), **columns | {"lease_until": None}
        )
    else:
        row = completion.finish(scope, trial, Outcome(request.state, columns))
    budgets.settle(scope)
    return _recorded(scope, key, row)


def _recorded(scope: Scope, key: IdempotencyKey, row: TrialRow) -> messages.Trial:
    """The answer. Where the trial may run again, it is stored: the same tell gets it whatever becomes of the trial."""
    answer = views.trial(scope.study.name, row)
    if row.state in REQUEUEABLE or row.state not in TERMINAL:
        record(scope.tx, key, answer, scope.study)
    return answer


def _keep_going(scope: Scope, trial: TrialRow, request: messages.TellRequest) -> TrialRow | None:
    """The trial, where its run has ended and the trial has not: it goes back to a checkpoint, or trains longer."""
    if request.state not in ("complete", "diverged") or (trial.desired is None and trial.mode != "panda"):
        return None
    leased = leases.renew(scope.tx, trial.id, request.fence, reported=True)
    assert leased is not None
    if desired_state.has_more_to_do(scope.tx, leased):
        return leased
    if request.state == "diverged":
        return policy_runner.at_divergence(scope, leased, request.where)
    return guards.at_completion(scope, leased)


def _answer_again(scope: Scope, trial: TrialRow, request: messages.TellRequest) -> messages.Trial:
    """The same tell twice is answered twice. Raises: TrialFinished for another one."""
    if (trial.state, trial.metrics, trial.step) != (request.state, request.metrics, request.step):
        raise TrialFinished(f"Trial {trial.number} is {trial.state} already; its result does not change any more.")
    return views.trial(scope.study.name, trial)


def _columns(scope: Scope, trial: TrialRow, request: messages.TellRequest, value: float | None) -> Json:
    return {
        "value": value,
        "metrics": request.metrics,
        "step": request.step,
        "location": request.where,
        "error": request.error,
        "spent_us": leases.spent_us(scope.tx, trial),
    }


def _value(scope: Scope, trial: TrialRow, request: messages.TellRequest) -> float | None:
    """The study's metric in the tell; with `"reduce": "best"` the best over the run's reports and the tell.

    A trial that diverged or failed has none. Raises: Contradiction for a complete one without it.
    """
    if request.state in ("diverged", "failed"):
        return None
    study = scope.study
    scores = [request.metrics.get(study.metric)]
    if study.reduce == "best":
        scores = [row.metrics.get(study.metric) for row in present_run_reports(scope.tx, study, trial)] + scores
    value = completion.reduced_value(study, scores)
    if value is None and request.state == "complete":
        detail = (
            f"a complete trial needs the study's metric {study.metric} as a finite number; "
            'if it is not finite, tell {"state": "diverged"}'
        )
        raise Contradiction(
            f"The tell lacks its metric: {detail}.", (FieldProblem(json_pointer("metrics", study.metric), detail),)
        )
    return value
