"""SQL on the best trials of a study; trials with the same parameters (replicates) count as one, by their mean."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.studies import StudyRow
from server.store.tables import trials
from server.store.trials import TrialRow

_KEY = sa.func.coalesce(trials.c.group_number, trials.c.number)
_VALID = trials.c.invalid_reason.is_(None)
_COMPLETE = sa.and_(_VALID, trials.c.state == "complete", trials.c.value.is_not(None))


def best_groups(tx: Transaction, study: StudyRow, most: int | None = None) -> list[int]:
    """The groups whose trials are all complete (or failed, cancelled, invalid: those count for nothing), by the number
    of their first trial; the best mean first, of two equals the earlier."""
    statement = _grouped(study).limit(most)
    return [key for (key,) in tx.execute(statement)]


def _grouped(study: StudyRow) -> sa.Select[Any]:
    left = sa.and_(_VALID, trials.c.state.not_in(("complete", "failed", "cancelled")))
    count = sa.func.sum(sa.case((_COMPLETE, 1), else_=0))
    # Divided first, and to half the mean at most: the sum of large values overflows, which PostgreSQL refuses.
    parts = 1.0 if study.replicates == 1 else 2.0 * study.replicates
    total = sa.func.sum(sa.case((_COMPLETE, trials.c.value / parts)))
    mean = total * (float(study.replicates) / count)
    return (
        sa.select(_KEY)
        .where(trials.c.study_id == study.id)
        .group_by(_KEY)
        .having(count > 0, sa.func.sum(sa.case((left, 1), else_=0)) == 0)
        .order_by(mean.asc() if study.direction == "minimize" else mean.desc(), _KEY)
    )


def complete_of(tx: Transaction, study: StudyRow, groups: Iterable[int]) -> dict[int, list[TrialRow]]:
    """Group -> its complete trials that are not invalid, by number."""
    statement = sa.select(trials).where(trials.c.study_id == study.id, _COMPLETE, _KEY.in_(list(groups)))
    found: dict[int, list[TrialRow]] = {}
    for row in tx.execute(statement.order_by(trials.c.number)):
        trial = TrialRow(**row._mapping)
        found.setdefault(trial.number if trial.group_number is None else trial.group_number, []).append(trial)
    return found
