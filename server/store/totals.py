"""SQL on all trials of all studies at once, for /metrics."""

from __future__ import annotations

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import studies, trials


def count_by_state(tx: Transaction) -> dict[str, int]:
    """State -> how many trials."""
    statement = sa.select(trials.c.state, sa.func.count()).group_by(trials.c.state)
    return dict(tx.execute(statement).all())


def longest_queues(tx: Transaction, most: int) -> dict[str, int]:
    """Study -> how many queued trials, of so many studies that have most."""
    count = sa.func.count().label("queued")
    queues = (
        sa.select(trials.c.study_id, count)
        .where(trials.c.state == "queued")
        .group_by(trials.c.study_id)
        .order_by(count.desc(), trials.c.study_id)
        .limit(most)
        .subquery()
    )
    named = sa.select(studies.c.name, queues.c.queued).join_from(queues, studies, studies.c.id == queues.c.study_id)
    return dict(tx.execute(named).all())
