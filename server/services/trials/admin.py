"""What people do with trials: read, list, enqueue, requeue, cancel, invalidate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from server.request_context import note
from server.services import lookup, views
from server.services.idempotency import IdempotencyKey, claim_or_replay, store_answer
from server.services.pagination import after_of, page_of, sorted_place_of, three_places_of, token_of
from server.services.runs import completion, desired_state
from server.services.runs.curve import applied_rollbacks, counted_reports, is_abandoned
from server.services.runs.resume import forget_scores
from server.services.studies import budgets
from server.services.transactions import Scope, Transactions
from server.services.trial_rows import new_trial, replicate_group
from server.services.views import desired_of
from server.store import events, findings, reports, trial_lists, trial_logs, trials
from server.store import studies as study_rows
from server.store.engine import Database
from server.store.json_columns import Json
from server.store.studies import StudyRow
from server.store.trial_lists import After, Listing
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.errors import BudgetSpent, Contradiction, TrialFinished, WrongState
from sturgeon.identifiers import TrialNumber, Version
from sturgeon.space import Space
from sturgeon.states import REQUEUEABLE, TERMINAL


def read(database: Database, name: str, number: TrialNumber) -> tuple[messages.Trial, Version]:
    """A trial, and the version that `If-Match` is compared with. Raises: NotFound."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        row = lookup.get_trial(tx, study, number)
        trial = views.trial(name, row, dataset=findings.find(tx, row.id, "dataset"))
        trial.findings = {kind: views.moment(at) for kind, at in findings.at(tx, row.id).items()}
        trial.logs = trial_logs.count(tx, row.id)
        return trial, views.version_of(study, row)


def listing(
    database: Database, name: str, which: Listing, page_size: int, page_token: str | None
) -> messages.Page[messages.Trial]:
    """A page of the study's trials. Raises: NotFound, Invalid (an unknown page token)."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        rows = trial_lists.page(tx, study.id, which, _after(which, page_token), page_size + 1)
    return page_of([views.trial(name, row) for row in rows], page_size, [_token(which, row) for row in rows])


def _after(which: Listing, token: str | None) -> After | None:
    """Raises: Invalid (a token of another list)."""
    if token is None:
        return None
    if which.sort == "number":
        return After(TrialNumber(min(after_of(token), messages.LARGEST_FENCE)))
    key, number = sorted_place_of(token)
    return After(TrialNumber(number), key)


def _token(which: Listing, row: TrialRow) -> str:
    place = trial_lists.place_of(row, which)
    return str(place.number) if which.sort == "number" else token_of(place.key, place.number)


def enqueue(transactions: Transactions, name: str, params: Json, key: IdempotencyKey) -> messages.Trial:
    """Queue a trial with these parameters, or as many as the study's replicates: then the answer is the first of them.

    Raises: NotFound, Contradiction, BudgetSpent, WrongState, IdempotencyMismatch.
    """
    with transactions.on_study(name) as scope:
        if (answered := claim_or_replay(scope.tx, key, messages.Trial, scope.study)) is not None:
            return answered
        study = scope.study
        space = views.space_of(study)
        point = _encode(space, params)
        _require_number_left(study)
        scope.update_study(next_number=study.next_number + study.replicates)
        numbers = [TrialNumber(study.next_number + replicate) for replicate in range(study.replicates)]
        complete = space.complete(params)
        row, *_ = trials.insert(
            scope.tx,
            [
                new_trial(study, number, complete, point, scope.now) | replicate_group(study, number, study.next_number)
                for number in numbers
            ],
        )
        events.insert(scope.tx, study.id, "enqueued", scope.now, row.number)
        note(trial=row.number)
        answer = views.trial(name, row)
        store_answer(scope.tx, key, answer)
        return answer


def _encode(space: Space, params: Json) -> tuple[float, ...]:
    try:
        return space.encode(params)
    except Contradiction as error:
        problems = tuple(problem._replace(pointer=f"/params{problem.pointer}") for problem in error.errors)
        raise Contradiction(error.message, problems) from None


def _require_number_left(study: StudyRow) -> None:
    if study.state not in ("active", "paused"):
        hint = "raise its budget first" if study.state == "completed" else "it takes no more trials"
        if study.state == "completed":
            raise BudgetSpent(f"The study {study.name} is completed; {hint}.")
        raise WrongState(f"The study {study.name} is {study.state}; {hint}.")
    budgets.require_left(study)
    if study.next_number + study.replicates > study.max_trials:
        raise BudgetSpent(f"All {study.max_trials} trials of {study.name} were given out; raise max_trials to go on.")


Decide = Callable[[Scope, TrialRow], TrialRow]


def _change(
    transactions: Transactions, name: str, number: TrialNumber, key: IdempotencyKey, decide: Decide
) -> messages.Trial:
    """Raises: NotFound, IdempotencyMismatch, and what `decide` raises."""
    with transactions.on_study(name) as scope:
        if (answered := claim_or_replay(scope.tx, key, messages.Trial, scope.study)) is not None:
            return answered
        row = decide(scope, lookup.lock_trial(scope.tx, scope.study, number))
        answer = views.trial(name, row)
        store_answer(scope.tx, key, answer)
        return answer


def requeue(transactions: Transactions, name: str, number: TrialNumber, key: IdempotencyKey) -> messages.Trial:
    """Queue a failed or cancelled trial again; its attempts count from 0. A second requeue while it waits changes
    nothing.

    Raises: NotFound, WrongState, BudgetSpent, IdempotencyMismatch.
    """

    def decide(scope: Scope, row: TrialRow) -> TrialRow:
        if row.state == "queued" and trials.was_requeued(scope.tx, row.id):
            return row
        _require_requeueable(scope.study, row)
        assert row.left_seq is not None
        seq = study_rows.next_seq(scope.tx, scope.study.id)
        trials.record_requeue_gap(scope.tx, row.id, row.left_seq, seq)
        events.insert(scope.tx, scope.study.id, "requeued", scope.now, number, was=row.state)
        if desired_of(row).run != "run":
            row = desired_state.request_change(scope.tx, row, "person", run="run")
        row = forget_scores(scope.tx, scope.study, row)
        row = trials.transition(scope.tx, row, "queued", raise_fence=True, **AS_NEW)
        budgets.settle(scope)
        return row

    return _change(transactions, name, number, key, decide)


AS_NEW: Final[Json] = {
    "attempt": 0,
    "left_seq": None,
    "finished_at": None,
    "lease_until": None,
    "worker": None,
    "value": None,
    "metrics": {},
    "step": None,
    "location": None,
    "error": None,
}
"""The columns that a requeued trial has as a new one does."""


def _require_requeueable(study: StudyRow, trial: TrialRow) -> None:
    """Raises: WrongState, BudgetSpent."""
    if trial.state not in REQUEUEABLE:
        allowed = " and ".join(REQUEUEABLE)
        raise WrongState(f"Trial {trial.number} is {trial.state}; only {allowed} trials run again.")
    if trial.invalid_reason is not None:
        raise WrongState(
            f"Trial {trial.number} is invalid, so its result would not count; enqueue its parameters as a new trial."
        )
    if study.state == "cancelled":
        raise WrongState(f"The study {study.name} is cancelled; its trials do not run again.")
    budgets.require_left(study)


def cancel(transactions: Transactions, name: str, number: TrialNumber, key: IdempotencyKey) -> messages.Trial:
    """Cancel a trial at once: whatever its lease's holder still sends is refused. A second cancel changes nothing.

    Raises: NotFound, TrialFinished, IdempotencyMismatch.
    """

    def decide(scope: Scope, row: TrialRow) -> TrialRow:
        if row.state == "cancelled":
            return row
        if row.state in TERMINAL:
            raise TrialFinished(f"Trial {number} is {row.state} already; it cannot be cancelled.")
        cancelled = completion.cancel(scope, row)
        events.insert(scope.tx, scope.study.id, "cancelled", scope.now, number, was=row.state)
        budgets.settle(scope)
        return cancelled

    return _change(transactions, name, number, key, decide)


def describe(
    transactions: Transactions, name: str, number: TrialNumber, patch: messages.TrialPatch, key: IdempotencyKey
) -> messages.Trial:
    """Write what the patch gives of a trial's tags and notes. Raises: NotFound, IdempotencyMismatch."""

    def decide(scope: Scope, row: TrialRow) -> TrialRow:
        given = patch.model_dump(exclude_none=True)
        return trials.update(scope.tx, row, **given) if given else row

    return _change(transactions, name, number, key, decide)


