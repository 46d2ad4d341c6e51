"""Leases that ran out: their trials are queued again, or fail after too many attempts."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import structlog

from server.services import lookup
from server.services.isolation import isolated
from server.services.runs import completion
from server.services.runs.completion import Outcome
from server.services.studies import budgets
from server.services.transactions import Scope, Transactions
from server.store import events, leases, trials
from server.store.trials import TrialRow
from sturgeon.errors import NotFound
from sturgeon.states import UNFINISHED

DUTY: Final = "lease expiry"
log = structlog.get_logger()


def spends_attempt(*, reported: bool) -> bool:
    """Whether a lease that ran out spends an attempt. It does not where the run has reported: then the run was well,
    and the trial is not to blame for the end of its worker."""
    return not reported


def expire_leases(transactions: Transactions, max_attempts: int) -> int:
    """Queue, fail or end each trial whose lease has run out; return how many there were.

    A study whose trials cannot be dealt with is logged, and the others are not held up.
    """
    with transactions.database.reading() as tx:
        names = leases.studies_with_expired(tx)
    expired = 0
    for name in names:
        # NotFound: the study was deleted meanwhile.
        with isolated(DUTY, study=name), suppress(NotFound):
            expired += _expire_in_study(transactions, name, max_attempts)
    return expired


def _expire_in_study(transactions: Transactions, name: str, max_attempts: int) -> int:
    with transactions.on_study(name) as scope:
        locked = lookup.lock_expired(scope.tx, scope.study)
        expired = [row for row in locked if not leases.shortened(scope.tx, row)]
        for row in expired:
            _expire(scope, row, max_attempts)
        budgets.settle(scope)
    return len(expired)


def _expire(scope: Scope, trial: TrialRow, max_attempts: int) -> None:
    outcome = completion.outcome_of_stopped(scope.tx, scope.study, trial) or _outcome(trial, max_attempts)
    if outcome.state in UNFINISHED:
        trials.transition(scope.tx, trial, outcome.state, **outcome.columns)
    else:
        completion.finish(scope, trial, outcome)
    detail = {"worker": trial.worker, "then": outcome.state}
    events.insert(scope.tx, scope.study.id, "lease_expired", scope.now, trial.number, **detail)
    scope.tx.after_commit(scope.counters.expired_leases.labels(outcome.state).inc)
    log.info("lease ran out", study=scope.study.name, trial=trial.number, **detail)


def _outcome(trial: TrialRow, max_attempts: int) -> Outcome:
    spent = trial.attempt + spends_attempt(reported=trial.reported)
    if spent < max_attempts:
        return Outcome(completion.state_after_return(trial), {"attempt": spent})
    # Without `lease_until` the last holder cannot come back to the trial.
    error = f"The lease ran out {trial.attempt + 1} times without a report."
    return Outcome("failed", {"attempt": spent, "error": error, "lease_until": None})
