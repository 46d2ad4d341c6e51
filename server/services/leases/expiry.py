"""Trials whose lease ran out are queued again, or fail after too many attempts; old keys and blobs are forgotten."""

from __future__ import annotations

from typing import Any, Final, Literal

import structlog

from server.services import blob_sweep
from server.services.metrics import Counters
from server.services.runs import completion
from server.services.studies import budgets
from server.store import events, idempotency, leases, trials, workers
from server.store import studies as study_rows
from server.store.blobs import BlobFolder
from server.store.engine import Database
from server.store.trials import TrialRow

DAY_US: Final = 86_400_000_000
log = structlog.get_logger()


def after_expiry(attempt: int, reported: bool, max_attempts: int) -> tuple[Literal["queued", "failed"], int]:
    """The state and the attempts spent after a lease ran out: a run that reported was well, its worker's end was not
    the trial's fault."""
    spent = attempt if reported else attempt + 1
    return ("failed" if spent >= max_attempts else "queued"), spent


def expire_leases(database: Database, counters: Counters, max_attempts: int) -> int:
    """Deal with every lease that ran out; how many there were."""
    with database.reading() as tx:
        names = leases.studies_with_expired(tx, tx.now())
    return sum(_reap_study(database, counters, max_attempts, name) for name in names)


def _reap_study(database: Database, counters: Counters, max_attempts: int, name: str) -> int:
    with database.writing() as tx:
        study = study_rows.lock(tx, name)
        if study is None:
            return 0
        now = tx.now()
        found = leases.expired(tx, study.id, now)
        for trial in found:
            values = completion.outcome_of_stopped(tx, study, trial) or _after_expiry(trial, max_attempts)
            state = values["state"]
            if state in ("queued", "paused"):
                trials.update(tx, trial.id, **values)
            else:
                completion.finish(tx, counters, study, trial, now, **values)
            events.insert(tx, study.id, "lease_expired", now, trial.number, worker=trial.worker, then=state)
            tx.after_commit(counters.expired_leases.labels(state).inc)
            log.info("lease ran out", study=name, trial=trial.number, worker=trial.worker, then=state)
        budgets.settle(tx, study, now)
        return len(found)


def _after_expiry(trial: TrialRow, max_attempts: int) -> dict[str, Any]:
    state, attempt = after_expiry(trial.attempt, trial.reported, max_attempts)
    if state == "queued":
        return {"state": completion.state_after_return(trial), "attempt": attempt}
    # Without `lease_until` nobody may come back to it.
    error = f"The lease ran out {trial.attempt + 1} times without a report."
    return {"state": state, "attempt": attempt, "error": error, "lease_until": None}


def clean_up(database: Database, blobs: BlobFolder) -> None:
    """Forget idempotency keys after a day, workers after a week, blobs that no checkpoint names."""
    with database.writing() as tx:
        now = tx.now()
        idempotency.forget(tx, now - DAY_US)
        workers.forget(tx, now - 7 * DAY_US)
    blob_sweep.sweep(database, blobs)
