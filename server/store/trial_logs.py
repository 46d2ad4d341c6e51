"""SQL on the logs of trials: what their newest runs printed, compressed."""

from __future__ import annotations

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import trial_logs, trials
from sturgeon.identifiers import Fence, TrialId

RUNS_KEPT = 2
"""The newest run, and the one that ended before it."""


def replace(tx: Transaction, trial_id: TrialId, fence: Fence, body: bytes, now: int) -> None:
    """Store the log of a run, instead of what it sent before; those of older runs are deleted. The trial is locked."""
    own = trial_logs.c.trial_id == trial_id
    older = sa.select(trial_logs.c.fence).where(own, trial_logs.c.fence != fence).order_by(trial_logs.c.fence.desc())
    kept = tx.execute(older.limit(RUNS_KEPT - 1)).scalars().all()
    tx.execute(trial_logs.delete().where(own, trial_logs.c.fence.not_in(kept)))
    tx.execute(trial_logs.insert().values(trial_id=trial_id, fence=fence, body=body, size=len(body), at=now))


def of_trial(tx: Transaction, trial_id: TrialId) -> list[bytes]:
    """The logs that are kept, the newest run's first."""
    statement = sa.select(trial_logs.c.body).where(trial_logs.c.trial_id == trial_id)
    return list(tx.execute(statement.order_by(trial_logs.c.fence.desc())).scalars())


def count(tx: Transaction, trial_id: TrialId) -> int:
    """Of how many runs a log is kept."""
    statement = sa.select(sa.func.count()).where(trial_logs.c.trial_id == trial_id)
    return int(tx.execute(statement).scalar_one())


def of_run(tx: Transaction, trial_id: TrialId, fence: Fence) -> bytes | None:
    """The log of a run."""
    statement = sa.select(trial_logs.c.body).where(trial_logs.c.trial_id == trial_id, trial_logs.c.fence == fence)
    body: bytes | None = tx.execute(statement).scalar_one_or_none()
    return body


def keep_newest(tx: Transaction, size: int) -> int:
    """Delete the oldest logs of each study whose logs take more than `size` bytes; how many."""
    with_study = sa.select(trials.c.study_id).join(trial_logs, trial_logs.c.trial_id == trials.c.id)
    too_large = with_study.group_by(trials.c.study_id).having(sa.func.sum(trial_logs.c.size) > size)
    return sum(_keep_newest(tx, study_id, size) for study_id in tx.execute(too_large).scalars().all())


def _keep_newest(tx: Transaction, study_id: int, size: int) -> int:
    statement = (
        sa.select(trial_logs.c.trial_id, trial_logs.c.fence, trial_logs.c.size)
        .join(trials, trials.c.id == trial_logs.c.trial_id)
        .where(trials.c.study_id == study_id)
        .order_by(trial_logs.c.at.desc(), trial_logs.c.trial_id.desc(), trial_logs.c.fence.desc())
    )
    total = deleted = 0
    for trial_id, fence, own_size in tx.execute(statement).all():
        total += own_size
        if total > size:
            tx.execute(trial_logs.delete().where(trial_logs.c.trial_id == trial_id, trial_logs.c.fence == fence))
            deleted += 1
    return deleted


def total_size(tx: Transaction) -> int:
    """The bytes that all logs take."""
    return int(tx.execute(sa.select(sa.func.coalesce(sa.func.sum(trial_logs.c.size), 0))).scalar_one())
