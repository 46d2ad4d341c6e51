"""Intermediate reports of a leased trial: metrics of steps. Idempotent by (fence, step)."""

from __future__ import annotations

from collections.abc import Sequence

from server.policies.curve import epoch_of
from server.services import lookup
from server.services.panda import challengers, policy_runner
from server.services.reporting.late_results import store_late_result
from server.services.runs import desired_state, pruning
from server.services.runs.curve import rollback_generation_of
from server.services.studies import budgets
from server.services.transactions import Scope, Transactions
from server.services.views import desired_of
from server.store import events, holders, leases, reports
from server.store.json_columns import Json
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.errors import LeaseLost, ReportConflict
from sturgeon.identifiers import TrialNumber


def report(
    transactions: Transactions, name: str, number: TrialNumber, request: messages.ReportRequest
) -> messages.ReportAnswer:
    """Store metrics of steps and renew the lease; the answer says what is desired of the run.

    Raises: NotFound, LeaseLost, ReportConflict, Conflict (a version was applied that nobody desired).
    """
    outcome = _in_transaction(transactions, name, number, request)
    if outcome is None:
        outcome = _in_transaction(transactions, name, number, request, locks=True)
        assert outcome is not None
    if isinstance(outcome, LeaseLost):  # after the commit: the late result is kept
        raise outcome
    return messages.ReportAnswer(desired=desired_of(outcome))


def _in_transaction(
    transactions: Transactions,
    name: str,
    number: TrialNumber,
    request: messages.ReportRequest,
    *,
    locks: bool = False,
) -> TrialRow | LeaseLost | None:
    """The trial after the report. None where the lease is lost and the study is not locked: it may have been deleted
    since it was read, and then nothing can be kept of it. locks: lock it in any case. Raises: as `report`."""
    with transactions.database.writing() as tx:
        study, trial = lookup.get_study_and_trial(tx, name, number)
        is_looked_at = pruning.may_look(study, trial, request.reports)
        locks = (
            locks
            or is_looked_at
            or budgets.is_watched(study)
            or policy_runner.may_act(study, trial)
            or challengers.is_watched(study)
        )
        if locks:
            tx.forget_clock()
            study = lookup.lock_study(tx, name)
        if challengers.is_watched(study):  # a decision steers all that take part
            lookup.lock_trials(tx, study, {number, *challengers.members_of_open(tx, study)})
        scope = transactions.scope(tx, study)
        return _report(scope, trial, request, is_locked=locks, is_looked_at=is_looked_at)


def _report(
    scope: Scope, before: TrialRow, request: messages.ReportRequest, *, is_locked: bool, is_looked_at: bool
) -> TrialRow | LeaseLost | None:
    """As `_in_transaction`. `before`: the trial as it was read, not locked. is_locked: the study is."""
    tx, study = scope.tx, scope.study
    reached = max(map(epoch_of, request.reports), default=None)
    best = pruning.best_of(study, request.reports)
    row = leases.renew(tx, before, request.fence, reached, best, reported=True)
    if row is None:
        if _is_known(scope, before, request):
            return before
        if not is_locked:
            return None
        return store_late_result(scope, before, "report", request)
    row = desired_state.acknowledge(tx, row, request.applied_version, request.applied_step)
    new_steps = _store(scope, row, request)
    _store_events(scope, row, request.events)
    if is_looked_at:
        new = [report for report in request.reports if report.step in new_steps]
        row = pruning.consider(scope, row, before, new)
    if new_steps:
        row = policy_runner.after_report(scope, row, min(new_steps))
    if new_steps and challengers.is_watched(study):
        with scope.attempt(challengers.SKIPPED, row.number):
            challengers.decide(scope)
        row = lookup.get_trial(tx, study, row.number)
    if budgets.is_watched(study):
        budgets.settle(scope)
    return row


def _is_known(scope: Scope, row: TrialRow, request: messages.ReportRequest) -> bool:
    """Whether this very report came before under its fence. Then it was obeyed, and its answer may have been lost."""
    if not request.reports or holders.is_anothers(scope.tx, row, request.fence):
        return False
    generation = rollback_generation_of(scope.tx, row, request.applied_version)
    steps = [report.step for report in request.reports]
    known = reports.of_steps(scope.tx, row.id, request.fence, generation, steps)
    stored = {step: (one.metrics, one.epoch) for step, one in known.items()}
    kinds, keys = ({event.kind for event in request.events}, {event.key for event in request.events})
    has_events = keys <= events.known_keys(scope.tx, scope.study.id, row.number, kinds, keys)
    return has_events and all(stored.get(one.step) == (one.metrics, one.epoch) for one in request.reports)


def _store(scope: Scope, row: TrialRow, request: messages.ReportRequest) -> list[int]:
    """Store what is new; the steps of it. Raises: ReportConflict."""
    if not request.reports:
        return []
    generation = rollback_generation_of(scope.tx, row, request.applied_version)
    run: Json = {"trial_id": row.id, "fence": request.fence, "rollback_generation": generation, "at": scope.now}
    rows: dict[int, Json] = {}
    for report in request.reports:
        told = {**run, "step": report.step, "epoch": report.epoch, "metrics": report.metrics}
        if rows.setdefault(report.step, told) != told:
            raise _conflict(report.step)
    new = reports.insert_new(scope.tx, list(rows.values()))
    if len(new) < len(rows):  # some came before
        known = reports.of_steps(scope.tx, row.id, request.fence, generation, sorted(rows.keys() - set(new)))
        for step, stored in known.items():
            if (stored.metrics, stored.epoch) != (rows[step]["metrics"], rows[step]["epoch"]):
                raise _conflict(step)
    return new


def _conflict(step: int) -> ReportConflict:
    return ReportConflict(f"Step {step} was reported before with other values; nothing was changed.")


def _store_events(scope: Scope, row: TrialRow, run_events: Sequence[messages.RunEvent]) -> None:
    """Keep what happened to the run, once: a run that goes on from its checkpoint may say it again."""
    if not run_events:
        return
    kinds, keys = ({event.kind for event in run_events}, {event.key for event in run_events})
    known = events.known_keys(scope.tx, scope.study.id, row.number, kinds, keys)
    for event in run_events:
        if event.key not in known:
            known.add(event.key)
            detail = event.model_dump(mode="json", exclude={"kind"}, exclude_defaults=True)
            events.insert(scope.tx, scope.study.id, event.kind, scope.now, row.number, **detail)
            scope.tx.after_commit(scope.counters.stream_events.labels(event.kind).inc)
