"""The end of a leased trial, as its holder tells it. Idempotent by the fence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
from server.store import holders, leases, trials
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
    requests = list(tells)
    with transactions.on_study(name) as scope:
        locked = lookup.lock_trials(scope.tx, scope.study, [request.number for request in requests])
        outcomes = _TellMany(scope, max_attempts, locked).outcomes(requests)
    items = [
        messages.ToldOne(number=request.number, code=outcome.code, detail=outcome.message)
        if isinstance(outcome, Problem)
        else messages.ToldOne(number=request.number, trial=outcome)
        for request, outcome in zip(requests, outcomes, strict=True)
    ]
    return messages.TellManyAnswer(items=items)


class _TellMany:
    """The tells of one request, in their order. Those that end their trial and do nothing else are written together;
    each of the others comes after the ones before it are written."""

    def __init__(self, scope: Scope, max_attempts: int, locked: Mapping[int, TrialRow]) -> None:
        self._scope, self._max_attempts = scope, max_attempts
        self._unchanged = dict(locked)  # by number, the trials that no tell has changed yet
        self._together: dict[int, tuple[TrialRow, Outcome]] = {}  # by the place of their tell
        self._outcomes: dict[int, messages.Trial | Problem] = {}

    def outcomes(self, requests: Sequence[messages.TellOne]) -> list[messages.Trial | Problem]:
        for place, request in enumerate(requests):
            try:
                self._take(place, request)
            except Problem as problem:
                self._outcomes[place] = problem
        self._write()
        return [self._outcomes[place] for place in range(len(requests))]

    def _take(self, place: int, request: messages.TellOne) -> None:
        scope = self._scope
        trial = self._unchanged.get(request.number)
        if trial is not None and _only_ends(scope, trial, request):
            columns = _columns(scope, trial, request, _value(scope, trial, request))
            self._together[place] = (self._unchanged.pop(request.number), Outcome(request.state, columns))
            return
        self._write()
        self._unchanged.pop(request.number, None)
        # Read again: the same trial may be told twice in one call.
        trial = trial or lookup.get_trial(scope.tx, scope.study, request.number)
        self._outcomes[place] = _tell(scope, self._max_attempts, trial, request)

    def _write(self) -> None:
        if not self._together:
            return
        rows = completion.finish_all(self._scope, list(self._together.values()))
        for place, row in zip(self._together, rows, strict=True):
            self._outcomes[place] = views.trial(self._scope.study.name, row)
        self._together.clear()
        budgets.settle(self._scope)


def _only_ends(scope: Scope, trial: TrialRow, request: messages.TellRequest) -> bool:
    """Whether nothing else comes of a tell but its trial's end: nobody steers the trial, and it cannot run again. What
    is assumed of a pruned one depends on what ended before it."""
    return (
        request.state in ("complete", "diverged")
        and not _may_go_on(trial, request)
        and holders.is_held(scope.tx, trial, request.fence)
    )


def _tell(
    scope: Scope, max_attempts: int, trial: TrialRow, request: messages.TellRequest
) -> messages.Trial | LeaseLost:
    """The trial after the tell, or why the tell came too late. The rows of the study and the trial are locked."""
    if holders.is_anothers(scope.tx, trial, request.fence):
        return store_late_result(scope, trial, "tell", request)
    if trial.fence == request.fence and trial.state in TERMINAL and trial.lease_until is not None:
        return _answer_again(scope, trial, request)
    is_held = holders.is_held(scope.tx, trial, request.fence)
    if not is_held and (answered := replay(scope.tx, _key(trial, request), messages.Trial)) is not None:
        return answered
    value = _value(scope, trial, request)
    if not is_held:
        return store_late_result(scope, trial, "tell", request)
    columns = _columns(scope, trial, request, value)
    if _may_go_on(trial, request):
        trial, goes_on = _renewed(scope, trial, request)
        if goes_on:  # what was told stays to be seen
            columns |= {"value": None, "lease_until": None}
            row = trials.transition(scope.tx, trial, completion.state_after_return(trial), **columns)
            budgets.settle(scope)
            return _recorded(scope, row, request)
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
    return _recorded(scope, row, request)


def _key(trial: TrialRow, request: messages.TellRequest) -> IdempotencyKey:
    return IdempotencyKey.of_run_end(trial, request.fence, "tell", request)


def _recorded(scope: Scope, row: TrialRow, request: messages.TellRequest) -> messages.Trial:
    """The answer. Where the trial may run again, it is stored: the same tell gets it whatever becomes of the trial."""
    answer = views.trial(scope.study.name, row)
    if row.state in REQUEUEABLE or row.state not in TERMINAL:
        record(scope.tx, _key(row, request), answer, scope.study)
    return answer


def _may_go_on(trial: TrialRow, request: messages.TellRequest) -> bool:
    """Whether the trial may go on when its run has ended so."""
    return request.state in ("complete", "diverged") and (trial.desired is not None or trial.mode == "panda")


def _renewed(scope: Scope, trial: TrialRow, request: messages.TellRequest) -> tuple[TrialRow, bool]:
    """The trial, its lease renewed, and whether it goes on: it goes back to a checkpoint, or trains longer."""
    leased = leases.renew(scope.tx, trial, request.fence, reported=True)
    assert leased is not None
    if desired_state.has_more_to_do(scope.tx, leased):
        return leased, True
    if request.state == "diverged":
        steered = policy_runner.at_divergence(scope, leased, request.where)
    else:
        steered = guards.at_completion(scope, leased)
    return steered or leased, steered is not None


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
