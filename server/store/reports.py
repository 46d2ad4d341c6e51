"""SQL on reports: intermediate metrics, one row a step of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import sqlalchemy as sa

from server.store import run_starts
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import reports, timeline, trials
from sturgeon.identifiers import Fence, Step, StudyId, TrialId, Version

LARGEST = 2**63 - 1


@dataclass(frozen=True)
class ReportRow:
    """A row of `reports`."""

    trial_id: TrialId
    fence: Fence
    rollback_generation: Version
    step: Step
    epoch: float | None
    metrics: dict[str, float | None]
    at: int


_OF_RUN: Final = sa.select(reports).where(
    reports.c.trial_id == sa.bindparam("trial"),
    reports.c.fence == sa.bindparam("fence"),
    reports.c.rollback_generation == sa.bindparam("generation"),
)
_OF_STEP: Final = _OF_RUN.where(reports.c.step == sa.bindparam("step"))
_OF_STEPS: Final = _OF_RUN.where(reports.c.step.in_(sa.bindparam("steps", expanding=True)))


def of_steps(
    tx: Transaction, trial_id: TrialId, fence: Fence, rollback_generation: int, steps: Sequence[int]
) -> dict[int, ReportRow]:
    run = {"trial": trial_id, "fence": fence, "generation": rollback_generation}
    if len(steps) == 1:  # by far the most calls, and a list of parameters takes time to write out
        rows = tx.execute(_OF_STEP, {**run, "step": steps[0]})
    else:
        rows = tx.execute(_OF_STEPS, {**run, "steps": list(steps)})
    return {row.step: ReportRow(*row) for row in rows}


_INSERT: Final = reports.insert()


def insert(tx: Transaction, rows: Sequence[Json]) -> None:
    tx.execute(_INSERT, rows[0] if len(rows) == 1 else list(rows))


_KEY: Final = tuple(column.name for column in reports.primary_key)


def insert_new(tx: Transaction, rows: Sequence[Json]) -> list[int]:
    """Insert the rows of one run and rollback generation, but for those whose step is there; the steps inserted."""
    statement = tx.insert_new(reports, *_KEY, returning="step")
    if len(rows) == 1:
        return [step for (step,) in tx.run(statement, rows[0]).rows]
    return list(tx.execute(statement, list(rows)).scalars())


def latest_run(tx: Transaction, trial_id: TrialId) -> Fence | None:
    """The fence of the latest run that reported."""
    statement = sa.select(sa.func.max(reports.c.fence)).where(reports.c.trial_id == trial_id)
    latest: Fence | None = tx.execute(statement).scalar_one()
    return latest


def curve(
    tx: Transaction,
    trial_id: TrialId,
    rollbacks: Sequence[tuple[int, int]],
    after_step: int = -1,
    size: int | None = None,
    *,
    since: Fence | None = None,
) -> list[ReportRow]:
    """What the trial's model went through, in the order of its steps: of runs that began at a step which an earlier
    one had passed, the latest, from the step on at which it began; and nothing of what a rollback, (version, step),
    abandoned, or of runs before the fence `since`."""
    ahead = reports.c.step > after_step
    parts = [
        sa.and_(reports.c.rollback_generation == rollback_generation, reports.c.fence == fence, reports.c.step < end)
        for (rollback_generation, fence), end in _ends(tx, trial_id, rollbacks, since).items()
    ]
    statement = sa.select(reports).where(reports.c.trial_id == trial_id, ahead, sa.or_(sa.false(), *parts))
    return [ReportRow(*row) for row in tx.execute(statement.order_by(reports.c.step).limit(size))]


def _ends(
    tx: Transaction, trial_id: TrialId, rollbacks: Sequence[tuple[int, int]], since: Fence | None
) -> dict[tuple[int, int], int]:
    """As `ends_of`, of one trial."""
    first = sa.func.min(reports.c.step)
    statement = sa.select(reports.c.rollback_generation, reports.c.fence, first).where(reports.c.trial_id == trial_id)
    if since is not None:
        statement = statement.where(reports.c.fence >= since)
    segments = tx.execute(statement.group_by(reports.c.rollback_generation, reports.c.fence)).all()
    starts = run_starts.of_trial(tx, trial_id)
    return ends_of([(fence, generation, step) for generation, fence, step in segments], starts, rollbacks)


def ends_of(
    segments: Iterable[tuple[Fence, int, int]], starts: Mapping[Fence, int], rollbacks: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], int]:
    """(rollback_generation, fence) -> the step from which on its reports do not count any more.

    segments: (fence, rollback_generation, its first step). starts: where runs went on from. rollbacks: (version, step).
    """
    newest_last = sorted(segments)
    ends: dict[tuple[int, int], int] = {}
    later = LARGEST
    newer: Fence = newest_last[-1][0] if newest_last else Fence(0)
    for fence, rollback_generation, step in reversed(newest_last):
        if fence != newer:
            later, newer = min(later, starts.get(newer, LARGEST - 1) + 1), fence
        ends[rollback_generation, fence] = min(
            [later, *(back + 1 for version, back in rollbacks if version > rollback_generation)]
        )
        later = min(later, step)
    return ends


class Segment(NamedTuple):
    """The reports of one run that belong to one rollback generation, the first of their steps, and the step from which
    on the reports of earlier runs do not count: the run may have come to other steps than these."""

    fence: Fence
    rollback_generation: Version
    first_step: int
    ends_earlier_runs: int


def segment_before(
    tx: Transaction, trial_id: TrialId, later: Segment | None, fence: Fence | None, *, since: Fence | None
) -> Segment | None:
    """The newest segment of a trial, or the newest before another one; of one run only, if its fence is given, and of
    none before the fence `since`."""
    place = (reports.c.fence, reports.c.rollback_generation)
    statement = sa.select(*place).where(reports.c.trial_id == trial_id)
    if fence is not None:
        statement = statement.where(reports.c.fence == fence)
    if since is not None:
        statement = statement.where(reports.c.fence >= since)
    if later is not None:
        statement = statement.where(sa.tuple_(*place) < (later.fence, later.rollback_generation))
    found = tx.execute(statement.order_by(*(column.desc() for column in place)).limit(1)).one_or_none()
    if found is None:
        return None
    first = sa.select(sa.func.min(reports.c.step)).where(reports.c.trial_id == trial_id)
    here = first.where(reports.c.fence == found.fence, reports.c.rollback_generation == found.rollback_generation)
    began = run_starts.of_trial(tx, trial_id).get(found.fence, LARGEST - 1)
    return Segment(found.fence, found.rollback_generation, tx.execute(here).scalar_one(), began + 1)


def of_segment(
    tx: Transaction, trial_id: TrialId, segment: Segment, steps: range, size: int, *, newest_first: bool
) -> list[ReportRow]:
    """Up to `size` reports of a segment with their step in a range."""
    statement = sa.select(reports).where(
        reports.c.trial_id == trial_id,
        reports.c.fence == segment.fence,
        reports.c.rollback_generation == segment.rollback_generation,
        reports.c.step >= steps.start,
        reports.c.step < steps.stop,
    )
    order = reports.c.step.desc() if newest_first else reports.c.step
    return [ReportRow(*row) for row in tx.execute(statement.order_by(order).limit(size))]


Place = tuple[int, int, int]
"""The rollback generation, the fence and the step of a report."""


def all_of_trial(tx: Transaction, trial_id: TrialId, after: Place | None, size: int) -> list[ReportRow]:
    """Up to `size` of the reports that came, also of what a later run or a rollback left, by rollback generation, run
    and step; from the first, or from after a place."""
    place = (reports.c.rollback_generation, reports.c.fence, reports.c.step)
    statement = sa.select(reports).where(reports.c.trial_id == trial_id)
    if after is not None:
        statement = statement.where(sa.tuple_(*place) > after)
    return [ReportRow(*row) for row in tx.execute(statement.order_by(*place).limit(size))]


def of_run(
    tx: Transaction, trial_id: TrialId, fence: Fence, after_step: int = -1, size: int | None = None
) -> list[ReportRow]:
    """The reports of one run, by step."""
    statement = sa.select(reports).where(
        reports.c.trial_id == trial_id, reports.c.fence == fence, reports.c.step > after_step
    )
    return [ReportRow(*row) for row in tx.execute(statement.order_by(reports.c.step).limit(size))]


def of_complete_trials_at(
    tx: Transaction, study_id: StudyId, epoch: float, metric: str, *, over_runs: bool | None, latest: int = 100
) -> list[tuple[float | None, float]]:
    """(the metric at this epoch, the final value) of the `latest` complete trials that are not invalid.

    over_runs: their curves are made of the reports of all their runs, as `curve`, not of the last run's alone; None:
    of those that have a `begun_fence`.
    """
    complete = (
        sa.select(trials.c.id, trials.c.fence, trials.c.begun_fence, trials.c.value, trials.c.left_seq)
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
    counts = reports.c.fence >= sa.func.coalesce(complete.c.begun_fence, 0)
    of_all_runs, of_last_run = sa.and_(counts, sa.not_(_is_abandoned())), reports.c.fence == complete.c.fence
    parts: sa.ColumnElement[bool] = of_all_runs if over_runs else of_last_run
    if over_runs is None:
        parts = sa.or_(of_last_run, sa.and_(complete.c.begun_fence.is_not(None), of_all_runs))
    statement = (
        sa.select(complete.c.id, reports.c.metrics, complete.c.value)
        .select_from(reports)
        .join(complete, reports.c.trial_id == complete.c.id)
        .where(sa.func.coalesce(reports.c.epoch, reports.c.step) == epoch, parts)
        .order_by(complete.c.left_seq, reports.c.rollback_generation, reports.c.fence, reports.c.step)
    )
    # Of an epoch that several runs have reported, the last counts.
    by_trial = {trial_id: (metrics.get(metric), value) for trial_id, metrics, value in tx.execute(statement)}
    return list(by_trial.values())


def _is_abandoned() -> sa.ColumnElement[bool]:
    """Whether a rollback abandoned a report."""
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
