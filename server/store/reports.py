"""SQL on reports: intermediate metrics, one row a step of a run; and on results that came too late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import late_results, reports, timeline, trials

LARGEST = 2**63 - 1


@dataclass(frozen=True)
class ReportRow:
    """A row of `reports`."""

    trial_id: int
    fence: int
    rollback_generation: int
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


def of_steps(
    tx: Transaction, trial_id: int, fence: int, rollback_generation: int, steps: Sequence[int]
) -> dict[int, ReportRow]:
    statement = sa.select(reports).where(
        reports.c.trial_id == trial_id,
        reports.c.fence == fence,
        reports.c.rollback_generation == rollback_generation,
        reports.c.step.in_(list(steps)),
    )
    return {row.step: ReportRow(**row._mapping) for row in tx.execute(statement)}


def insert(tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
    tx.execute(reports.insert(), list(rows))


def latest_run(tx: Transaction, trial_id: int) -> int | None:
    """The fence of the latest run that reported."""
    statement = sa.select(sa.func.max(reports.c.fence)).where(reports.c.trial_id == trial_id)
    latest: int | None = tx.execute(statement).scalar_one()
    return latest


def curve(
    tx: Transaction, trial_id: int, rollbacks: Sequence[tuple[int, int]], after_step: int = -1, size: int | None = None
) -> list[ReportRow]:
    """What the trial's model went through, in the order of its steps: of runs that began at a step which an earlier
    one had passed, the latest; and of what lies behind a step that it went back to, (version, step), nothing."""
    ahead = reports.c.step > after_step
    of_it = [
        sa.and_(reports.c.rollback_generation == rollback_generation, reports.c.fence == fence, reports.c.step < end)
        for (rollback_generation, fence), end in _ends(tx, trial_id, rollbacks).items()
    ]
    statement = sa.select(reports).where(reports.c.trial_id == trial_id, ahead, sa.or_(sa.false(), *of_it))
    return [ReportRow(**row._mapping) for row in tx.execute(statement.order_by(reports.c.step).limit(size))]


def _ends(tx: Transaction, trial_id: int, rollbacks: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """(rollback_generation, fence) -> the step from which on its reports do not count any more."""
    first = sa.func.min(reports.c.step)
    statement = sa.select(reports.c.rollback_generation, reports.c.fence, first).where(reports.c.trial_id == trial_id)
    begun = sorted(tx.execute(statement.group_by(reports.c.rollback_generation, reports.c.fence)).all())
    ends: dict[tuple[int, int], int] = {}
    later = LARGEST
    for rollback_generation, fence, step in reversed(begun):
        ends[rollback_generation, fence] = min(
            [later, *(back + 1 for version, back in rollbacks if version > rollback_generation)]
        )
        later = min(later, step)
    return ends


Place = tuple[int, int, int]
"""The rollback generation, the fence and the step of a report."""


def all_of_trial(tx: Transaction, trial_id: int, after: Place | None, size: int) -> list[ReportRow]:
    """Up to `size` of the reports that came, also of what a later run or a rollback left, by rollback generation, run
    and step; from the first, or from behind a place."""
    place = (reports.c.rollback_generation, reports.c.fence, reports.c.step)
    statement = sa.select(reports).where(reports.c.trial_id == trial_id)
    if after is not None:
        statement = statement.where(sa.tuple_(*place) > after)
    return [ReportRow(**row._mapping) for row in tx.execute(statement.order_by(*place).limit(size))]


def of_run(
    tx: Transaction, trial_id: int, fence: int, after_step: int = -1, size: int | None = None
) -> list[ReportRow]:
    """The reports of one run, by step."""
    statement = sa.select(reports).where(
        reports.c.trial_id == trial_id, reports.c.fence == fence, reports.c.step > after_step
    )
    return [ReportRow(**row._mapping) for row in tx.execute(statement.order_by(reports.c.step).limit(size))]


def of_complete_trials_at(
    tx: Transaction, study_id: int, epoch: float, metric: str, *, over_runs: bool, latest: int = 100
) -> list[tuple[float | None, float]]:
    """(the metric at this epoch, the final value) of the `latest` complete trials that are not invalid.

    over_runs: their curves are made of the reports of all their runs, as `curve`, not of the last run's alone.
    """
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
    of_it = sa.not_(_left()) if over_runs else reports.c.fence == complete.c.fence
    statement = (
        sa.select(complete.c.id, reports.c.metrics, complete.c.value)
        .select_from(reports)
        .join(complete, reports.c.trial_id == complete.c.id)
        .where(sa.func.coalesce(reports.c.epoch, reports.c.step) == epoch, of_it)
        .order_by(complete.c.left_seq, reports.c.rollback_generation, reports.c.fence, reports.c.step)
    )
    # Of an epoch that several runs have reported, the last counts.
    found = {trial_id: (metrics.get(metric), value) for trial_id, metrics, value in tx.execute(statement)}
    return list(found.values())


def _left() -> sa.ColumnElement[bool]:
    """Whether the run went back behind a report."""
    return (
        sa.exists()
        .where(
            timeline.c.trial_id == reports.c.trial_id,
            timeline.c.verb == "rollback",
            timeline.c.from_step.is_not(None),
            timeline.c.state.in_(("applied", "reverted")),
            timeline.c.version > reports.c.rollback_generation,
            timeline.c.restore < reports.c.step,
        )
        .correlate(reports)
    )


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
