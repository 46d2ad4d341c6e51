"""SQL on reports: intermediate metrics, one row a step of a run; and on results that came too late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import late_results, reports, trials


@dataclass(frozen=True)
class ReportRow:
    """A row of `reports`."""

    trial_id: int
    fence: int
    step: int
    epoch: float | None
    metrics: dict[str, float | None]
    at: int


@dataclass(frozen=True)
class LateRow:
    """A row of `late_results`."""

    id: int
    study_id: int
    number: int
    fence: int
    kind: Any
    body: dict[str, Any]
    at: int


def of_steps(tx: Transaction, trial_id: int, fence: int, steps: Sequence[int]) -> dict[int, ReportRow]:
    statement = sa.select(reports).where(
        reports.c.trial_id == trial_id, reports.c.fence == fence, reports.c.step.in_(list(steps))
    )
    return {row.step: ReportRow(**row._mapping) for row in tx.execute(statement)}


def insert(tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
    tx.execute(reports.insert(), list(rows))


def of_trial(tx: Transaction, trial_id: int, after_step: int, size: int) -> list[ReportRow]:
    """The reports of the trial's latest run that reported, in the order of their steps."""
    latest = sa.select(sa.func.max(reports.c.fence)).where(reports.c.trial_id == trial_id).scalar_subquery()
    statement = (
        sa.select(reports)
        .where(reports.c.trial_id == trial_id, reports.c.fence == latest, reports.c.step > after_step)
        .order_by(reports.c.step)
        .limit(size)
    )
    return [ReportRow(**row._mapping) for row in tx.execute(statement)]


def of_run(tx: Transaction, trial_id: int, fence: int) -> list[ReportRow]:
    statement = sa.select(reports).where(reports.c.trial_id == trial_id, reports.c.fence == fence)
    return [ReportRow(**row._mapping) for row in tx.execute(statement.order_by(reports.c.step))]


def last_of_run(tx: Transaction, trial_id: int, fence: int, count: int) -> list[ReportRow]:
    """The last `count` reports of a run, in the order of their steps."""
    statement = sa.select(reports).where(reports.c.trial_id == trial_id, reports.c.fence == fence)
    rows = tx.execute(statement.order_by(reports.c.step.desc()).limit(count))
    return [ReportRow(**row._mapping) for row in rows][::-1]


def of_complete_trials_at(
    tx: Transaction, study_id: int, epoch: float, metric: str, latest: int = 100
) -> list[tuple[float | None, float]]:
    """(the metric at this epoch, the final value) of the `latest` complete trials that are not invalid."""
    complete = (
        sa.select(trials.c.id, trials.c.fence, trials.c.value, trials.c.left_seq)
        .where(
            trials.c.study_id == study_id,
            trials.c.state == "complete",
            trials.c.value.is_not(None),
            trials.c.invalid_reason.is_(None),
        )
        .order_by(trials.c.left_seq.desc())
        .limit(latest)
        .subquery()
    )
    statement = (
        sa.select(reports.c.metrics, complete.c.value)
        .join(complete, sa.and_(reports.c.trial_id == complete.c.id, reports.c.fence == complete.c.fence))
        .where(sa.func.coalesce(reports.c.epoch, reports.c.step) == epoch)
        .order_by(complete.c.left_seq)
    )
    return [(metrics.get(metric), value) for metrics, value in tx.execute(statement)]


def insert_late(tx: Transaction, values: dict[str, Any]) -> None:
    tx.execute(late_results.insert().values(values))


def late(tx: Transaction, study_id: int, after: int, size: int) -> list[LateRow]:
    statement = (
        sa.select(late_results)
        .where(late_results.c.study_id == study_id, late_results.c.id > after)
        .order_by(late_results.c.id)
        .limit(size)
    )
    return [LateRow(**row._mapping) for row in tx.execute(statement)]
