"""SQL on the trials that workers run."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.reach import EVERY_STUDY, Reach
from server.store.tables import studies, trials


def _runs_on(names: Iterable[str]) -> sa.ColumnElement[bool]:
    """Found among the running trials, which are few, not by the index of workers: among all that those ever ran."""
    return sa.and_(trials.c.state == "running", sa.func.coalesce(trials.c.worker, "").in_(list(names)))


def running_by_worker(tx: Transaction, names: Iterable[str], reach: Reach = EVERY_STUDY) -> dict[str, int]:
    """Worker -> how many trials of the studies within reach it runs; workers without one are not in it."""
    statement = sa.select(trials.c.worker, sa.func.count()).where(_runs_on(names)).group_by(trials.c.worker)
    if reach.is_bound:
        statement = statement.join(studies, studies.c.id == trials.c.study_id).where(reach.where())
    return dict(tx.execute(statement).all())


def held_by_worker(
    tx: Transaction, names: Iterable[str], reach: Reach = EVERY_STUDY, most: int = 1000
) -> dict[str, list[tuple[str, int]]]:
    """Worker -> study and number of the trials within reach that it runs, `most` of all together."""
    statement = (
        sa.select(trials.c.worker, studies.c.name, trials.c.number)
        .join(studies, studies.c.id == trials.c.study_id)
        .where(_runs_on(names), reach.where())
        .order_by(trials.c.study_id, trials.c.number)
        .limit(most)
    )
    held: dict[str, list[tuple[str, int]]] = {}
    for worker, study, number in tx.execute(statement):
        held.setdefault(worker, []).append((study, number))
    return held