def invalidate(
    transactions: Transactions, name: str, number: TrialNumber, reason: str, key: IdempotencyKey
) -> messages.Trial:
    """Mark a trial as invalid: no sampler, no pruning rule and no list of the best sees it from now on.

    A running trial goes on, but its result will not count. The same reason again changes nothing.
    Raises: NotFound, WrongState (the trial has not begun yet, or is invalid for another reason), IdempotencyMismatch.
    """

    def decide(scope: Scope, row: TrialRow) -> TrialRow:
        if row.invalid_reason == reason:
            return row
        if row.invalid_reason is not None:
            raise WrongState(f"Trial {number} is invalid already: {row.invalid_reason}")
        if row.state not in (*TERMINAL, "running"):
            raise WrongState(f"Trial {number} is {row.state} and has no result yet; cancel it instead.")
        seq = study_rows.next_seq(scope.tx, scope.study.id, changes_past=True)
        events.insert(scope.tx, scope.study.id, "invalidated", scope.now, number, reason=reason)
        row = trials.update(scope.tx, row, invalid_reason=reason, invalid_at=scope.now, invalid_seq=seq)
        budgets.settle(scope)
        return row

    return _change(transactions, name, number, key, decide)


def metrics(
    database: Database, name: str, number: TrialNumber, page_size: int, page_token: str | None, *, left: bool = False
) -> messages.Page[messages.ReportedMetrics]:
    """The trial's curve, by step; with `left` all reports, also those that a rollback or a later run has made void, by
    rollback generation, run and step. Raises: NotFound, Invalid (an unknown page token)."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.get_trial(tx, study, number)
        rollbacks = applied_rollbacks(tx, trial)
        keys: list[int | str]
        if left:
            after = None if page_token is None else three_places_of(page_token)
            rows = reports.all_of_trial(tx, trial.id, after, page_size + 1)
            keys = [token_of(row.rollback_generation, row.fence, row.step) for row in rows]
        else:
            rows = counted_reports(tx, study, trial, after_of(page_token), page_size + 1)
            keys = [row.step for row in rows]
    return page_of([views.reported_metrics(row, left=is_abandoned(row, rollbacks)) for row in rows], page_size, keys)
